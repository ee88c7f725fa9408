/** Promised DELs: done when somebody can, once, in order, and before the container comes back. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DeferredDels } from '../../plugin/contract/deferred-dels.ts';
import { encodeRequest } from '../../plugin/contract/wire.ts';
import type { PluginAnswer, PluginCall } from '../../plugin/protocol/call.ts';

const callOf = (verb: string, container: string): PluginCall => ({
  env: { CNI_COMMAND: verb, CNI_CONTAINERID: container, CNI_IFNAME: 'eth0' },
  stdin: Buffer.from('{}'),
});
const failure = (code: number): PluginAnswer => ({ status: 1, stdout: JSON.stringify({ code }), stderr: '' });
const success: PluginAnswer = { status: 0, stdout: '', stderr: '' };
const signal = new AbortController().signal;

interface Ground {
  readonly directory: string;
  readonly tombstones: DeferredDels;
  /** The calls that reached the plugin. */
  readonly calls: string[];
  /** What the plugin says from now on to a DEL. */
  answerDelWith: PluginAnswer;
  leave(name: string, bytes: Uint8Array): void;
  left(): string[];
}

async function on(test: (ground: Ground) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-tombstones-'));
  const calls: string[] = [];
  const answer = async ({ env }: PluginCall) => {
    calls.push(`${env.CNI_COMMAND} ${env.CNI_CONTAINERID}`);
    return env.CNI_COMMAND === 'DEL' ? ground.answerDelWith : success;
  };
  const log = { info() {}, warn() {} };
  const ground: Ground = {
    directory,
    tombstones: new DeferredDels({ directory, answer, log }),
    calls,
    answerDelWith: success,
    leave: (name, bytes) => writeFileSync(join(directory, name), bytes),
    left: () => readdirSync(directory),
  };
  try {
    await test(ground);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe('tombstones', () => {
  it('are replayed oldest first, each until it succeeds', async () => {
    await on(async (ground) => {
      ground.leave('0002', encodeRequest(callOf('DEL', 'b')));
      ground.leave('0001', encodeRequest(callOf('DEL', 'a')));
      ground.answerDelWith = failure(11);
      await ground.tombstones.replay(signal);
      assert.deepEqual(ground.left(), ['0001', '0002']);
      ground.answerDelWith = success;
      await ground.tombstones.replay(signal);
      await ground.tombstones.replay(signal);
      assert.deepEqual(ground.calls, ['DEL a', 'DEL b', 'DEL a', 'DEL b']);
      assert.deepEqual(ground.left(), []);
    });
  });

  it('need no folder', async () => {
    await on(async (ground) => {
      rmSync(ground.directory, { recursive: true });
      await ground.tombstones.replay(signal);
      assert.deepEqual(ground.calls, []);
    });
  });

  it('that can never succeed are dropped', async () => {
    await on(async (ground) => {
      ground.leave('0001', encodeRequest(callOf('DEL', 'a')));
      ground.leave('0002', encodeRequest(callOf('ADD', 'b')));
      ground.leave('0003', Buffer.from('WEFT, torn'));
      ground.answerDelWith = failure(7);
      await ground.tombstones.replay(signal);
      assert.deepEqual([ground.calls, ground.left()], [['DEL a'], []]);
    });
  });

  it('half written are left to their writer, until that must be dead', async () => {
    await on(async (ground) => {
      ground.leave('.0001', encodeRequest(callOf('DEL', 'a')));
      await ground.tombstones.replay(signal);
      assert.deepEqual(ground.left(), ['.0001']);
      utimesSync(join(ground.directory, '.0001'), 0, 0);
      await ground.tombstones.replay(signal);
      assert.deepEqual([ground.calls, ground.left()], [[], []]);
    });
  });

  it('come before an ADD of their attachment, and hold up no other', async () => {
    await on(async (ground) => {
      const guarded = ground.tombstones.guard();
      ground.leave('0001', encodeRequest(callOf('DEL', 'a')));
      ground.answerDelWith = failure(11);
      const refused = await guarded(callOf('ADD', 'a'), signal);
      assert.equal(JSON.parse(refused.stdout).code, 11);
      assert.equal((await guarded(callOf('ADD', 'b'), signal)).status, 0);
      ground.answerDelWith = success;
      assert.equal((await guarded(callOf('ADD', 'a'), signal)).status, 0);
      assert.deepEqual(ground.calls, ['DEL a', 'ADD b', 'DEL a', 'ADD a']);
    });
  });

  it('are each replayed by one process, and an ADD in another one waits until it is done', async () => {
    await on(async (ground) => {
      ground.leave('0001', encodeRequest(callOf('DEL', 'a')));
      const done: string[] = [];
      let finish = () => {};
      const worked = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const standalone = new DeferredDels({
        directory: ground.directory,
        async answer({ env }) {
          await worked;
          done.push(`${env.CNI_COMMAND} ${env.CNI_CONTAINERID}`);
          return success;
        },
        log: { info() {}, warn() {} },
      });
      const replayed = standalone.replay(signal);
      const added = ground.tombstones.guard()(callOf('ADD', 'a'), signal);
      setImmediate(() => finish());
      await replayed;
      assert.equal((await added).status, 0);
      assert.deepEqual([done, ground.calls, ground.left()], [['DEL a'], ['ADD a'], []]);
    });
  });

  it('no file descriptor left to read them with (EMFILE): they stay, and are done later', async () => {
    await on(async (ground) => {
      ground.leave('0001', encodeRequest(callOf('DEL', 'a')));
      const worker = fileURLToPath(new URL('deferred-dels-worker.js', import.meta.url));
      const script = 'ulimit -n 64; exec "$0" "$1" "$2"';
      const output = execFileSync('sh', ['-c', script, process.execPath, worker, ground.directory]);
      assert.deepEqual(JSON.parse(String(output)), { whileShort: 1, after: 0 });
    });
  });

  it('directory that cannot be read: an ADD is refused with code 11, and nothing is executed', async () => {
    await on(async (ground) => {
      rmSync(ground.directory, { recursive: true });
      writeFileSync(ground.directory, '');
      const { stdout } = await ground.tombstones.guard()(callOf('ADD', 'a'), signal);
      assert.equal(JSON.parse(stdout).code, 11);
      assert.deepEqual(ground.calls, []);
    });
  });
});
