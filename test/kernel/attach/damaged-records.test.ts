/** What DEL, ADD, GC, CHECK and the sweep make of records that are not as they were written: I5 and I7. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { configurations } from './configurations.ts';
import {
  addressesOf,
  addressOf,
  enterHost,
  ipJson,
  leaveHost,
  Plugin,
  Pod,
  ping,
  waitFor,
} from './ground.ts';

before(enterHost);
after(leaveHost);

let plugin: Plugin;
let pods: Pod[];
beforeEach(() => {
  plugin = new Plugin();
  plugin.lease();
  pods = [];
});
afterEach(() => {
  for (const pod of pods) if (pod.exists) pod.destroy();
  plugin.dispose();
});

/** What becomes of an attachment's record: one JSON object per line, the last of them complete. */
const damages: Readonly<Record<string, (text: string) => string | Buffer>> = {
  empty: () => '',
  'cut in its first line': (text) => text.slice(0, 40),
  'cut in its last line': (text) => text.slice(0, -20),
  'cut to its intent': (text) => text.slice(0, text.indexOf('\n') + 1),
  'of another version': (text) => text.replaceAll('"version":1', '"version":2'),
  'no JSON': () => Buffer.from([0, 255, 1, 254]),
  'JSON, but no object': () => 'null\n[]\n7\n',
  'an object that lacks most': () => '{"version":1,"addresses":[],"hostPorts":[]}\n',
  'an object with values of other types': (text) =>
    `${JSON.stringify({ ...JSON.parse(text.split('\n')[0] ?? ''), host: 7, bandwidth: null, bridge: [] })}\n`,
};

const verbs: Readonly<Record<string, (pod: Pod) => Promise<void>>> = {
  DEL: async (pod) => {
    await plugin.must('DEL', pod);
  },
  'an ADD, which takes over or refuses, and DEL': async (pod) => {
    const { status, json } = await plugin.do('ADD', pod);
    if (status === 0) {
      ping(addressOf(json));
      assert.deepEqual(plugin.allocated(), addressesOf(json).sort());
    } else assert.equal(json.code, 100, json.msg);
    await plugin.must('DEL', pod);
  },
  GC: async () => {
    await plugin.must('GC', undefined, { config: { 'cni.dev/valid-attachments': [] } });
  },
  'the agent by itself, once the namespace is gone': async (pod) => {
    pod.destroy();
    await waitFor(() => ipJson('link', 'show', 'type', 'veth').length === 0);
    for (let looks = 0; looks < 2; looks++) await plugin.verbs.sweep();
  },
};

for (const [options, config] of Object.entries(configurations)) {
  for (const [verb, perform] of Object.entries(verbs)) {
    describe(`an attachment ${options} goes without a trace, by ${verb}, if its record is`, () => {
      for (const [damage, damaged] of Object.entries(damages)) {
        it(damage, async () => {
          plugin.config = { ...config };
          const pod = new Pod();
          pods.push(pod);
          const prevResult = await plugin.must('ADD', pod);
          damageRecord(damaged);
          const check = await plugin.do('CHECK', pod, { config: { prevResult } });
          if (check.status !== 0) assert.ok([3, 105].includes(check.json.code), JSON.stringify(check.json));
          await perform(pod);
          plugin.assertNothingLeft();
        });
      }
    });
  }
}

function damageRecord(damaged: (text: string) => string | Buffer): void {
  const [name] = plugin.records();
  const path = join(plugin.runDir, 'attachments', name ?? '');
  writeFileSync(path, damaged(readFileSync(path, 'utf8')));
}

describe("an address's record that is", () => {
  for (const [damage, content] of Object.entries({
    empty: '',
    'no JSON': 'not what was written',
    cut: '{"containerId":"pod-',
  })) {
    it(`${damage} keeps its address from others, and goes with its pod`, async () => {
      const [one, other] = [new Pod(), new Pod()];
      pods.push(one, other);
      const address = addressOf(await plugin.must('ADD', one));
      writeFileSync(join(plugin.runDir, 'ipam/weft', address), content);
      assert.notEqual(addressOf(await plugin.must('ADD', other)), address);
      for (const pod of [one, other]) await plugin.must('DEL', pod);
      plugin.assertNothingLeft();
    });
  }
});
