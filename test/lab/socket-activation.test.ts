/**
 * A service manager holds the CNI socket, as systemd does: an agent may come and go, and calls wait for the next one.
 * The relay that calls has no standalone plugin beside it: what no agent does fails.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Outcome } from '../../lab/command.ts';
import { onGround } from '../../lab/ground.ts';
import type { LabNode } from '../../lab/node.ts';
import { eventually, labName, withLab } from './ground.ts';

const dist = (path: string): string => fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url));
const configuration = JSON.stringify({ cniVersion: '1.0.0', name: 'weft', type: 'weft' });
const PODS = ['p0', 'p1', 'p2'];
const RESTARTS = 5;

/** Starts an agent for each line that it reads, with the socket as file descriptor 3 (sd_listen_fds(3)). */
const manager = `while read -r _; do
  (exec sh -c 'exec env LISTEN_PID=$$ LISTEN_FDS=1 "$@" >>/run/weftd.log 2>&1' sh "$@") & echo started $!; wait $!; echo gone
done`;

class Manager {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #pid = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout ?? assert.fail() })[Symbol.asyncIterator]();
  }

  static async on(node: LabNode): Promise<Manager> {
    const path = node.path('/run/weft/cni.sock');
    const made = createServer();
    made.listen({ path: `${path}.made`, backlog: 4096 });
    await once(made, 'listening');
    renameSync(`${path}.made`, path);
    const { fd } = (made as unknown as { _handle: { fd: number } })._handle;
    const place = { lab: node.lab, node: node.name };
    const [program = '', ...args] = onGround(place, [
      'sh',
      '-c',
      manager,
      'sh',
      process.execPath,
      dist('bin/weftd'),
    ]);
    const child = spawn(program, args, { env: node.environment(), stdio: ['pipe', 'pipe', 'ignore', fd] });
    made.close(); // ours; theirs stays
    return new Manager(child);
  }

  async start(): Promise<void> {
    this.#child.stdin?.write('\n');
    this.#pid = Number((await this.#said(/^started (\d+)$/))[1]);
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    process.kill(this.#pid, signal);
    await this.#said(/^gone$/);
  }

  async end(): Promise<void> {
    this.#child.stdin?.end();
    await once(this.#child, 'close');
  }

  async #said(expected: RegExp): Promise<RegExpExecArray> {
    const { value } = await this.#lines.next();
    return expected.exec(value) ?? assert.fail(`the service manager says ${value}`);
  }
}

/** ADD then DEL of one pod, until told to stop. */
async function churn(run: {
  call: (verb: string) => Promise<Outcome>;
  stopped: () => boolean;
  mayFail: (verb: string, code: number) => boolean;
}): Promise<number> {
  let pairs = 0;
  for (; !run.stopped(); pairs++) {
    for (const verb of ['ADD', 'DEL']) {
      const { status, stdout, stderr } = await run.call(verb);
      if (status !== 0) assert.ok(run.mayFail(verb, JSON.parse(stdout).code), `${verb}: ${stdout} ${stderr}`);
    }
  }
  return pairs;
}

it('an agent that restarts while calls queue on a passed socket fails none of them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-relay-'));
  const relay = join(folder, 'weft');
  copyFileSync(dist('cni/weft'), relay);
  try {
    await withLab({ name: labName('passed'), nodes: 1 }, async (lab) => {
      const node = lab.node('node-1');
      for (const pod of PODS) await node.mustExec(['ip', 'netns', 'add', pod]);
      await node.agent.stop();
      const service = await Manager.on(node);
      await service.start();
      let stop = false;
      let calls = 0;
      let killed = false;
      const caller = (pod: string) => async (verb: string) => {
        const outcome = await node.exec(['sh', '-c', `printf %s '${configuration}' | ${relay}`], {
          env: {
            ...process.env,
            CNI_COMMAND: verb,
            CNI_CONTAINERID: pod,
            CNI_NETNS: `/run/netns/${pod}`,
            CNI_IFNAME: 'eth0',
            CNI_PATH: '/opt/cni/bin',
          },
        });
        calls++;
        return outcome;
      };
      const atWork = async () => {
        const before = calls;
        await eventually(() => assert.ok(calls > before + 2 * PODS.length, 'the agent serves no calls'));
      };
      const mayFail = (verb: string, code: number) => killed && verb === 'ADD' && code === 11;
      const churning = Promise.all(
        PODS.map((pod) => churn({ call: caller(pod), stopped: () => stop, mayFail })),
      );
      churning.catch(() => {}); // looked at below, and until then the agent goes on being restarted
      for (let i = 0; i < RESTARTS; i++) {
        await atWork();
        await service.stop('SIGTERM');
        await service.start();
      }
      await atWork();
      // Killed, it may take with it what it had read; what waited is the next one's.
      killed = true;
      await service.stop('SIGKILL');
      await service.start();
      await atWork();
      stop = true;
      const pairs = await churning;
      assert.ok(pairs.every((count) => count > 0));
      await service.stop('SIGTERM');
      await service.end();
      const links = await node.mustExec(['ip', '-o', 'link', 'show', 'type', 'veth']);
      assert.doesNotMatch(links, /weft:weft\//);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
