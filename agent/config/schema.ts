/**
 * The shape of weft.yaml: every key, its default and its meaning. What one field says about another is in
 * rules.ts. The descriptions are the JSON schema's; docs/configuration.md explains at length.
 *
 * zod's small build: bundled, it adds 0.1 MB to the agent's memory, the large one 4 MB.
 */
import * as z from 'zod/mini';
import { logLevels } from '../../log/log.ts';
import { expected } from '../../problem/explain.ts';
import {
  annotationPrefixText,
  endpointText,
  listenText,
  nodeNameText,
  prefixText,
  underlayText,
} from './choices.ts';
import { backendTypes, defaultRunDir, unleasedModes } from './config.ts';
import { cidrText, cidrTextOf, durationText, hostIpText, pathText } from './scalars.ts';

const wholeNumber = (least: number, most: number) => {
  const error = expected(`a whole number from ${least} to ${most}`);
  return z.int({ error }).check(z.minimum(least, { error }), z.maximum(most, { error }));
};

const backend = z.strictObject({
  type: z
    ._default(z.enum(backendTypes, { error: expected(backendTypes.join(', ')) }), 'vxlan')
    .check(
      z.describe('vxlan: a tunnel; direct: routes only; auto: direct where the peer is on the same link'),
    ),
  vni: z
    .optional(wholeNumber(1, 0xff_ff_ff))
    .check(z.meta({ description: 'VXLAN network identifier', default: 1 })),
  port: z.optional(wholeNumber(1, 65_535)).check(z.meta({ description: 'UDP port of VXLAN', default: 8472 })),
  mtu: z
    ._default(
      z.union([z.literal('auto'), wholeNumber(576, 65_535)], {
        error: expected('auto or a number of bytes'),
      }),
      'auto',
    )
    .check(z.describe("MTU of pods in bytes, or auto: the underlay's less what the tunnel takes")),
});

const fileStore = z.strictObject({
  type: z.literal('file'),
  path: z
    .prefault(pathText, '/var/lib/weft/store')
    .check(z.describe('a directory that all agents of this machine share')),
});

const day = 86_400;
const etcdStore = z.strictObject({
  type: z.literal('etcd'),
  endpoints: z
    .array(endpointText, { error: expected('a list of URLs, for example [https://192.168.188.100:2379]') })
    .check(
      z.minLength(1, { error: 'is empty; name at least one, for example [https://192.168.188.100:2379]' }),
      z.describe('URLs of the etcd servers, each with its port'),
    ),
  prefix: z.prefault(prefixText, '/coreos.com/network').check(z.describe('prefix of all keys')),
  caFile: z.optional(pathText).check(z.describe("the authority of the servers' certificates, PEM")),
  certFile: z.optional(pathText).check(z.describe("this node's client certificate, PEM")),
  keyFile: z.optional(pathText).check(z.describe("the client certificate's key, PEM")),
  username: z.optional(z.string().check(z.minLength(1, { error: 'is empty' }))),
  passwordFile: z.optional(pathText).check(z.describe('a file that holds the password and nothing else')),
  leaseTtl: z
    .prefault(durationText({ atLeastSeconds: 30, atMostSeconds: 30 * day }), '24h')
    .check(z.describe("how long a node's subnet stays reserved after its last renewal: 90s, 10m, 24h, 7d")),
  peerGrace: z
    .prefault(durationText({ atLeastSeconds: 0, atMostSeconds: day }), '10s')
    .check(z.describe('how long a peer is kept after its lease expired: 0s, 10s, 1h')),
});

const kubernetesStore = z.strictObject({
  type: z.literal('kubernetes'),
  kubeconfig: z
    .optional(pathText)
    .check(z.describe("how the API server is reached; the pod's service account unless given")),
  nodeName: z
    .optional(nodeNameText)
    .check(z.describe("the Node's name, where NODE_NAME is not set; the host's name unless given")),
  annotationPrefix: z
    .prefault(annotationPrefixText, 'flannel.alpha.coreos.com')
    .check(z.describe("prefix of the Node's annotations, as flannel's --kube-annotation-prefix")),
});

const underlayError = expected(
  'auto, an interface, an address, a network, {reach: ADDRESS}, or a list of these',
);
const reach = z.strictObject({ reach: hostIpText });
const underlayChoice = z.union([underlayText, reach], { error: underlayError });

const log = z.strictObject({
  level: z._default(z.enum(logLevels, { error: expected(logLevels.join(', ')) }), 'info'),
});

const exceptions = z.strictObject({ except: z.array(cidrText, { error: expected('a list of networks') }) });

