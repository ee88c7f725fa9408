/** What a call names by path: opened by the relay, received by the agent, closed by both. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { fstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { listenAt } from '../../agent/serve/cni-listen.ts';
import { CniServer, type CniServerOptions } from '../../agent/serve/cni-server.ts';
import { encodeAnswer, encodeRequest, RequestReader } from '../../plugin/contract/wire.ts';
import type { PluginCall } from '../../plugin/protocol/call.ts';
import { Caller } from './caller.ts';
import { finished, RelayGround } from './relay.ts';

const done = { status: 0, stdout: '{}\n', stderr: '' };
const ground = new RelayGround({ answerSeconds: 60, kind: 'bare' });
const caller = new Caller(ground.directory);
const ownNetns = '/proc/self/ns/net';
const elsewhere = ['unshare', '--net', '--'];
after(() => ground.remove());

let server: CniServer | undefined;
let events: string[] = [];
beforeEach(() => {
  ground.clear();
  events = [];
});
afterEach(async () => {
  await server?.drain(0);
  server = undefined;
});

async function serve(answer: CniServerOptions['answer']): Promise<void> {
  const note = (event: string) => void events.push(event);
  server = new CniServer({ answer, log: { warn: note, error: note } });
  server.listen(await listenAt(ground.socket));
}

const idOf = ({ dev, ino }: { dev: number; ino: number }): string => `${dev}:${ino}`;
const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** What an agent is handed for a call, by what it is. */
async function handed(options: { verb: string; env?: Record<string, string>; stdin?: string }) {
  const seen: Record<string, string>[] = [];
  await serve(async ({ opened }) => {
    assert.ok(opened);
    seen.push(
      Object.fromEntries(
        Object.entries(opened).map(([name, value]) => {
          if (!value) return [name, 'unnamed'];
          return [name, 'fd' in value ? idOf(fstatSync(value.fd)) : `failed: ${value.failed}`];
        }),
      ),
    );
    return done;
  });
  const ran = await ground.run({ stdin: '{}', ...options });
  assert.equal(ran.status, 0, ran.stdout);
  return seen[0];
}

