/** The CNI socket: what a relay gets, in what order, and what everybody else gets. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import { listenAt, takePassedSocket } from '../../../agent/serve/cni-listen.ts';
import { CniServer } from '../../../agent/serve/cni-server.ts';
import { decodeAnswer, encodeRequest } from '../../../plugin/contract/wire.ts';
import { ask, callOf, dial, done, gate, send, until, withAgent } from './agent.ts';

describe('CNI call', () => {
  it("request: the answer is the plugin's", async () => {
    const answer = { status: 1, stdout: '{"code":7}\n', stderr: 'no\n' };
    const calls: unknown[] = [];
    const agent = {
      answer: async (call: unknown) => {
        calls.push(call);
        return answer;
      },
    };
    await withAgent(agent, async ({ path }) => {
      assert.deepEqual(await ask(path, callOf()), answer);
      assert.deepEqual(calls, [callOf()]);
    });
  });

  it('request in pieces: answered after its last byte', async () => {
    await withAgent({}, async ({ path }) => {
      const { socket, received } = dial(path);
      for (const byte of encodeRequest(callOf())) {
        socket.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.deepEqual(decodeAnswer(await received), done);
    });
  });

  it('caller reads slowly: the answer is complete', async () => {
    const answer = { ...done, stdout: 'x'.repeat(4 << 20) };
    await withAgent({ answer: async () => answer }, async ({ path }) => {
      assert.deepEqual(await ask(path, callOf()), answer);
    });
  });

  it('two calls of one attachment: the second waits; another attachment does not', async () => {
    const order: string[] = [];
    const first = gate();
    const begun = gate();
    await withAgent(
      {
        answer: async ({ env }) => {
          order.push(`${env.CNI_COMMAND} ${env.CNI_CONTAINERID}`);
          begun.open();
          if (order.length === 1) await first.opened;
          return done;
        },
      },
      async ({ path, server }) => {
        const add = ask(path, callOf());
        await begun.opened;
        const del = ask(path, callOf({ CNI_COMMAND: 'DEL' }));
        await ask(path, callOf({ CNI_CONTAINERID: 'c2' }));
        await ask(path, callOf({ CNI_IFNAME: 'net1' }));
        assert.deepEqual(server.load, { working: 1, waiting: 1 });
        first.open();
        await Promise.all([add, del]);
        assert.deepEqual(order, ['ADD c1', 'ADD c2', 'ADD c1', 'DEL c1']);
      },
    );
  });

  it('more calls than the limit: the rest wait in order', async () => {
    const work = gate();
    const answer = async () => {
      await work.opened;
      return done;
    };
    await withAgent({ answer, concurrency: 3 }, async ({ path, server }) => {
      const calls = Array.from({ length: 50 }, (_, i) => ask(path, callOf({ CNI_CONTAINERID: `c${i}` })));
      await until(() => server.load.waiting === 47);
      assert.equal(server.load.working, 3);
      work.open();
      const answers = await Promise.all(calls);
      assert.ok(answers.every(({ status }) => status === 0));
    });
  });

  it('call at its deadline: its signal aborts', async () => {
    const late = async (_: unknown, signal: AbortSignal) => {
      await once(signal, 'abort');
      throw signal.reason;
    };
    await withAgent({ answer: late, workMs: 1 }, async ({ path }) => {
      const { status, stdout } = await ask(path, callOf());
      assert.deepEqual([status, JSON.parse(stdout).code], [1, 11]);
    });
  });
});

describe('CNI caller that disconnects', () => {
  it('during its call: the call is aborted', async () => {
    const begun = gate();
    const aborted = gate();
    const answer = async (_: unknown, signal: AbortSignal) => {
      begun.open();
      await once(signal, 'abort');
      aborted.open();
      return done;
    };
    await withAgent({ answer }, async ({ path }) => {
      const { socket } = dial(path);
      socket.write(encodeRequest(callOf()));
      await begun.opened;
      socket.destroy();
      await aborted.opened;
    });
  });

  it('while its call waits: the call is not executed', async () => {
    const first = gate();
    const worked: (string | undefined)[] = [];
    const answer = async ({ env }: { env: Readonly<Record<string, string | undefined>> }) => {
      worked.push(env.CNI_COMMAND);
      await first.opened;
      return done;
    };
    const records: string[] = [];
    const recorded = gate();
    const onCall = ({ verb }: { verb: string }) => {
      records.push(verb);
      if (verb === 'DEL') recorded.open();
    };
    await withAgent({ answer, onCall }, async ({ path, server }) => {
      const add = ask(path, callOf());
      await until(() => server.load.working === 1);
      const { socket } = dial(path);
      await once(socket, 'connect');
      socket.write(encodeRequest(callOf({ CNI_COMMAND: 'DEL' })));
      await until(() => server.load.waiting === 1);
      socket.destroy();
      await recorded.opened;
      first.open();
      await add;
      assert.deepEqual(worked, ['ADD']);
    });
  });
});

describe('CNI connection with a bad request', () => {
  it('garbage: closed, and the next call is answered', async () => {
    await withAgent({}, async ({ path }) => {
      const request = encodeRequest(callOf());
      const nonsense = [
        randomBytes(40),
        Buffer.from('GET / HTTP/1.1\r\n\r\n'),
        Buffer.concat([request, request]),
        Buffer.from(request).fill(255, 8, 16),
      ];
      for (const bytes of nonsense) assert.equal((await send(path, bytes).catch(() => '')).length, 0);
      assert.equal((await ask(path, callOf())).status, 0);
    });
  });

  it('unsupported wire version: the answer says so', async () => {
    await withAgent({}, async ({ path }) => {
      const request = encodeRequest(callOf());
      request.writeUInt8(2, 4);
      const { status, stdout } = decodeAnswer(await send(path, request));
      assert.equal(status, 1);
      assert.match(stdout, /"code":11,"msg":"the relay speaks wire format 2/);
    });
  });

  it('slow client: connection is closed at the request deadline', async () => {
    await withAgent({ readMs: 50 }, async ({ path, events }) => {
      const { socket, received } = dial(path);
      const drip = setInterval(() => socket.write('W'.slice(0, 1)), 5);
      socket.write('WEFT');
      await received.catch(() => undefined);
      clearInterval(drip);
      assert.ok(events.length > 0);
    });
  });

  it('1000 idle connections: the next call is answered', async () => {
    await withAgent({ readMs: 60_000 }, async ({ path }) => {
      const idle = Array.from({ length: 1000 }, () => dial(path).socket);
      await Promise.all(idle.map((socket) => once(socket, 'connect')));
      assert.equal((await ask(path, callOf())).status, 0);
      for (const socket of idle) socket.destroy();
    });
  });
});

describe('CNI socket', () => {
  it('mode: accessible to its owner only', async () => {
    await withAgent({}, async ({ path }) => {
      assert.equal(statSync(path).mode & 0o777, 0o600);
    });
  });

  it('stale socket file: replaced', async () => {
    await withAgent({}, async ({ path, server }) => {
      await server.drain(0);
      const leftovers = [
        () => {},
        () => {
          rmSync(path);
          writeFileSync(path, '');
        },
      ];
      for (const leave of leftovers) {
        leave();
        const next = new CniServer({ answer: async () => done, log: { warn() {}, error() {} } });
        next.listen(await listenAt(path));
        assert.equal((await ask(path, callOf())).status, 0);
        await next.drain(0);
      }
    });
  });

  it('socket of a running agent: refused', async () => {
    await withAgent({}, async ({ path }) => {
      await assert.rejects(listenAt(path), AgentError);
      assert.equal((await ask(path, callOf())).status, 0);
    });
  });

  it('LISTEN_PID of another process: the passed socket is not used', () => {
    const env = { LISTEN_PID: '1', LISTEN_FDS: '1', OTHER: 'x' };
    assert.equal(takePassedSocket(env), undefined);
    assert.deepEqual(env, { OTHER: 'x' });
    const two = { LISTEN_PID: String(process.pid), LISTEN_FDS: '2' };
    assert.throws(() => takePassedSocket(two), AgentError);
  });
});

describe('CNI server at stop', () => {
  it('drain: running calls are answered, waiting connections closed, none accepted', async () => {
    const work = gate();
    const begun = gate();
    const answer = async () => {
      begun.open();
      await work.opened;
      return done;
    };
    await withAgent({ answer }, async ({ path, server }) => {
      const silent = dial(path);
      await once(silent.socket, 'connect');
      const call = ask(path, callOf());
      await begun.opened;
      const drained = server.drain(60_000);
      await silent.received;
      await assert.rejects(ask(path, callOf({ CNI_CONTAINERID: 'c2' })), { code: 'ECONNREFUSED' });
      work.open();
      assert.equal((await call).status, 0);
      await drained;
    });
  });

  it('drain at its deadline: ends while a call still runs', async () => {
    const begun = gate();
    const answer = async (_: unknown, signal: AbortSignal) => {
      begun.open();
      await once(signal, 'abort');
      return done;
    };
    await withAgent({ answer }, async ({ path, server }) => {
      const call = send(path, encodeRequest(callOf()));
      await begun.opened;
      await server.drain(1);
      assert.equal((await call).length, 0);
    });
  });
});
