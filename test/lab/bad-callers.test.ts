/** Whatever comes to the CNI socket or to the plugin, the agent lives and serves the next call. */
import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openNetns, within } from '../../kernel/netns.ts';
import type { Outcome } from '../../lab/command.ts';
import { netnsPath } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { encodeRequest } from '../../plugin/contract/wire.ts';
import { labName, withLab } from './ground.ts';

const weft = fileURLToPath(new URL('../../../dist/cni/weft', import.meta.url));
const configuration = JSON.stringify({ cniVersion: '1.0.0', name: 'weft', type: 'weft' });

const variables = (verb: string, pod: string): Record<string, string> => ({
  CNI_COMMAND: verb,
  CNI_CONTAINERID: pod,
  CNI_NETNS: `/run/netns/${pod}`,
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
});

/** The plugin through a shell, for the redirections. `$0` is the plugin. */
const shell = (node: LabNode, script: string, verb = 'ADD', pod = 'p0'): Promise<Outcome> =>
  node.exec(['sh', '-c', script, weft], { env: { ...process.env, ...variables(verb, pod) } });

const call = (node: LabNode, verb: string, pod: string): Promise<Outcome> =>
  shell(node, `printf %s '${configuration}' | "$0"`, verb, pod);

const codeIn = ({ status, stdout }: Outcome): number => {
  assert.equal(status, 1, stdout);
  return JSON.parse(stdout).code;
};

/** From inside the node's network namespace: the agent does nothing for a caller elsewhere. */
async function dial(node: LabNode): Promise<Socket> {
  const netns = openNetns(netnsPath(node.lab, node.name));
  const socket = within(netns, () => connect(node.path('/run/weft/cni.sock')));
  netns.close();
  await once(socket, 'connect');
  socket.on('error', () => {}); // closed as it should be
  socket.resume();
  return socket;
}

const request = encodeRequest({ env: variables('ADD', 'p1'), stdin: Buffer.from(configuration) });

/** Each does something bad, and returns what ends it once a call has been served meanwhile. */
const callers: Readonly<Record<string, (node: LabNode) => Promise<(() => void) | undefined>>> = {
  'more on stdin than may be': async (node) => {
    const script = `head -c 5000000 /dev/zero | tr '\\0' ' ' | "$0"`;
    assert.equal(codeIn(await shell(node, script)), 7);
    return undefined;
  },
  'nothing on stdin': async (node) => {
    assert.equal(codeIn(await shell(node, '"$0" </dev/null')), 6);
    return undefined;
  },
  'stdin that is closed': async (node) => {
    assert.equal(codeIn(await shell(node, '"$0" <&-')), 6);
    return undefined;
  },
  'stdout that is closed': async (node) => {
    const script = `printf %s '${configuration}' | "$0" >&-`;
    assert.ok([0, 1].includes((await shell(node, script)).status ?? -1));
    assert.equal((await call(node, 'DEL', 'p0')).status, 0);
    return undefined;
  },
  '1000 connections that say nothing': async (node) => {
    const sockets = await Promise.all(Array.from({ length: 1000 }, () => dial(node)));
    return () => sockets.forEach((socket) => void socket.destroy());
  },
  '1000 connections that say half of it': async (node) => {
    const sockets = await Promise.all(Array.from({ length: 1000 }, () => dial(node)));
    for (const socket of sockets) socket.write(request.subarray(0, request.length / 2));
    return () => sockets.forEach((socket) => void socket.destroy());
  },
  'one that drips': async (node) => {
    const socket = await dial(node);
    let sent = 0;
    const drip = setInterval(() => socket.write(request.subarray(sent, ++sent)), 50);
    return () => {
      clearInterval(drip);
      socket.destroy();
    };
  },
  'callers that vanish': async (node) => {
    for (let i = 0; i < 50; i++) {
      const socket = await dial(node);
      socket.write(request, () => socket.destroy());
      await once(socket, 'close');
    }
    assert.equal((await call(node, 'DEL', 'p1')).status, 0);
    return undefined;
  },
  'random bytes': async (node) => {
    const closed = Array.from({ length: 200 }, async () => {
      const socket = await dial(node);
      socket.end(randomBytes(randomInt(1, 5000)));
      await once(socket, 'close');
    });
    await Promise.all(closed);
    return undefined;
  },
  'another user': async (node) => {
    chmodSync(node.path('/run/weft/cni.sock'), 0o666);
    const script = `const socket = require('node:net').connect('/run/weft/cni.sock');
      let answer = 0;
      socket.on('error', () => {}).on('data', ({ length }) => { answer += length; });
      socket.on('close', () => console.log(answer, 'bytes'));
      socket.write(Buffer.from('${request.toString('base64')}', 'base64'));`;
    const stranger = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const said = await node.mustExec([...stranger, process.execPath, '-e', script]);
    assert.equal(said, '0 bytes\n');
    assert.match(node.agent.log(), /"event":"cni.callerRefused".*"uid":65534/);
    return undefined;
  },
};

it('bad callers get an error or nothing, and everybody else what they ask for', async (test) => {
  await withLab({ name: labName('callers'), nodes: 1 }, async (lab) => {
    const node = lab.node('node-1');
    for (const pod of ['p0', 'p1']) await node.mustExec(['ip', 'netns', 'add', pod]);
    const { pid } = node.agent.running() ?? assert.fail();
    for (const [what, doIt] of Object.entries(callers)) {
      await test.test(what, async () => {
        const end = await doIt(node);
        for (const verb of ['ADD', 'DEL']) {
          const { status, stdout } = await call(node, verb, 'p0');
          assert.equal(status, 0, `${verb} after it: ${stdout}`);
        }
        end?.();
        assert.equal(node.agent.running()?.pid, pid, 'the agent has been restarted');
      });
    }
  });
});