/** The request of a relay that opens names, for a caller in C; `names` is the header's byte 5. */
function newRequest(names: number, env: Record<string, string> = {}): Buffer {
  const bytes = encodeRequest({
    env: { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', ...env },
    stdin: Buffer.from('{}'),
  });
  bytes.writeUInt8(names, 5);
  bytes.writeUInt8(1, 7);
  return bytes;
}

describe('names in a call', () => {
  it('ADD: namespace, resolvConf and dataDir are handed over open', async () => {
    const [file, folder] = [join(ground.runDir, 'resolv.conf'), join(ground.runDir, 'networks')];
    writeFileSync(file, '');
    mkdirSync(folder);
    const stdin = JSON.stringify({ ipam: { resolvConf: file, dataDir: folder } });
    assert.deepEqual(await handed({ verb: 'ADD', env: { CNI_NETNS: ownNetns }, stdin }), {
      netns: idOf(statSync(ownNetns)),
      resolvConf: idOf(statSync(file)),
      dataDir: idOf(statSync(folder)),
    });
  });

  it('ADD: what the relay cannot open is reported as that', async () => {
    const stdin = JSON.stringify({ ipam: { resolvConf: '/no/such', dataDir: '/etc/hostname' } });
    assert.deepEqual(await handed({ verb: 'ADD', env: { CNI_NETNS: '/run/netns/no-such' }, stdin }), {
      netns: 'failed: ENOENT',
      resolvConf: 'failed: EIO',
      dataDir: 'failed: EIO',
    });
  });

  it('a namespace path that is a FIFO: the relay does not wait for a writer', async () => {
    const fifo = join(ground.runDir, 'fifo');
    assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
    const seen = await handed({ verb: 'ADD', env: { CNI_NETNS: fifo } });
    assert.equal(seen?.netns, idOf(statSync(fifo)));
  });

  for (const [verb, netns] of [
    ['CHECK', true],
    ['DEL', false],
    ['GC', false],
    ['STATUS', false],
  ] as const) {
    it(`${verb}: the namespace is ${netns ? '' : 'not '}opened`, async () => {
      const seen = await handed({ verb, env: { CNI_NETNS: ownNetns } });
      assert.equal(seen?.netns, netns ? idOf(statSync(ownNetns)) : 'unnamed');
    });
  }

  it('a deferred DEL: the file has no trace of descriptors', async () => {
    await ground.run({ verb: 'DEL', env: { CNI_NETNS: ownNetns } });
    const [name = ''] = readdirSync(join(ground.runDir, 'tombstones'));
    const bytes = readFileSync(join(ground.runDir, 'tombstones', name));
    assert.deepEqual([...bytes.subarray(4, 8)], [1, 0, 0, 0]);
    assert.equal(ground.tombstones()[0]?.opened, undefined);
  });
});

describe('descriptors of callers', () => {
  it('10 000 callers that go away at any point: none leaks', async () => {
    let calls = 0;
    const count = async () => {
      calls++;
      return done;
    };
    const bytes = newRequest(1, { CNI_NETNS: ownNetns });
    const warm = { socket: ground.socket, bytes, fds: 1 };
    await serve(count);
    await caller.call(warm);
    await server?.drain(0);
    const before = descriptors();
    await serve(count);
    for (const [sent, fds] of [
      [0, 0],
      [1, 3],
      [16, 1],
      [bytes.length - 1, 16],
      [bytes.length, 1],
    ] as const) {
      const ran = await caller.call({ ...warm, sent, fds, calls: 2000, reads: false });
      assert.deepEqual([ran.status, ran.stderr], [0, '']);
    }
    await caller.call(warm);
    await server?.drain(10_000);
    assert.ok(calls > 2);
    assert.equal(descriptors(), before);
  });

  it('more than the request has: the call is done, the excess is closed', async () => {
    const before = descriptors();
    let during = 0;
    await serve(async ({ opened }) => {
      during = descriptors();
      assert.ok(opened?.netns && 'fd' in opened.netns);
      return done;
    });
    const bytes = newRequest(1, { CNI_NETNS: ownNetns });
    const ran = await caller.call({ socket: ground.socket, bytes, fds: 9 });
    assert.equal(ran.stdout.slice(16), '{}\n');
    await server?.drain(0);
    assert.ok(during >= before + 9);
    assert.equal(descriptors(), before);
  });

  it('fewer than the request has: refused, nothing is done', async () => {
    await serve(async () => assert.fail('called'));
    const bytes = newRequest(3, { CNI_NETNS: ownNetns });
    const ran = await caller.call({ socket: ground.socket, bytes, fds: 1 });
    assert.equal(ran.stdout, '');
    assert.deepEqual(events, ['cni.connectionDropped']);
  });

  it('more than fit (MSG_CTRUNC): refused with code 11, none leaks', async () => {
    const before = descriptors();
    await serve(async () => assert.fail('called'));
    const bytes = newRequest(1, { CNI_NETNS: ownNetns });
    const ran = await caller.call({ socket: ground.socket, bytes, fds: 40 });
    assert.equal(JSON.parse(ran.stdout.slice(16)).code, 11);
    await server?.drain(0);
    assert.equal(descriptors(), before);
  });

  it('a relay of 0.1.0 that sends some: none is used, all are closed', async () => {
    const before = descriptors();
    const seen: PluginCall[] = [];
    await serve(async (call) => {
      seen.push(call);
      return done;
    });
    const bytes = encodeRequest({ env: { CNI_COMMAND: 'ADD' }, stdin: Buffer.from('{}') });
    await caller.call({ socket: ground.socket, bytes, fds: 2 });
    assert.deepEqual(
      seen.map(({ opened }) => opened),
      [undefined],
    );
    await server?.drain(0);
    assert.equal(descriptors(), before);
  });

  it('an agent of 0.1.0: the relay is answered, and its descriptors are dropped by the kernel', async () => {
    const calls: PluginCall[] = [];
    // It reads as 0.1.0 did: by a stream, and without a look at bytes 5 to 7.
    const old = createServer((socket) => {
      const reader = new RequestReader();
      let first = true;
      socket.on('data', (chunk) => {
        if (first) Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).fill(0, 5, 8);
        first = false;
        const call = reader.push(chunk);
        if (!call) return;
        calls.push(call);
        socket.end(encodeAnswer(done));
      });
    });
    await new Promise<void>((resolve) => old.listen(ground.socket, resolve));
    const ran = await ground.run({ env: { CNI_NETNS: ownNetns } });
    await new Promise((resolve) => old.close(resolve));
    assert.deepEqual([ran.status, ran.stdout], [0, done.stdout]);
    assert.equal(calls[0]?.env.CNI_NETNS, ownNetns);
  });
});

