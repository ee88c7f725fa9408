/** Bad input gets one line that says what is wrong, where, and what to do, and a good neighbour is left in peace. */
import assert from 'node:assert/strict';
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Lab } from '../../lab/lab.ts';
import { labFolder } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { lost } from '../../lab/ping.ts';
import { findProduct } from '../../lab/product.ts';
import { labName, leftovers, withLab } from './ground.ts';

const weftd = findProduct().weftd;

/** What weftd wrote on stderr, the last line of its output, after it has refused to run. */
async function refusal(node: LabNode, expected = 1, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { status, log } = await node.agent.runToEnd(env);
  assert.equal(status, expected, log);
  return log.trimEnd().split('\n').at(-1) ?? '';
}

/** The exit status for an invalid weft.yaml, after which systemd does not start it again (EX_CONFIG, sysexits.h). */
const INVALID_CONFIG = 78;

describe('weftd refuses', () => {
  const name = labName('refuses');
  let node: LabNode;
  before(async () => {
    node = (await Lab.up({ name, nodes: 1, withoutAgents: true })).node('node-1');
  });
  after(async () => {
    await Lab.down(name);
    assert.deepEqual(await leftovers(name), []);
  });

  const configurations: [what: string, yaml: string, refusal: RegExp][] = [
    ['a configuration that is no YAML', 'network: [1', /weft\.yaml:1:\d+: .*; weft\.yaml is YAML 1\.2$/],
    ['a key that there is not', 'netwrk: x', /weft\.yaml:1:1: netwrk: unknown key; did you mean network\?$/],
    [
      'a network too small for its node subnets',
      'network: 10.244.0.0/24\nsubnetLength: 24',
      /weft\.yaml:2:15: subnetLength: 10\.244\.0\.0\/24 is too small .*; set subnetLength to /,
    ],
    [
      "a network that overlaps the nodes'",
      'network: 192.168.0.0/16',
      /weft\.yaml: network: .* 192\.168\.0\.0\/16 overlaps .*192\.168\.188\.101\/24 on eth0; choose another network$/,
    ],
    [
      'an interface that there is not',
      'underlay: eth7',
      /weft\.yaml: underlay: there is no interface eth7; this host has eth0 \(192\.168\.188\.101\/24\)$/,
    ],
  ];
  for (const [what, yaml, expected] of configurations) {
    it(what, async () => {
      writeFileSync(node.path('/etc/weft/weft.yaml'), yaml);
      // What contradicts this host may be mended on the host: only an invalid file is final.
      const onHost = /overlaps|no interface/.test(expected.source);
      assert.match(await refusal(node, onHost ? 1 : INVALID_CONFIG), expected);
    });
  }

  it('a configuration that was named and is not there', async () => {
    assert.match(
      await refusal(node, INVALID_CONFIG, { WEFT_CONFIG: '/etc/weft/none.yaml' }),
      /none\.yaml: does not exist; create it/,
    );
  });

  it('to run as anybody but root', async () => {
    const asNobody = ['setpriv', '--reuid', '65534', '--clear-groups'];
    const outcome = await node.exec([...asNobody, process.execPath, weftd]);
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, /: start it as root\n$/);
  });

  it('a node id that a live node has', async () => {
    await withLab({ name: labName('cloned'), nodes: 2, withoutAgents: ['node-2'] }, async (lab) => {
      const [original, clone] = [lab.node('node-1'), lab.node('node-2')];
      cpSync(original.path('/var/lib/weft/node.json'), clone.path('/var/lib/weft/node.json'));
      const id = JSON.parse(await original.mustExec(['cat', '/var/lib/weft/node.json'])).nodeId;
      assert.match(
        await refusal(clone),
        new RegExp(
          `node id ${id} belongs to node "node-1" at 192\\.168\\.188\\.101.*Remove the state directory`,
        ),
      );
      rmSync(clone.path('/var/lib/weft/node.json'));
      await clone.agent.start();
    });
  });

  it('to start where every subnet is taken, and says so', async () => {
    const configuration = { network: '10.244.0.0/24', subnetLength: 26 };
    await withLab(
      { name: labName('full'), nodes: 4, withoutAgents: ['node-4'], configuration },
      async (lab) => {
        assert.match(await refusal(lab.node('node-4')), /10\.244\.0\.0\/24 has no free \/26 left: give back/);
      },
    );
  });
});

describe('a peer whose lease is garbage', () => {
  it('is reported and left alone, and all others work', async () => {
    await withLab({ name: labName('garbage'), nodes: 2 }, async (lab) => {
      const key = 'subnets/10.244.77.0-24';
      writeFileSync(join(labFolder(lab.name), 'store', key), 'garbage');
      await lab.pod('node-1', 'a');
      await lab.node('node-2').agent.stop();
      await lab.node('node-2').agent.start();
      await lab.pod('node-2', 'b');
      assert.deepEqual(lost(await lab.ping()), []);
      assert.match(
        lab.node('node-2').agent.log(),
        new RegExp(`"key":"${key}","reason":"the value is not a JSON`),
      );
    });
  });
});

describe('ADD refuses', () => {
  /** What ADD leaves where it fails: nothing, so this stays as it is. */
  const attached = (node: LabNode) =>
    node.mustExec([
      'sh',
      '-c',
      'ip -o link | grep -o "veth[^@]*" | sort; cd /run/weft; ls ipam/weft attachments',
    ]);

  it('a pod for which no address is left, with nothing half made, and takes one when another goes', async () => {
    const configuration = { network: '10.244.0.0/24', subnetLength: 29 };
    await withLab({ name: labName('range'), nodes: 1, configuration }, async (lab) => {
      for (const name of ['a', 'b', 'c', 'd', 'e']) await lab.pod('node-1', name);
      const before = await attached(lab.node('node-1'));
      await assert.rejects(
        lab.pod('node-1', 'f'),
        /^PluginError: ADD .*no IP addresses available.*: remove pods/,
      );
      assert.equal(await attached(lab.node('node-1')), before);
      await lab.podNamed('c').remove();
      const [address] = (await lab.pod('node-1', 'g')).addresses;
      assert.ok(address);
      assert.deepEqual(lost(await lab.ping()), []);
    });
  });

  it('a bridge that has another address, and leaves it as it is', async () => {
    await withLab({ name: labName('bridge'), nodes: 1 }, async (lab) => {
      const node = lab.node('node-1');
      await node.mustExec(['ip', 'link', 'add', 'cni0', 'type', 'bridge']);
      await node.mustExec(['ip', 'address', 'add', '10.99.0.1/24', 'dev', 'cni0']);
      await assert.rejects(
        lab.pod('node-1', 'a'),
        /"cni0" already has an IP address different from 10\.244\.\d+\.1\/24/,
      );
      const bridge = (await node.json(['ip', '-j', '-4', 'address', 'show', 'dev', 'cni0'])) as {
        addr_info: { local: string }[];
      }[];
      assert.deepEqual(
        bridge[0]?.addr_info.map(({ local }) => local),
        ['10.99.0.1'],
      );
      assert.doesNotMatch(await attached(node), /veth|10\.244/);
    });
  });
});