const hour = 3_600;
const probes = z.strictObject({
  period: z
    .prefault(durationText({ atLeastSeconds: 1, atMostSeconds: hour }), '5s')
    .check(z.describe('interval of the probes of a peer; longer in a large cluster')),
  timeout: z
    .prefault(durationText({ atLeastSeconds: 1, atMostSeconds: 60 }), '1s')
    .check(z.describe('timeout of one probe')),
  failureThreshold: z
    ._default(wholeNumber(1, 100), 3)
    .check(z.describe('consecutive failures until a peer is unreachable')),
  successThreshold: z
    ._default(wholeNumber(1, 100), 1)
    .check(z.describe('consecutive successes until a peer is reachable again')),
});

const metrics = z.strictObject({
  listen: z
    .prefault(listenText, 'off')
    .check(z.describe('where /metrics alone is served, for a scraper elsewhere: ADDRESS:PORT, or off')),
  perPeer: z
    ._default(z.boolean({ error: expected('true or false') }), false)
    .check(z.describe('metrics for each peer: in a cluster of n nodes there are n times n of them')),
});

export const configShape = z.strictObject({
  network: z
    .optional(cidrTextOf('ipv4', '10.244.0.0/16', 'network6'))
    .check(z.describe("the cluster's IPv4 network; 10.244.0.0/16 unless network6 alone is given")),
  network6: z
    .optional(cidrTextOf('ipv6', 'fd00:10:244::/56', 'network'))
    .check(z.describe("the cluster's IPv6 network; none unless given")),
  subnetLength: z
    .optional(wholeNumber(1, 30))
    .check(z.meta({ description: "prefix length of a node's IPv4 subnet", default: 24 })),
  subnetLength6: z
    .optional(wholeNumber(1, 126))
    .check(z.meta({ description: "prefix length of a node's IPv6 subnet", default: 64 })),
  backend: z.prefault(backend, {}).check(z.describe('how packets reach other nodes')),
  store: z
    .prefault(
      z.discriminatedUnion('type', [fileStore, etcdStore, kubernetesStore], {
        error: (issue) =>
          issue.code === 'invalid_union'
            ? 'unsupported; supported: file, etcd, kubernetes'
            : expected('{ type: file, ... }, { type: etcd, ... } or { type: kubernetes, ... }')(issue),
      }),
      { type: 'file' },
    )
    .check(z.describe("where the nodes' leases are kept")),
  underlay: z
    .prefault(
      z.union(
        [
          underlayChoice,
          z.array(underlayChoice).check(z.minLength(1, { error: 'is empty; name at least one, or auto' })),
        ],
        { error: underlayError },
      ),
      'auto',
    )
    .check(
      z.describe(
        "auto, an interface's name, an address, a network, {reach: ADDRESS}, or a list tried in order",
      ),
    ),
  publicIP: z
    .prefault(
      z.union([z.null(), hostIpText, z.array(hostIpText)], {
        error: expected('an address, a list of one per family, or null'),
      }),
      null,
    )
    .check(z.describe("the address announced to peers, if it is not the underlay's; one per family")),
  masquerade: z
    ._default(
      z.union([z.boolean(), exceptions], { error: expected('true, false or {except: [NETWORK, ...]}') }),
      true,
    )
    .check(
      z.describe("whether pods reach the world outside under their node's address; or all but some networks"),
    ),
  unleased: z
    ._default(z.enum(unleasedModes, { error: expected(unleasedModes.join(', ')) }), 'unreachable')
    .check(
      z.describe(
        'packets for subnets that no node leases: unreachable (answered by ICMP), blackhole, or pass (other routes)',
      ),
    ),
  probes: z
    .prefault(
      z.union([z.literal(false), probes], {
        error: expected('false or {period, timeout, failureThreshold, successThreshold}'),
      }),
      {},
    )
    .check(z.describe('whether and how peers are asked if they answer through the tunnel; or false')),
  listen: z
    .prefault(listenText, '127.0.0.1:9472')
    .check(z.describe('where health is served over HTTP: ADDRESS:PORT, or off')),
  metrics: z.prefault(metrics, {}).check(z.describe('metrics in the text format of Prometheus')),
  runDir: z.prefault(pathText, defaultRunDir).check(z.describe('runtime state; gone after a reboot')),
  stateDir: z.prefault(pathText, '/var/lib/weft').check(z.describe("lasting state: the node's identity")),
  log: z.prefault(log, {}).check(z.describe('JSON lines on standard output')),
});

/** The document after its fields have been read one by one. */
export type ReadConfig = z.output<typeof configShape>;

const shapes: Readonly<Record<string, { readonly shape: object }>> = {
  '': configShape,
  backend,
  'store:file': fileStore,
  'store:etcd': etcdStore,
  'store:kubernetes': kubernetesStore,
  log,
  metrics,
  underlay: reach,
  masquerade: exceptions,
  probes,
};

/** The keys that weft.yaml may have under this top-level key (`''`: the top level itself). */
export const keysUnder = (key: string): string[] => Object.keys(shapes[key]?.shape ?? {});
