/** Several processes on one directory, and directories that cannot be written. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Step } from '../../../plugin/attach/step.ts';
import { createVerbs } from '../../../plugin/attach/verbs.ts';
import { answer } from '../../../plugin/protocol/answer.ts';
import { type Answer, addressOf, enterHost, ipJson, leaveHost, Plugin, Pod, ping, run } from './ground.ts';

before(enterHost);
after(leaveHost);

let plugin: Plugin;
let pods: Pod[];
const pod = (): Pod => {
  const made = new Pod();
  pods.push(made);
  return made;
};
beforeEach(() => {
  plugin = new Plugin();
  plugin.lease();
  pods = [];
});
afterEach(() => {
  for (const made of pods) made.destroy();
  plugin.dispose();
});

describe('an agent and a standalone plugin at once', () => {
  it('give no address twice, and each takes away what the other made', async () => {
    const standalone = createVerbs({ runDir: plugin.runDir });
    const all = Array.from({ length: 16 }, pod);
    const byTurns = (verb: string, offset: number) =>
      Promise.all(
        all.map(async (each, i) => {
          const verbs = (i + offset) % 2 ? standalone : plugin.verbs;
          const { status, stdout } = await answer(plugin.call(verb, each), verbs);
          assert.equal(status, 0, stdout);
          return stdout === '' ? '' : addressOf(JSON.parse(stdout));
        }),
      );
    const addresses = await byTurns('ADD', 0);
    assert.equal(new Set(addresses).size, all.length);
    for (const address of addresses.slice(0, 3)) ping(address);
    await byTurns('DEL', 1);
    plugin.assertNothingLeft();
    standalone.close();
  });

  it('attach one container once, if both are asked to', async () => {
    const standalone = createVerbs({ runDir: plugin.runDir });
    const a = pod();
    const outcomes = await Promise.all(
      [plugin.verbs, standalone].map((verbs) => answer(plugin.call('ADD', a), verbs)),
    );
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), [0, 1]);
    assert.equal(plugin.allocated().length, 1);
    a.ping('10.244.1.1');
    standalone.close();
  });

  it('take away nothing of an ADD that comes while a DEL looks for a container of which there is no record', async () => {
    const a = pod();
    let adding: Promise<Answer> | undefined;
    const inTheMidst: Step = {
      ...{ wish: 'ipMasq', ensure() {}, teardown() {}, verify() {} },
      async teardownLost() {
        adding = plugin.do('ADD', a);
        await Promise.race([adding, setTimeout(200)]);
      },
    };
    const standalone = createVerbs({ runDir: plugin.runDir, steps: [inTheMidst] });
    const { status, stdout } = await answer(plugin.call('DEL', a), standalone);
    assert.equal(status, 0, stdout);
    const added = await adding;
    assert.equal(added?.status, 0, JSON.stringify(added));
    a.ping('10.244.1.1');
    assert.deepEqual(plugin.allocated(), [addressOf(added.json)]);
    assert.equal(plugin.records().length, 1);
    standalone.close();
  });
});

describe('a directory that cannot be written', () => {
  /** Of this pod: those of an earlier one go when the kernel gets round to its namespace. */
  const assertNoLinks = (of: { containerId: string }) =>
    assert.deepEqual(
      ipJson('link', 'show').filter(({ ifalias }) => ifalias?.includes(`/${of.containerId}/`)),
      [],
    );

  for (const name of ['attachments', 'ipam', 'ipam-order']) {
    it(`is named, and nothing is half made (${name})`, async () => {
      const a = pod();
      writeFileSync(join(plugin.runDir, name), 'a file where a directory should be');
      await plugin.refused(5, /cannot keep the (attachment's record|addresses of network weft)/, 'ADD', a);
      assertNoLinks(a);
      rmSync(join(plugin.runDir, name));
      await plugin.must('ADD', a);
    });
  }

  it('because the disk is full costs an ADD, and nothing else', async () => {
    const living = pod();
    const disk = join(plugin.runDir, 'disk');
    mkdirSync(disk);
    run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'weft-test', disk);
    try {
      const small = new Plugin({ runDir: disk });
      small.lease();
      await small.must('ADD', living);
      const filler = join(disk, 'filler');
      for (let kilobytes = 64; kilobytes > 0; kilobytes--) {
        try {
          writeFileSync(filler, Buffer.alloc(1024), { flag: 'a' });
        } catch {
          break;
        }
      }
      const late = pod();
      await small.refused(5, /ENOSPC|fitted/, 'ADD', late);
      assert.equal(ipJson('link', 'show', 'master', 'cni0').length, 1);
      assert.equal(small.allocated().length, 1);
      assert.equal(small.records().length, 1);
      await small.must('DEL', living);
      rmSync(filler);
      ping(addressOf(await small.must('ADD', late)));
      await small.must('DEL', late);
      small.assertNothingLeft();
      small.verbs.close();
    } finally {
      run('umount', disk);
    }
  });

  it('because it has become read-only is named, costs no pod its network, and DEL succeeds afterwards', async () => {
    const [living, late] = [pod(), pod()];
    const disk = join(plugin.runDir, 'disk');
    mkdirSync(disk);
    run('mount', '-t', 'tmpfs', 'weft-test', disk);
    try {
      const strict = new Plugin({ runDir: disk });
      strict.lease();
      const address = addressOf(await strict.must('ADD', living));
      run('mount', '-o', 'remount,ro', disk);
      await strict.refused(5, /EROFS/, 'ADD', late);
      assertNoLinks(late);
      await strict.refused(5, /EROFS/, 'DEL', living);
      await strict.must('DEL', late);
      ping(address);
      run('mount', '-o', 'remount,rw', disk);
      await strict.must('DEL', living);
      strict.assertNothingLeft();
      strict.verbs.close();
    } finally {
      run('umount', disk);
    }
  });
});