describe('a caller in another network namespace', () => {
  const verbs = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'];
  const relay = join(ground.directory, 'weft');
  const run = (verb: string) =>
    execute([...elsewhere, relay], { CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0' });

  for (const verb of verbs) {
    it(`${verb}: the standalone plugin does the call`, async () => {
      await serve(async () => assert.fail('called'));
      ground.standalone('echo "$CNI_COMMAND standalone"');
      assert.equal((await run(verb)).stdout, `${verb} standalone\n`);
      assert.deepEqual(events, ['cni.callerElsewhere']);
    });

    it(`${verb} without a standalone plugin: ${verb === 'DEL' ? 'deferred' : 'refused'}, with the reason`, async () => {
      await serve(async () => assert.fail('called'));
      const ran = await run(verb);
      assert.match(ran.stdout + ran.stderr, /another network namespace/);
      if (verb === 'DEL') assert.deepEqual([ran.status, ground.tombstones().length], [0, 1]);
      else assert.equal(JSON.parse(ran.stdout).code, verb === 'STATUS' ? 50 : 11);
    });
  }

  it('a relay of 0.1.0: closed unread, so that it starts the standalone plugin', async () => {
    await serve(async () => assert.fail('called'));
    const bytes = encodeRequest({ env: { CNI_COMMAND: 'ADD' }, stdin: Buffer.from('{}') });
    const ran = await caller.call({ socket: ground.socket, bytes, fds: 0, prefix: elsewhere });
    assert.equal(ran.stdout, '');
    assert.match(ran.stderr, /Connection reset by peer/);
  });

  it('a relay of this version: answered that nothing was done', async () => {
    await serve(async () => assert.fail('called'));
    const bytes = newRequest(0);
    const ran = await caller.call({ socket: ground.socket, bytes, fds: 0, prefix: elsewhere });
    assert.equal(ran.stdout.charCodeAt(6), 1, 'the answer does not say that nothing was done');
    assert.match(ran.stdout, /another network namespace/);
  });
});

describe('a caller that is not root', () => {
  const relay = join(ground.directory, 'weft');
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
  const run = (verb: string) =>
    execute([...nobody, relay], { CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0' });

  for (const verb of ['ADD', 'DEL', 'STATUS']) {
    it(`${verb}: the standalone plugin does the call`, async () => {
      await serve(async () => assert.fail('called'));
      ground.standalone('echo standalone');
      assert.equal((await run(verb)).stdout, 'standalone\n');
    });

    it(`${verb} without a standalone plugin: refused, with the reason`, async () => {
      await serve(async () => assert.fail('called'));
      const { code, details, msg } = JSON.parse((await run(verb)).stdout);
      assert.equal(code, verb === 'STATUS' ? 50 : 11);
      if (verb !== 'DEL') assert.match(`${msg} ${details}`, /may not use the agent's socket/);
    });
  }
});

/** A command with the relay at its end, and a configuration on its stdin. */
async function execute(
  [command = '', ...args]: readonly string[],
  env: Record<string, string>,
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawn(command, args, { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...env } });
  child.stdin.end('{"cniVersion":"1.0.0","name":"weft"}');
  return await finished(child);
}
