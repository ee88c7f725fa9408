import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { mustRun, run } from '../../lab/command.ts';
import { Lab } from '../../lab/lab.ts';
import { labName, leftovers, withLab } from './ground.ts';

const weftctl = fileURLToPath(new URL('../../../dist/bin/weftctl', import.meta.url));
const demoScript = fileURLToPath(new URL('../../scripts/demo.js', import.meta.url));
const lab = (name: string, ...args: string[]) =>
  run([process.execPath, weftctl, 'lab', '--name', name, ...args]);

describe('weftctl lab', () => {
  it('brings up a cluster that other invocations use and one takes down', async () => {
    const name = labName('cli');
    try {
      const up = await lab(name, 'up', '--nodes', '2');
      assert.equal(up.status, 0, up.stderr);
      assert.match(up.stdout, /^node-2 192\.168\.188\.102$/m);
      const made = await lab(name, 'pod', 'node-1', 'a');
      assert.match(made.stdout, /^a on node-1: 10\.244\.\d+\.\d+\n$/, made.stderr);
      await lab(name, 'pod', 'node-2', 'b');

      const ping = await lab(name, 'ping');
      assert.match(ping.stdout, /^4 of 4 answered$/m);
      assert.equal(ping.status, 0);

      assert.equal((await lab(name, 'exec', 'node-1', '--', 'hostname')).stdout, 'node-1\n');
      assert.equal((await lab(name, 'exec', 'a', '--', 'sh', '-c', 'exit 7')).status, 7);
      assert.equal((await lab(name, 'exec', 'a', 'ip', '-br', 'link', 'show', 'eth0')).status, 0);

      const again = await lab(name, 'pod', 'node-2', 'a');
      assert.deepEqual([again.status, again.stderr], [1, 'weftctl: the pod a exists, on node-1\n']);
      const nowhere = await lab(name, 'exec', 'c', '--', 'true');
      assert.deepEqual(
        [nowhere.status, nowhere.stderr],
        [1, `weftctl: no pod c in the lab ${name}: it has a, b\n`],
      );

      assert.equal((await lab(name, 'rm', 'b')).status, 0);
      assert.match((await lab(name, 'ping')).stdout, /^1 of 1 answered$/m);
      const twice = await lab(name, 'up');
      assert.equal(twice.status, 1);
      assert.match(
        twice.stderr,
        new RegExp(`^weftctl: the lab ${name} exists: "weftctl lab --name ${name} down"`),
      );
    } finally {
      assert.equal((await lab(name, 'down')).status, 0);
    }
    assert.deepEqual(await leftovers(name), []);
    assert.equal((await lab(name, 'down')).status, 0, 'down of nothing succeeds');
  });

  it('has exit status 1 when a ping is lost', async () => {
    const name = labName('loss');
    await withLab({ name, nodes: 2 }, async (up) => {
      await up.pod('node-1', 'a');
      const b = await up.pod('node-2', 'b');
      await mustRun(b.command(['ip', 'link', 'set', 'eth0', 'down']));
      const ping = await lab(name, 'ping');
      assert.equal(ping.status, 1);
      assert.match(ping.stdout, /^a .*\blost\b/m);
    });
  });

  it('can be there twice, with the same addresses, and each takes down its own', async () => {
    const names = [labName('one'), labName('one-node-1')] as const;
    await withLab({ name: names[0], withoutAgents: true }, async (one) => {
      await withLab({ name: names[1], withoutAgents: true, nodes: 1 }, async () => {});
      assert.deepEqual(await leftovers(names[1]), []);
      const ping = await one.node('node-1').exec(['ping', '-c', '1', '-W', '2', '192.168.188.103']);
      assert.equal(ping.status, 0, 'the other lab is whole');
    });
    assert.deepEqual(await leftovers(names[0]), []);
  });

  // Milliseconds of `lab up` until it is killed: none is special, together they cover it all.
  for (const ms of [60, 90, 120, 150, 180, 220, 300, 450, 700]) {
    it(`goes down whole after "up" was killed at ${ms} ms`, async () => {
      const name = labName(`killed-${ms}`);
      const up = spawn(process.execPath, [weftctl, 'lab', '--name', name, 'up'], {
        stdio: 'ignore',
        detached: true,
      });
      const ended = new Promise((resolve) => up.once('close', resolve));
      await delay(ms);
      up.kill('SIGKILL');
      await ended;
      assert.equal((await lab(name, 'down')).status, 0);
      assert.deepEqual(await leftovers(name), []);
    });
  }

  it('goes down once, whoever and however many take it down', async () => {
    const name = labName('downs');
    await Lab.up({ name, nodes: 2, withoutAgents: true });
    const downs = await Promise.all([lab(name, 'down'), lab(name, 'down'), Lab.down(name), Lab.down(name)]);
    assert.deepEqual([downs[0]?.stderr, downs[1]?.stderr], ['', '']);
    assert.deepEqual(await leftovers(name), []);
  });

  it('that fails says why, with the end of the log, and leaves nothing', async () => {
    const name = labName('fails');
    await assert.rejects(
      Lab.up({ name, nodes: 1, configuration: { network: 'nonsense' } }),
      (error: Error) => {
        assert.match(error.message, /^weftd on node-1 ended with status 78\n/);
        assert.match(error.message, /weftd\.log:\n.*nonsense/s);
        return true;
      },
    );
    assert.deepEqual(await leftovers(name), []);
  });
});

describe('the network between the nodes', () => {
  it('carries no pod network, and answers ARP for no address of another interface', async () => {
    await withLab({ name: labName('trap'), nodes: 2, withoutAgents: true }, async (up) => {
      const [one, two] = [up.node('node-1'), up.node('node-2')];
      const answers = async (address: string) =>
        (await one.exec(['ping', '-n', '-c', '1', '-W', '1', address])).status === 0;
      assert.equal(await answers('192.168.188.102'), true);
      await two.mustExec(['ip', 'address', 'add', '10.244.2.1/24', 'dev', 'lo']);
      assert.equal(await answers('10.244.2.1'), false, 'by way of the gateway');
      await one.mustExec(['ip', 'route', 'add', '10.244.2.1/32', 'dev', 'eth0']);
      assert.equal(await answers('10.244.2.1'), false, 'by ARP on the underlay');
    });
  });

  it('joins subnets by a router', async () => {
    await withLab({ name: labName('routed'), nodes: 3, subnets: 2, withoutAgents: true }, async (up) => {
      const hops = async (to: string) => {
        const ping = await up.node('node-1').mustExec(['ping', '-n', '-c', '1', '-W', '2', to]);
        return 64 - Number(/ttl=(\d+)/.exec(ping)?.[1]);
      };
      assert.equal(await hops('192.168.188.103'), 0);
      assert.equal(await hops('192.168.189.102'), 1);
    });
  });
});

describe('the demo', () => {
  for (const progress of ['3 nodes', '3 agents', '6 pods', 'round-trip']) {
    it(`cleans up when it is interrupted after "${progress}"`, async () => {
      const demo = spawn(process.execPath, [demoScript], {
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
      let output = '';
      const closed = new Promise<number | null>((resolve) => demo.once('close', resolve));
      for await (const chunk of demo.stdout) {
        if (!output.includes(progress) && `${output}${chunk}`.includes(progress)) demo.kill('SIGINT');
        output += chunk;
      }
      assert.equal(await closed, 1, output);
      assert.match(output, /the lab is down.*\ndemo: ended by SIGINT\n$/);
      assert.deepEqual(await leftovers(`demo-${demo.pid}`), []);
    });
  }
});
