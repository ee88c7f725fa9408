/** The side effects of a call, one by one: files that it writes and requests that it sends to the kernel. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { NetlinkSocket } from '../../../kernel/netlink/socket.ts';

const written = ['writeSync', 'writeFileSync', 'linkSync', 'mkdirSync'] as const;
const moved = ['renameSync', 'unlinkSync', 'rmSync'] as const;
const sent = ['exchange', 'executeAsync', 'transact'] as const;

/** `write` needs space on the disk, `move` may, `send` speaks with the kernel. */
export type EffectKind = 'write' | 'move' | 'send';

/** Called before and after each effect, which counts from 1; what it throws is what the effect throws. */
export interface EffectHooks {
  readonly before?: (k: number, kind: EffectKind) => void;
  readonly after?: (k: number) => void;
}

type Methods = Record<string, (...args: unknown[]) => unknown>;

/** From now on, in the whole process; the answer takes it back, and says how many there were. */
export function watchEffects(hooks: EffectHooks): () => number {
  let count = 0;
  const originals: (() => void)[] = [];
  const watch = (target: object, name: string, kind: EffectKind) => {
    const methods = target as Methods;
    const original = methods[name];
    if (!original) throw new RangeError(`no ${name} to watch`);
    originals.push(() => {
      methods[name] = original;
    });
    methods[name] = function (this: unknown, ...args: unknown[]) {
      const k = ++count;
      hooks.before?.(k, String(args[0]).startsWith('/proc/') ? 'send' : kind);
      const result = original.apply(this, args);
      if (result instanceof Promise) return result.finally(() => hooks.after?.(k));
      hooks.after?.(k);
      return result;
    };
  };
  for (const name of written) watch(fs, name, 'write');
  for (const name of moved) watch(fs, name, 'move');
  for (const name of sent) watch(NetlinkSocket.prototype, name, 'send');
  syncBuiltinESMExports();
  return () => {
    for (const restore of originals) restore();
    syncBuiltinESMExports();
    return count;
  };
}
