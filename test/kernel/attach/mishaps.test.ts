/** What happens to an ADD or a DEL in the middle of its side effects, short of being killed: I5 and I7. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { KernelError } from '../../../kernel/errors.ts';
import { configurations } from './configurations.ts';
import { type EffectHooks, watchEffects } from './effects.ts';
import { type Answer, addressOf, enterHost, leaveHost, Plugin, Pod, ping } from './ground.ts';

before(enterHost);
after(leaveHost);

const ENOMEM = 12;

interface Mishap {
  /** Completes the sentence "ADD, when ...". */
  readonly what: string;
  readonly at: (k: number, pod: Pod) => EffectHooks;
  /** Whether a call that was refused has cleaned up by itself; else the DEL that follows does. */
  readonly undoes: boolean;
  readonly code: number;
}

function diskFull(): never {
  throw Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    syscall: 'write',
  });
}

const mishaps: readonly Mishap[] = [
  {
    what: 'the disk is full from its k-th side effect on',
    at: (k) => ({ before: (i, kind) => i >= k && kind === 'write' && diskFull() }),
    undoes: true,
    code: 5,
  },
  {
    what: 'the disk is full from its k-th side effect on, and takes no renaming and removing either',
    at: (k) => ({ before: (i, kind) => i >= k && kind !== 'send' && diskFull() }),
    undoes: false,
    code: 5,
  },
  {
    what: 'the kernel refuses its k-th side effect',
    at: (k) => ({
      before: (i, kind) => {
        if (i === k && kind === 'send') throw new KernelError({ errno: ENOMEM, attempted: `request ${k}` });
      },
    }),
    undoes: true,
    code: 999,
  },
  {
    what: 'its namespace goes after its k-th side effect',
    at: (k, pod) => ({ after: (i) => i === k && pod.destroy() }),
    undoes: false,
    code: 8,
  },
];

async function during(hooks: EffectHooks, call: () => Promise<Answer>): Promise<Answer & { count: number }> {
  const unwatch = watchEffects(hooks);
  try {
    return { ...(await call()), count: unwatch() };
  } finally {
    unwatch();
  }
}

for (const [options, config] of Object.entries(configurations)) {
  for (const verb of ['ADD', 'DEL']) {
    for (const { what, at, undoes, code } of mishaps) {
      describe(`${verb} ${options}, when ${what}`, () => {
        it('leaves nothing, for every k', async (t) => {
          const plugin = new Plugin();
          plugin.lease();
          plugin.config = { ...config };
          let refused = 0;
          for (let k = 1; ; k++) {
            const pod = new Pod();
            if (verb === 'DEL') await plugin.must('ADD', pod);
            const { status, json, count } = await during(at(k, pod), () => plugin.do(verb, pod));
            try {
              if (status !== 0) {
                assert.equal(json.code, code);
                refused++;
                if (verb === 'ADD' && undoes) plugin.assertNothingLeft();
              } else if (verb === 'ADD' && pod.exists) ping(addressOf(json));
              await plugin.must('DEL', pod);
              plugin.assertNothingLeft();
            } catch (error) {
              throw new Error(`at side effect ${k}: ${status} ${JSON.stringify(json)}`, { cause: error });
            }
            if (pod.exists) pod.destroy();
            if (count < k) {
              t.diagnostic(`${k - 1} mishaps, ${refused} refused, nothing left of any`);
              break;
            }
          }
          plugin.dispose();
        });
      });
    }
  }
}
