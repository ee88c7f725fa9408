/** The text of weft.yaml → Config. Pure: every problem it has is found and placed, none of them is thrown singly. */
import { type Cidr, cidr } from '../../inet/cidr.ts';
import { readDocument } from '../../problem/document.ts';
import { faultsOf, inGeneral } from '../../problem/explain.ts';
import type { FieldPath } from '../../problem/problem.ts';
import type {
  ClusterNetwork,
  Config,
  EtcdStoreConfig,
  ProbesConfig,
  StoreConfig,
  UnderlayChoice,
} from './config.ts';
import { ConfigError } from './error.ts';
import { familyFields, faultsBetween, fileFaults } from './rules.ts';
import { configShape, keysUnder, type ReadConfig } from './schema.ts';

/**
 * Reads a configuration; `file` is the name that problems begin with, `whyUnreadable` says of a file that it
 * names why it cannot be used, if so.
 *
 * @throws ConfigError with all that is wrong
 */
export function readConfig(
  file: string,
  text: string,
  whyUnreadable: (path: string) => string | undefined = () => undefined,
): Config {
  const document = readDocument(file, text);
  if (document.problems.length > 0) throw new ConfigError(document.problems);
  const parsed = configShape.safeParse(document.value, { error: inGeneral });
  if (!parsed.success) {
    const keysAt = (path: FieldPath) => keysUnder(levelOf(path, document.value));
    throw new ConfigError(faultsOf(parsed.error.issues, keysAt).map(document.locate));
  }
  const networks = networksOf(parsed.data);
  const faults = [...faultsBetween(parsed.data, networks), ...fileFaults(parsed.data, whyUnreadable)];
  if (faults.length > 0) throw new ConfigError(faults.map(document.locate));
  return configOf(parsed.data, networks);
}

/** What weft does where it is told nothing. */
export const defaultConfig = (): Config => readConfig('', '');

const defaultNetwork = '10.244.0.0/16';
const defaultSubnetLength = { ipv4: 24, ipv6: 64 } as const;

function networksOf(read: ReadConfig): ClusterNetwork[] {
  const ipv4 = read.network ?? (read.network6 ? undefined : cidr(defaultNetwork));
  return [ipv4, read.network6]
    .filter((network): network is Cidr => network !== undefined)
    .map((network) => ({
      cidr: network,
      subnetLength: read[familyFields[network.family].subnetLength] ?? defaultSubnetLength[network.family],
    }));
}

function configOf(read: ReadConfig, networks: readonly ClusterNetwork[]): Config {
  const { backend, masquerade, publicIP } = read;
  return deepFrozen({
    networks,
    backend: { type: backend.type, vni: backend.vni ?? 1, port: backend.port ?? 8472, mtu: backend.mtu },
    store: storeOf(read.store),
    underlay: (Array.isArray(read.underlay) ? read.underlay : [read.underlay]).map(
      (choice): UnderlayChoice => ('reach' in choice ? { kind: 'reach', address: choice.reach } : choice),
    ),
    publicIps: publicIP === null ? [] : Array.isArray(publicIP) ? publicIP : [publicIP],
    masquerade:
      typeof masquerade === 'boolean'
        ? { enabled: masquerade, except: [] }
        : { enabled: true, except: masquerade.except },
    unleased: read.unleased,
    probes: probesOf(read.probes),
    listen: read.listen,
    metrics: read.metrics,
    runDir: read.runDir,
    stateDir: read.stateDir,
    log: read.log,
  });
}

function probesOf(read: ReadConfig['probes']): ProbesConfig | undefined {
  if (read === false) return undefined;
  const { period, timeout, failureThreshold, successThreshold } = read;
  return { periodSeconds: period, timeoutSeconds: timeout, failureThreshold, successThreshold };
}

function storeOf(read: ReadConfig['store']): StoreConfig {
  if (read.type === 'file') return read;
  if (read.type === 'kubernetes') {
    return { ...read, kubeconfig: read.kubeconfig, nodeName: read.nodeName };
  }
  const { endpoints, prefix, caFile, certFile, keyFile, username, passwordFile, leaseTtl, peerGrace } = read;
  const client = certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : undefined;
  const login = username !== undefined ? { username, passwordFile } : undefined;
  const store: EtcdStoreConfig = {
    type: 'etcd',
    endpoints,
    prefix,
    tls: endpoints.some(({ secure }) => secure) ? { caFile, client } : undefined,
    login,
    leaseTtlSeconds: leaseTtl,
    peerGraceSeconds: peerGrace,
  };
  return store;
}

/** The level of `keysUnder` that holds the keys at this path. */
function levelOf(path: FieldPath, document: unknown): string {
  const [key = ''] = path;
  if (key !== 'store') return String(key);
  const store = (document as { store?: { type?: unknown } }).store;
  return `store:${String(store?.type)}`;
}

function deepFrozen<T extends object>(value: T): T {
  for (const inner of Object.values(value))
    if (typeof inner === 'object' && inner !== null) deepFrozen(inner);
  return Object.freeze(value);
}
