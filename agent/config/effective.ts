/** A configuration written out as weft.yaml with every default in it: what `weftd --check-config` prints. */
import { stringify } from 'yaml';
import { formatCidr } from '../../inet/cidr.ts';
import { formatIp } from '../../inet/ip.ts';
import type { Config, EtcdStoreConfig, Listen, ProbesConfig, StoreConfig, UnderlayChoice } from './config.ts';
import { familyFields } from './rules.ts';

/** YAML that reads back as the same configuration. */
export function formatConfig(config: Config): string {
  const { backend, networks, underlay, publicIps } = config;
  return stringify({
    ...Object.fromEntries(
      networks.flatMap(({ cidr, subnetLength }) => [
        [familyFields[cidr.family].network, formatCidr(cidr)],
        [familyFields[cidr.family].subnetLength, subnetLength],
      ]),
    ),
    backend: backend.type === 'direct' ? { type: backend.type, mtu: backend.mtu } : backend,
    store: storeFields(config.store),
    underlay: oneOrMany(underlay.map(underlayField)),
    publicIP: publicIps.length === 0 ? null : oneOrMany(publicIps.map(formatIp)),
    masquerade:
      config.masquerade.except.length > 0
        ? { except: config.masquerade.except.map(formatCidr) }
        : config.masquerade.enabled,
    unleased: config.unleased,
    probes: config.probes ? probeFields(config.probes) : false,
    listen: config.listen ? formatListen(config.listen) : 'off',
    metrics: {
      listen: config.metrics.listen ? formatListen(config.metrics.listen) : 'off',
      perPeer: config.metrics.perPeer,
    },
    runDir: config.runDir,
    stateDir: config.stateDir,
    log: config.log,
  });
}

const probeFields = ({ periodSeconds, timeoutSeconds, ...thresholds }: ProbesConfig): object => ({
  period: `${periodSeconds}s`,
  timeout: `${timeoutSeconds}s`,
  ...thresholds,
});

const oneOrMany = <T>(values: readonly T[]): T | readonly T[] | undefined =>
  values.length === 1 ? values[0] : values;

export const formatListen = ({ address, port }: Listen): string =>
  address.family === 'ipv6' ? `[${formatIp(address)}]:${port}` : `${formatIp(address)}:${port}`;

function underlayField(choice: UnderlayChoice): string | { reach: string } {
  switch (choice.kind) {
    case 'auto':
      return 'auto';
    case 'interface':
      return choice.name;
    case 'address':
      return formatIp(choice.address);
    case 'network':
      return formatCidr(choice.network);
    case 'reach':
      return { reach: formatIp(choice.address) };
  }
}

function storeFields(store: StoreConfig): object {
  if (store.type === 'file') return store;
  if (store.type === 'kubernetes') return withoutUndefined({ ...store });
  const { endpoints, prefix, tls, login, leaseTtlSeconds, peerGraceSeconds } = store;
  return withoutUndefined({
    type: 'etcd',
    endpoints: endpoints.map(formatEndpoint),
    prefix,
    caFile: tls?.caFile,
    certFile: tls?.client?.certFile,
    keyFile: tls?.client?.keyFile,
    username: login?.username,
    passwordFile: login?.passwordFile,
    leaseTtl: `${leaseTtlSeconds}s`,
    peerGrace: `${peerGraceSeconds}s`,
  });
}

/** The URL of an etcd endpoint. */
export const formatEndpoint = ({ secure, host, port }: EtcdStoreConfig['endpoints'][number]): string =>
  `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;

const withoutUndefined = (fields: object): object =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
