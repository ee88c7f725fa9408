/** What options and capabilities do to packets: masquerade, host ports, bandwidth. */
import assert from 'node:assert/strict';
import type { Json } from '../../../json/object.ts';
import type { Case } from '../case.ts';
import { dual, of, type Refusal, type Trial } from '../trial.ts';

/** Reached from everywhere, itself included. */
const open = { isDefaultGateway: true, hairpinMode: true, ipam: dual };

const publishing = (protocol: string, more: Json = {}): Json => ({
  ...open,
  runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol, ...more }] },
});

/** A neighbour of the host on a network of its own, which knows no way to pods. */
const outside = [
  'netns add outside',
  'link add up0 type veth peer name out0 netns outside',
  'link set up0 up',
  'address add 192.0.2.1/24 dev up0',
  'address add 2001:db8::1/64 dev up0 nodad',
  '-n outside link set out0 up',
  '-n outside address add 192.0.2.9/24 dev out0',
  '-n outside address add 2001:db8::9/64 dev out0 nodad',
];

async function assertGone(trial: Trial, what: RegExp): Promise<void> {
  assert.doesNotMatch(await trial.ground.must('nft', 'list', 'ruleset'), what);
}

const limits: [what: string, runtimeConfig: Json, devices: RegExp[]][] = [
  [
    'both ways',
    { bandwidth: { ingressRate: 1e7, ingressBurst: 1e6, egressRate: 2e7, egressBurst: 1e6 } },
    [/^qdisc tbf .* dev veth/, /^qdisc tbf .* dev ifb/],
  ],
  [
    'what it receives',
    { bandWidth: { IngressRate: 1e7, IngressBurst: 0xffff_ffff } },
    [/^qdisc tbf .* dev veth/],
  ],
  ['what it sends', { bandwidth: { egressRate: 1e7, egressBurst: 1e6 } }, [/^qdisc tbf .* dev ifb/]],
  ['nothing where no rate is given', { bandwidth: {} }, []],
];

const refused: [what: string, config: Json, refusal: Refusal][] = [
  ['a host port of 0', publishing('tcp', { hostPort: 0 }), { code: 7, msg: /Invalid host port number: 0/ }],
  ['a container port below 0', publishing('tcp', { containerPort: -1 }), { code: 7, msg: /container port/ }],
  ['a protocol that has no ports', publishing('icmp'), { code: 7, msg: /tcp, udp, sctp, not "icmp"/ }],
  ['a host address that is none', publishing('tcp', { hostIP: 'here' }), { code: 7, msg: /hostIP/ }],
  [
    'a rate without a burst',
    { runtimeConfig: { bandwidth: { ingressRate: 1000 } } },
    { code: 7, msg: /burst must also be set/ },
  ],
  [
    'a burst without a rate',
    { runtimeConfig: { bandwidth: { egressBurst: 1000 } } },
    { code: 7, msg: /rate must also be set/ },
  ],
  [
    'a burst of 4 GiB',
    { runtimeConfig: { bandwidth: { ingressRate: 5000, ingressBurst: 2 ** 35 } } },
    { code: 7, msg: /below 4 GiB/ },
  ],
];

