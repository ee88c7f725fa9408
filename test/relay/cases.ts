/** The relay beside agents of every kind, and without one: cases for each way to compile it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { decodeRequest, encodeAnswer, limits, RequestReader } from '../../plugin/contract/wire.ts';
import { answer } from '../../plugin/protocol/answer.ts';
import type { PluginAnswer } from '../../plugin/protocol/call.ts';
import { cniVersions } from '../../plugin/protocol/version.ts';
import { type Ran, RelayGround } from './relay.ts';

export function relayCases(kind: 'bare' | 'sanitized'): void {
  describe(`the relay, ${kind}`, () => casesOf(kind));
}

function casesOf(kind: 'bare' | 'sanitized'): void {
  /** Patient with agents of ours on a machine that is busy; and one that gives up soon. */
  const ground = new RelayGround({ answerSeconds: 60, kind });
  const hasty = new RelayGround({ answerSeconds: 1, kind });
  const grounds = [ground, hasty];
  after(() => {
    for (const each of grounds) each.remove();
  });
  beforeEach(() => {
    for (const each of grounds) each.clear();
  });

  /** An agent that reads a whole request and then does something with the connection. */
  const afterRequest = (act: (socket: Socket, request: Buffer) => void) => (socket: Socket) => {
    const reader = new RequestReader();
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (reader.push(chunk)) act(socket, Buffer.concat(chunks));
    });
    socket.resume();
  };

  const answering = (given: PluginAnswer) => afterRequest((socket) => socket.end(encodeAnswer(given)));

  /** What a runtime sees of a refusal. */
  function refusalIn({ status, stdout }: Ran): { status: number | null; code: number; cniVersion: string } {
    const { code, cniVersion } = JSON.parse(stdout);
    return { status, code, cniVersion };
  }

  /** What a verb gets when nobody does it. */
  async function assertNotDone(ran: Ran, verb: string, on = ground): Promise<void> {
    if (verb === 'DEL') {
      assert.deepEqual([ran.status, ran.stdout], [0, '']);
      assert.match(ran.stderr, /DEL deferred/);
      const [owed, ...others] = on.tombstones();
      assert.deepEqual([owed?.env.CNI_COMMAND, owed?.env.CNI_CONTAINERID, others], ['DEL', 'c1', []]);
      assert.match(Buffer.from(owed?.stdin ?? []).toString(), /"name":"weft"/);
    } else {
      const code = verb === 'STATUS' ? 50 : 11;
      assert.deepEqual(refusalIn(ran), { status: 1, code, cniVersion: '1.0.0' });
      assert.deepEqual(on.tombstones(), []);
    }
  }

  const verbs = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'];

  describe('with an agent', () => {
    it("gives the runtime the agent's answer", async () => {
      const given = { status: 3, stdout: '{"ips":[]}\n', stderr: 'words\n' };
      await ground.listening(answering(given), async () => {
        assert.deepEqual(await ground.run(), { ...given, signal: null });
      });
    });

    it('says what the runtime said, and nothing of the rest of the environment', async () => {
      const requests: Buffer[] = [];
      const note = afterRequest((socket, request) => {
        requests.push(request);
        socket.end(encodeAnswer({ status: 0, stdout: '', stderr: '' }));
      });
      await ground.listening(note, async () => {
        const env = { CNI_ARGS: 'A=1;B=ü', TRACEPARENT: '00-1', SECRET: 'x', CNI: 'no' };
        await ground.run({ verb: 'CHECK', env, stdin: '{}' });
      });
      assert.deepEqual(requests.map(decodeRequest), [
        {
          env: {
            CNI_COMMAND: 'CHECK',
            CNI_CONTAINERID: 'c1',
            CNI_IFNAME: 'eth0',
            CNI_ARGS: 'A=1;B=ü',
            TRACEPARENT: '00-1',
          },
          stdin: Buffer.from('{}'),
        },
      ]);
    });

    it('carries the largest request and the largest answer, in pieces', async () => {
      const stdin = Buffer.alloc(limits.bodyBytes, '{"a":1} ');
      const given = { status: 0, stdout: 'x'.repeat(limits.bodyBytes - 5), stderr: 'y'.repeat(5) };
      const inPieces = afterRequest((socket, request) => {
        assert.equal(decodeRequest(request).stdin.length, stdin.length);
        const bytes = encodeAnswer(given);
        for (const [from, to] of [
          [0, 3],
          [3, 16],
          [16, 17],
          [17, 90_000],
          [90_000, undefined],
        ] as const) {
          socket.write(bytes.subarray(from, to));
        }
      });
      await ground.listening(inPieces, async () => {
        const ran = await ground.run({ stdin });
        assert.ok(ran.stdout === given.stdout && ran.stderr === given.stderr);
        assert.equal(ran.status, 0);
      });
    });

    for (const verb of verbs) {
      it(`that is stuck: ${verb} is not left waiting`, async () => {
        hasty.standalone('echo executed twice');
        await hasty.listening(
          afterRequest(() => {}),
          async () => {
            await assertNotDone(await hasty.run({ verb }), verb, hasty);
          },
        );
      });

      it(`that dies at work: ${verb} is not done twice`, async () => {
        ground.standalone('echo executed twice');
        await ground.listening(
          afterRequest((socket) => socket.destroy()),
          async () => {
            await assertNotDone(await ground.run({ verb }), verb);
          },
        );
      });
    }

    it('that does not even take the request is stuck as well', async () => {
      await hasty.listening(
        () => {},
        async () => {
          await assertNotDone(
            await hasty.run({ stdin: `{"cniVersion":"1.0.0"${' '.repeat(1 << 20)}}` }),
            'ADD',
            hasty,
          );
        },
      );
    });

    it('that goes away before it has read the request leaves the call to the standalone plugin', async () => {
      ground.standalone('echo "$CNI_COMMAND"; cat');
      for (const stdin of ['{}', ' '.repeat(1 << 20)]) {
        await ground.listening(
          (socket) => void setImmediate(() => socket.destroy()),
          async () => {
            const ran = await ground.run({ stdin });
            assert.deepEqual([ran.status, ran.stdout], [0, `ADD\n${stdin}`]);
          },
        );
      }
    });

    it('that goes away before it has read the request is asked again where the next one has its socket', async () => {
      ground.standalone('echo standalone');
      let connections = 0;
      const given = { status: 0, stdout: 'the next one', stderr: '' };
      await ground.listening(
        (socket) =>
          connections++ === 0 ? void setImmediate(() => socket.destroy()) : answering(given)(socket),
        async () => {
          assert.equal((await ground.run()).stdout, 'the next one');
        },
      );
    });

    it('whose answer is none counts as one that did not answer', async () => {
      const torn = encodeAnswer({ status: 0, stdout: 'abc', stderr: '' });
      const lengths = (out: number, err: number) => {
        const bytes = Buffer.from(torn);
        bytes.writeUInt32LE(out, 8);
        bytes.writeUInt32LE(err, 12);
        return bytes;
      };
      const answers = [
        Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
        torn.subarray(0, 15),
        torn.subarray(0, -1),
        Buffer.from(torn).fill(9, 4, 5),
        lengths(0xffff_ffff, 0xffff_ffff),
        lengths(limits.bodyBytes, 1),
        Buffer.concat([lengths(2 * limits.bodyBytes, 0), Buffer.alloc(2 * limits.bodyBytes)]),
      ];
      for (const bytes of answers) {
        await ground.listening(
          afterRequest((socket) => socket.end(bytes)),
          async () => {
            await assertNotDone(await ground.run(), 'ADD');
          },
        );
      }
    });

    it('of another user is not asked', async () => {
      ground.standalone('echo standalone');
      // Owned by nobody, and nobody says when it listens.
      const script = `require('net').createServer((s)=>s.on('data',()=>console.log('asked'))).listen(process.argv[1],()=>console.log('listening'))`;
      chownSync(ground.runDir, 65534, 65534);
      const other = spawn(process.execPath, ['-e', script, ground.socket], {
        uid: 65534,
        gid: 65534,
        cwd: '/',
      });
      let said = '';
      other.stdout.on('data', (text) => {
        said += text;
      });
      try {
        await once(other.stdout, 'data');
        const ran = await ground.run();
        assert.equal(ran.stdout, 'standalone\n');
        assert.match(ran.stderr, /another user listens/);
        assert.equal(said, 'listening\n');
      } finally {
        other.kill();
        await once(other, 'close');
      }
    });

    it('ends when the runtime kills it, and the agent sees that', async () => {
      let gone: (() => void) | undefined;
      const noticed = new Promise<void>((resolve) => {
        gone = resolve;
      });
      let killed: ReturnType<typeof ground.start> | undefined;
      const behaviour = afterRequest((socket) => {
        socket.on('end', () => gone?.());
        killed?.kill('SIGKILL');
      });
      await ground.listening(behaviour, async () => {
        killed = ground.start();
        killed.stdin?.end('{}');
        await noticed;
      });
    });
  });

  describe('without an agent', () => {
    const leftovers: Readonly<Record<string, () => void>> = {
      'no socket': () => {},
      'a file in its place': () => writeFileSync(ground.socket, ''),
      'no runDir': () => rmSync(ground.runDir, { recursive: true }),
    };
    for (const [what, leave] of Object.entries(leftovers)) {
      it(`(${what}) the standalone plugin does the call`, async () => {
        leave();
        ground.standalone('echo "$CNI_CONTAINERID $SECRET"; cat; exit 7');
        const ran = await ground.run({ env: { SECRET: 'x' }, stdin: '{"a":1}' });
        assert.deepEqual([ran.status, ran.stdout], [7, 'c1 x\n{"a":1}']);
      });
    }

    it('and with a socket that nobody listens on, too', async () => {
      ground.standalone('echo standalone');
      const script = `require('net').createServer().listen(process.argv[1],()=>process.kill(process.pid,'SIGKILL'))`;
      await once(spawn(process.execPath, ['-e', script, ground.socket]), 'close');
      await assert.rejects(once(connect(ground.socket), 'connect'), { code: 'ECONNREFUSED' });
      assert.equal((await ground.run()).stdout, 'standalone\n');
    });

    for (const verb of verbs) {
      it(`nor a standalone plugin: ${verb} is answered all the same`, async () => {
        await assertNotDone(await ground.run({ verb }), verb);
      });
    }

    it('nor a standalone plugin that can be executed: neither', async () => {
      writeFileSync(join(ground.directory, 'weft-standalone'), 'no script', { mode: 0o644 });
      await assertNotDone(await ground.run(), 'ADD');
      ground.standalone('');
      writeFileSync(join(ground.directory, 'weft-standalone'), '#!/no/such/interpreter\n');
      await assertNotDone(await ground.run(), 'ADD');
    });

    for (const verb of verbs) {
      it(`nor a program in PATH that runs the standalone plugin: ${verb} is answered all the same`, async () => {
        for (const PATH of ['/usr/bin:/bin', '']) {
          ground.clear();
          ground.standalone('', '/usr/bin/env no-such-program');
          await assertNotDone(await ground.run({ verb, env: { PATH } }), verb);
        }
      });
    }

    it('the program that runs the standalone plugin is looked for in PATH', async () => {
      ground.standalone('echo "$0 $1"; cat', '/usr/bin/env sh');
      for (const PATH of ['/no/such/folder::/usr/bin:/bin', '/bin', `${'/long'.repeat(1000)}:/bin:`]) {
        const ran = await ground.run({ env: { PATH }, stdin: '{}' });
        assert.deepEqual([ran.status, ran.stdout], [0, `${join(ground.directory, 'weft-standalone')} \n{}`]);
      }
    });

    it('a DEL that cannot be kept is not promised', async () => {
      writeFileSync(join(ground.runDir, 'tombstones'), 'in the way');
      assert.equal(refusalIn(await ground.run({ verb: 'DEL' })).code, 11);
    });

    it('every DEL that is promised has a tombstone of its own', async () => {
      await Promise.all(Array.from({ length: 10 }, () => ground.run({ verb: 'DEL' })));
      assert.equal(ground.tombstones().length, 10);
    });
  });

  describe('VERSION', () => {
    const verbsOfNobody = {
      add: () => assert.fail('called'),
      del: () => assert.fail('called'),
      check: () => assert.fail('called'),
      gc: () => assert.fail('called'),
      status: () => assert.fail('called'),
    };

    it('is what the plugin would say, whether anybody is there or not', async () => {
      const inputs = ['', ...cniVersions.map((version) => JSON.stringify({ cniVersion: version }, null, 1))];
      for (const stdin of inputs) {
        const call = { env: { CNI_COMMAND: 'VERSION' }, stdin: Buffer.from(stdin) };
        const ran = await ground.run({ verb: 'VERSION', stdin });
        assert.deepEqual(JSON.parse(ran.stdout), JSON.parse((await answer(call, verbsOfNobody)).stdout));
        assert.equal(ran.status, 0);
      }
    });

    it('does not wait for an input that never ends', async () => {
      const child = ground.start({ verb: 'VERSION' });
      const [text] = await once(child.stdout ?? assert.fail(), 'data');
      assert.match(String(text), /"supportedVersions":\[/);
      child.stdin?.end();
    });
  });

  describe('bad input', () => {
    it('that is too large is refused', async () => {
      const ran = await ground.run({ stdin: Buffer.alloc(limits.bodyBytes + 1, ' ') });
      assert.equal(JSON.parse(ran.stdout).code, 7);
    });

    it('that cannot be read is refused', async () => {
      const ran = await ground.shell('"$0" < /');
      assert.equal(JSON.parse(ran.stdout).code, 5);
    });

    it('of nothing is handed on', async () => {
      ground.standalone('wc -c');
      assert.equal((await ground.run({ stdin: '' })).stdout.trim(), '0');
      assert.equal((await ground.shell('"$0" <&-')).stdout.trim(), '0');
    });

    it('in the environment that is too large is refused', async () => {
      const ran = await ground.run({ env: { CNI_ARGS: 'x'.repeat(limits.environmentBytes) } });
      assert.equal(JSON.parse(ran.stdout).code, 4);
    });

    it('names the version only if it looks like one', async () => {
      const texts = [
        '{"cniVersion":"1.0.0\\"x"}',
        '{"cniVersion":',
        '{"cniVersion"',
        '{"cniVersion":"0.3.1',
        '"cniVersion":1',
      ];
      for (const stdin of texts) assert.equal(refusalIn(await ground.run({ stdin })).cniVersion, '1.1.0');
      assert.equal(refusalIn(await ground.run({ stdin: '{ "cniVersion" :\n"0.3.1"}' })).cniVersion, '0.3.1');
    });

    it('as outputs that are closed is an error and no crash', async () => {
      await ground.listening(answering({ status: 0, stdout: '{}', stderr: 'words' }), async () => {
        for (const script of ['"$0" </dev/null >&-', '"$0" <&- >&- 2>&-', '"$0" </dev/null | true']) {
          const { status, stderr } = await ground.shell(script);
          assert.ok(status === 0 || status === 1, `${script}: ${status} ${stderr}`);
        }
      });
    });
  });
}
