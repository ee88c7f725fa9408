import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expand } from '../../../pod/manifest/expand.ts';
import { parseQuantity } from '../../../pod/manifest/quantity.ts';
import { capabilitiesOf } from '../../../pod/network/capabilities.ts';
import { hostsFile, namesOnlyLoopback, resolvConf } from '../../../pod/network/resolv.ts';
import { pod } from './builders.ts';

describe('resolv.conf of a pod', () => {
  const host =
    '# comment\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nsearch example.org\noptions ndots:1 edns0\n';

  it("dnsPolicy Default: the host's, without name servers on the host's loopback", () => {
    assert.equal(
      resolvConf(pod().dns, host),
      'nameserver 192.0.2.1\nsearch example.org\noptions ndots:1 edns0\n',
    );
  });

  it("dnsConfig: added to the host's, its options win", () => {
    const dnsConfig = {
      nameservers: ['192.0.2.1', '192.0.2.2', '192.0.2.3'],
      searches: ['a.b'],
      options: [{ name: 'ndots', value: '5' }],
    };
    assert.equal(
      resolvConf(pod({ dnsConfig }).dns, host),
      'nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nsearch example.org a.b\noptions ' +
        'edns0 ndots:5\n',
    );
  });

  it('dnsPolicy None: dnsConfig only', () => {
    const spec = { dnsPolicy: 'None', dnsConfig: { nameservers: ['2001:db8::1'] } };
    assert.equal(resolvConf(pod(spec).dns, host), 'nameserver 2001:db8::1\n');
  });

  it('host with a resolver on its loopback only: the file of systemd-resolved is used', () => {
    assert.equal(namesOnlyLoopback('nameserver 127.0.0.53\noptions edns0\n'), true);
    assert.equal(namesOnlyLoopback('nameserver ::1\n'), true);
    assert.equal(namesOnlyLoopback(host), false);
    assert.equal(namesOnlyLoopback(''), false);
  });
});

it('hosts file of a pod: names each of its addresses', () => {
  const text = hostsFile({ hostname: 'web', addresses: ['10.244.1.2', 'fd00::2'] });
  assert.match(text, /^127\.0\.0\.1\tlocalhost$/m);
  assert.match(text, /\n10\.244\.1\.2\tweb\nfd00::2\tweb\n$/);
});

it('capabilities: host ports, bandwidth and addresses of the pod; none where it has none', () => {
  assert.deepEqual(capabilitiesOf(pod(), []), {});
  const ports = [
    { containerPort: 80, hostPort: 8080 },
    { containerPort: 53, hostPort: 53, protocol: 'UDP', hostIP: '192.0.2.1' },
    { containerPort: 9 },
  ];
  const wishing = {
    ...pod({ containers: [{ name: 'a', image: 'i', ports }] }),
    bandwidth: { ingressBits: 10_000_000, egressBits: 1_000 },
  };
  assert.deepEqual(capabilitiesOf(wishing, ['10.244.1.2/24']), {
    portMappings: [
      { hostPort: 8080, hostIP: '', containerPort: 80, protocol: 'tcp' },
      { hostPort: 53, hostIP: '192.0.2.1', containerPort: 53, protocol: 'udp' },
    ],
    bandwidth: { ingressRate: 10_000_000, ingressBurst: 2_000_000, egressRate: 1_000, egressBurst: 524_288 },
    ips: ['10.244.1.2/24'],
  });
});

it('$(NAME): replaced where the variable exists, kept otherwise', () => {
  const variables = new Map([['A', 'x']]);
  const cases: [string, string][] = [
    ['$(A)-$(A)', 'x-x'],
    ['$(B)', '$(B)'],
    ['$$(A)', '$(A)'],
    ['$A $', '$A $'],
  ];
  for (const [text, expanded] of cases) assert.equal(expand(text, variables), expanded);
});

it('quantities: read as in Kubernetes', () => {
  const cases: [string, number | undefined][] = [
    ['10M', 1e7],
    ['64Mi', 67_108_864],
    ['1e3', 1000],
    ['0.5k', 500],
    ['1500m', 2],
    ['', undefined],
    ['10 M', undefined],
    ['10mb', undefined],
  ];
  for (const [text, value] of cases) assert.equal(parseQuantity(text), value, text);
});
