/** Bridges that change between two ADDs of one process, bridges of the operator, and what dead pods still hold. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { bridgeMac } from '../../../plugin/attach/names.ts';
import { addressOf, enterHost, ipJson, leaveHost, Plugin, Pod, ping, run, waitFor } from './ground.ts';

before(enterHost);
after(leaveHost);

const ip = (...args: string[]): string => run('ip', ...args);
const bridge = (name: string) => ipJson('link', 'show', name)[0];
const forwarding = () => run('sysctl', '-n', 'net.ipv4.ip_forward').trim();
const ranges = (more: object = {}) => ({
  name: 'ranges',
  bridge: 'br5',
  isGateway: true,
  ipam: { type: 'host-local', subnet: '10.5.0.0/24' },
  ...more,
});

let plugin: Plugin;
let pods: Pod[];
beforeEach(() => {
  plugin = new Plugin();
  plugin.lease();
  pods = [];
});
afterEach(() => {
  for (const pod of pods) if (pod.exists) pod.destroy();
  plugin.dispose();
});
const attach = async (more: Parameters<Plugin['do']>[2] = {}) => {
  const pod = new Pod();
  pods.push(pod);
  return { pod, result: await plugin.must('ADD', pod, more) };
};

describe('bridge that was changed after the first ADD of a process', () => {
  const changes: Record<string, [change: () => void, isRight: () => boolean]> = {
    'MTU lowered': [() => ip('link', 'set', 'cni0', 'mtu', '1300'), () => bridge('cni0').mtu === 1450],
    down: [() => ip('link', 'set', 'cni0', 'down'), () => bridge('cni0').flags.includes('UP')],
    'address removed': [
      () => ip('address', 'flush', 'dev', 'cni0'),
      () => ip('-o', 'address', 'show', 'cni0').includes('10.244.1.1/24'),
    ],
    'forwarding switched off': [
      () => run('sysctl', '-qw', 'net.ipv4.ip_forward=0'),
      () => forwarding() === '1',
    ],
    'promiscuous mode switched off': [
      () => ip('link', 'set', 'cni0', 'promisc', 'off'),
      () => bridge('cni0').flags.includes('PROMISC'),
    ],
    renamed: [
      () => {
        ip('link', 'set', 'cni0', 'down');
        ip('link', 'set', 'cni0', 'name', 'renamed');
        ip('address', 'flush', 'dev', 'renamed');
      },
      () => bridge('cni0').linkinfo.info_kind === 'bridge',
    ],
  };
  for (const [what, [change, isRight]] of Object.entries(changes)) {
    it(`${what}: the next ADD restores it`, async () => {
      plugin.config = { promiscMode: true, hairpinMode: false, mtu: 1450 };
      await attach();
      change();
      assert.ok(!isJust(isRight), 'the change had no effect');
      const { result } = await attach();
      assert.ok(isRight());
      ping(addressOf(result));
    });
  }

  it('address of another network with forceAddress: the next ADD is refused', async () => {
    await attach();
    plugin.config = { ...ranges({ bridge: 'cni0', forceAddress: true }) };
    await attach();
    plugin.config = {};
    const pod = new Pod();
    pods.push(pod);
    const { status, json } = await plugin.do('ADD', pod);
    assert.equal(status, 1);
    assert.match(json.msg, /"cni0" already has an IP address different from 10\.244\.1\.1\/24/);
  });
});

/** False where it throws. */
function isJust(question: () => boolean): boolean {
  try {
    return question();
  } catch {
    return false;
  }
}

describe('bridge of the operator', () => {
  beforeEach(() => {
    ip('link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'switch');
    ip('link', 'add', 'br5', 'mtu', '9000', 'type', 'bridge');
    ip('link', 'set', 'uplink', 'mtu', '9000', 'master', 'br5', 'up');
    run('sysctl', '-qw', 'net.ipv6.conf.br5.accept_ra=2');
  });

  it('ADD and DEL with an MTU: its MTU, MAC, alias and settings are unchanged', async () => {
    const was = bridge('br5');
    plugin.config = ranges({ mtu: 1400 });
    const { pod, result } = await attach();
    const state = () => {
      const { mtu, address, ifalias } = bridge('br5');
      return { mtu, address, ifalias, acceptRa: run('sysctl', '-n', 'net.ipv6.conf.br5.accept_ra').trim() };
    };
    const expected = { mtu: 9000, address: was.address, ifalias: undefined, acceptRa: '2' };
    assert.deepEqual(state(), expected);
    assert.equal(pod.ipJson('link', 'show', 'eth0')[0].mtu, 1400);
    ping(addressOf(result));
    await plugin.must('DEL', pod);
    assert.deepEqual(state(), expected);
  });

  it('down: ADD sets it up', async () => {
    ip('link', 'set', 'br5', 'down');
    plugin.config = ranges();
    const { result } = await attach();
    ping(addressOf(result));
  });
});

describe('bridge of weft', () => {
  it('created: it is marked, and keeps its MAC and MTU while ports come and go', async () => {
    plugin.config = ranges({ mtu: 1400 });
    const { pod } = await attach();
    const { address } = bridge('br5');
    assert.equal(bridge('br5').ifalias, 'weft:bridge');
    await plugin.must('DEL', pod);
    await attach();
    assert.deepEqual([bridge('br5').address, bridge('br5').mtu], [address, 1400]);
  });

  it('of flannel, with the leased network: it is adopted with its MAC', async () => {
    ip('link', 'add', 'cni0', 'address', '0a:58:0a:f4:01:01', 'type', 'bridge');
    ip('address', 'add', '10.244.1.1/24', 'dev', 'cni0');
    await attach();
    assert.equal(bridge('cni0').address, '0a:58:0a:f4:01:01');
    assert.deepEqual([bridge('cni0').ifalias, bridge('cni0').mtu], ['weft:bridge', 1450]);
  });

  it('same name and gateway on another host: it has another MAC', () => {
    const [here, there] = ['host-a', 'host-b'].map((host) => bridgeMac('cni0', ['10.5.0.1'], host));
    assert.notEqual(here, there);
    assert.equal(bridgeMac('cni0', ['10.5.0.1']), bridgeMac('cni0', ['10.5.0.1']));
  });
});

describe('pod that died without DEL', () => {
  const die = async (pod: Pod) => {
    const [{ ifname }] = ipJson('link', 'show', 'type', 'veth');
    pod.destroy();
    await waitFor(() => ipJson('link', 'show', 'type', 'veth').every((each) => each.ifname !== ifname));
  };
  const hostPort = {
    runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
  };

  it('its host port: the next ADD gets it', async () => {
    const { pod } = await attach({ config: hostPort });
    await die(pod);
    await attach({ config: hostPort });
    assert.equal(plugin.records().length, 1);
  });

  it('its address: an ADD that requests it gets it', async () => {
    const { pod, result } = await attach();
    await die(pod);
    const again = await attach({ config: { runtimeConfig: { ips: [addressOf(result)] } } });
    assert.equal(addressOf(again.result), addressOf(result));
  });

  it('the last free address: the next ADD gets it', async () => {
    plugin.config = ranges({ ipam: { type: 'host-local', subnet: '10.5.0.0/30' } });
    const { pod, result } = await attach();
    await die(pod);
    assert.equal(addressOf((await attach()).result), addressOf(result));
  });

  it('host port of a pod that lives: refused', async () => {
    await attach({ config: hostPort });
    const pod = new Pod();
    pods.push(pod);
    await plugin.refused(103, /8080.*already mapped/, 'ADD', pod, { config: hostPort });
    assert.equal(plugin.records().length, 1);
  });
});
