/** Killed after any side effect of ADD or DEL, what follows cleans up: I5 and I7. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { configurations } from './configurations.ts';
import { addressesOf, addressOf, enterHost, leaveHost, Plugin, Pod, ping } from './ground.ts';

const mortal = fileURLToPath(new URL('./mortal.js', import.meta.url));

before(enterHost);
after(leaveHost);

/** Runs the call in a process that dies after its k-th side effect; false if it lived to answer. */
function diesAfter(k: number, plugin: Plugin, verb: string, pod: Pod): boolean {
  const { env, stdin } = plugin.call(verb, pod);
  const child = spawnSync(process.execPath, [mortal, plugin.runDir, String(k)], {
    input: JSON.stringify({ env, stdin: Buffer.from(stdin).toString() }),
    encoding: 'utf8',
  });
  if (child.signal === 'SIGKILL') return true;
  assert.equal(child.status, 0, `${child.stdout}${child.stderr}`);
  return false;
}

const recoveries: Record<string, (plugin: Plugin, pod: Pod) => Promise<void>> = {
  DEL: async (plugin, pod) => {
    await plugin.must('DEL', pod, { env: { CNI_NETNS: '' } });
  },
  'ADD again': async (plugin, pod) => {
    const { status, json } = await plugin.do('ADD', pod);
    if (status === 0) {
      ping(addressOf(json));
      assert.deepEqual(plugin.allocated(), addressesOf(json).sort());
    } else assert.equal(json.code, 100, json.msg); // it was complete before it was killed
    await plugin.must('DEL', pod);
  },
  GC: async (plugin) => {
    await plugin.must('GC', undefined, { config: { 'cni.dev/valid-attachments': [] } });
  },
};

for (const [what, config] of Object.entries(configurations)) {
  for (const verb of ['ADD', 'DEL']) {
    for (const [recovery, recover] of Object.entries(recoveries)) {
      describe(`${verb} ${what}, killed after its k-th side effect, then ${recovery}`, () => {
        it('leaves nothing, for every k', async (t) => {
          const plugin = new Plugin();
          plugin.lease();
          plugin.config = { ...config };
          for (let k = 1; ; k++) {
            const pod = new Pod();
            if (verb === 'DEL') await plugin.must('ADD', pod);
            const died = diesAfter(k, plugin, verb, pod);
            await recover(plugin, pod);
            try {
              plugin.assertNothingLeft();
            } catch (error) {
              throw new Error(`killed after side effect ${k}`, { cause: error });
            }
            pod.destroy();
            if (!died) {
              t.diagnostic(`${k - 1} kills, nothing left of any`);
              break;
            }
          }
          plugin.dispose();
        });
      });
    }
  }
}