export const trafficCases: readonly Case[] = [
  {
    id: 'ranges',
    title: 'pods of every range of a set reach the host and each other',
    versions: ['1.0.0'],
    oursAlone: true,
    run: async (trial) => {
      const sets = [
        [{ subnet: '10.7.0.0/24', rangeEnd: '10.7.0.2' }, { subnet: '10.8.0.0/24' }],
        [{ subnet: 'fd00:7::/64', rangeEnd: 'fd00:7::2' }, { subnet: 'fd00:8::/64' }],
      ];
      const config = { isDefaultGateway: true, ipam: { type: 'host-local', ranges: sets } };
      for (const pod of ['one', 'two']) {
        await trial.pod(pod);
        const prevResult = await trial.add({ env: of(pod), config });
        await trial.succeeds('CHECK', { env: of(pod), config: { ...config, prevResult } });
      }
      for (const [pod, address] of [
        ['two', '10.8.0.1'],
        ['two', '10.7.0.2'],
        ['one', '10.8.0.2'],
        ['two', 'fd00:7::2'],
      ] as const) {
        await trial.ground.must('ip', 'netns', 'exec', pod, 'ping', '-c1', '-W5', address);
      }
    },
  },
  {
    id: 'ipMasq',
    title: "a pod has the host's address outside and its own inside, in both families",
    versions: ['1.0.0'],
    run: async (trial) => {
      for (const line of outside) await trial.ground.must('ip', ...line.split(' '));
      const config = { ...open, ipMasq: true };
      await trial.addPod({ config });
      await trial.pod('sibling');
      await trial.add({ env: of('sibling'), config });
      const [pod, sibling] = [trial.ground.speaker('pod'), trial.ground.speaker('sibling')];
      for (const server of [trial.ground.speaker('outside'), sibling]) {
        for (const any of ['0.0.0.0', '::']) await server.serve('tcp', any, 80);
      }
      assert.equal(await pod.ask('tcp', '192.0.2.9', 80), '192.0.2.1');
      assert.equal(await pod.ask('tcp', '2001:db8::9', 80), '2001:db8::1');
      assert.equal(await pod.ask('tcp', '10.7.0.3', 80), '10.7.0.2');
      assert.equal(await pod.ask('tcp', 'fd00:7::3', 80), 'fd00:7::2');
      await trial.succeeds('DEL', { config });
      await assertGone(trial, /10\.7\.0\.2|fd00:7::2/);
    },
  },
  ...(['tcp', 'udp'] as const).map(
    (protocol): Case => ({
      id: 'portMappings',
      title: `a port of the host leads to the pod, from wherever it is asked for, ${protocol}`,
      versions: ['1.0.0'],
      oursAlone: true,
      run: async (trial) => {
        const config = publishing(protocol);
        await trial.addPod({ config });
        await trial.pod('sibling');
        await trial.add({ env: of('sibling'), config: open });
        const pod = trial.ground.speaker('pod');
        for (const any of ['0.0.0.0', '::']) await pod.serve(protocol, any, 80);
        const host = trial.ground.speaker();
        for (const asker of [host, trial.ground.speaker('sibling'), pod]) {
          for (const address of ['10.7.0.1', 'fd00:7::1']) {
            assert.match(await asker.ask(protocol, address, 8080), /^(10\.7\.0\.|fd00:7::)/);
          }
        }
        assert.match(await host.ask(protocol, '127.0.0.1', 8080), /^10\.7\.0\./);
        assert.equal(await host.ask(protocol, '10.7.0.2', 80), '10.7.0.1');
        await trial.succeeds('DEL', { config });
        await assertGone(trial, /8080/);
      },
    }),
  ),
  {
    id: 'portMappings',
    title: 'who goes on asking by UDP reaches the next pod that has the port',
    versions: ['1.0.0'],
    oursAlone: true,
    run: async (trial) => {
      const config = publishing('udp');
      const host = trial.ground.speaker();
      const ask = () => host.ask('udp', '10.7.0.1', 8080, { from: '10.7.0.1', fromPort: 5353 });
      for (const name of ['pod', 'next']) {
        await trial.pod(name);
        await trial.add({ env: of(name), config });
        const pod = trial.ground.speaker(name);
        await pod.serve('udp', '0.0.0.0', 80);
        assert.equal(await ask(), '10.7.0.1', name);
        await trial.succeeds('DEL', { env: of(name), config });
      }
    },
  },
  {
    id: 'portMappings',
    title: 'a port that another pod has is refused until that one is gone',
    versions: ['1.0.0'],
    oursAlone: true,
    run: async (trial) => {
      const config = publishing('tcp');
      await trial.addPod({ config });
      await trial.pod('rival');
      await trial.refuses('ADD', { code: 103, msg: /8080/ }, { env: of('rival'), config });
      await trial.succeeds('DEL', { config });
      await trial.add({ env: of('rival'), config });
    },
  },
  ...limits.map(
    ([what, runtimeConfig, devices]): Case => ({
      id: 'bandwidth',
      title: `limits ${what}, and not its sibling; CHECK passes, DEL leaves nothing`,
      versions: ['1.0.0'],
      oursAlone: true,
      run: async (trial) => {
        await trial.pod('sibling');
        await trial.add({ env: of('sibling') });
        const config = { runtimeConfig };
        const prevResult = await trial.addPod({ config });
        const shown = (await trial.ground.must('tc', 'qdisc', 'show')).match(/^qdisc tbf .*/gm) ?? [];
        assert.equal(shown.length, devices.length, shown.join('\n'));
        for (const device of devices) assert.ok(shown.some((line) => device.test(line)));
        await trial.succeeds('CHECK', { config: { ...config, prevResult } });
        await trial.succeeds('DEL', { config });
        assert.doesNotMatch(await trial.ground.must('tc', 'qdisc', 'show'), /tbf|ifb/);
      },
    }),
  ),
  {
    id: 'refused',
    title: 'a capability that makes no sense, and nothing is left of it',
    versions: ['1.0.0'],
    oursAlone: true,
    run: async (trial) => {
      await trial.pod();
      const before = await trial.hostState();
      for (const [what, config, refusal] of refused) {
        await trial.refuses('ADD', refusal, { config });
        assert.equal(await trial.hostState(), before, what);
      }
    },
  },
];
