/** What the fields of weft.yaml say about one another. Pure: read fields in, faults out. */
import { containsCidr, containsIp, formatCidr, overlaps } from '../../inet/cidr.ts';
import { formatIp, type Ip, parseIp } from '../../inet/ip.ts';
import type { Fault, FieldPath } from '../../problem/problem.ts';
import type { ClusterNetwork } from './config.ts';
import { unreachable } from './scalars.ts';
import type { ReadConfig } from './schema.ts';

/** The names that a family's fields have in weft.yaml, and what flannel allows in them. */
export const familyFields = {
  ipv4: { network: 'network', subnetLength: 'subnetLength', longestNetwork: 28, longestSubnet: 30 },
  ipv6: { network: 'network6', subnetLength: 'subnetLength6', longestNetwork: 124, longestSubnet: 126 },
} as const;

/** Every fault of a configuration whose fields are each right in themselves. */
export function faultsBetween(read: ReadConfig, networks: readonly ClusterNetwork[]): Fault[] {
  return [
    ...networks.flatMap((network) => networkFaults(read, network)),
    ...familyFaults(read, networks),
    ...backendFaults(read),
    ...storeFaults(read),
    ...placeFaults(read, networks),
    ...folderFaults(read),
  ];
}

/** flannel skips the first subnet: a network must hold at least four, of at least four addresses each. */
function networkFaults(read: ReadConfig, { cidr, subnetLength }: ClusterNetwork): Fault[] {
  const fields = familyFields[cidr.family];
  const text = formatCidr(cidr);
  const special = unreachable.find(({ prefix }) => overlaps(prefix, cidr));
  if (special) {
    const remedy = cidr.family === 'ipv4' ? '10.244.0.0/16' : 'fd00:10:244::/56';
    return [
      {
        path: [fields.network],
        text: `${text} has ${special.kind} in it; use a private network such as ${remedy}`,
      },
    ];
  }
  if (cidr.length > fields.longestNetwork) {
    return [
      { path: [fields.network], text: `${text} is too small; use /${fields.longestNetwork} or larger` },
    ];
  }
  const least = cidr.length + 2;
  if (subnetLength >= least && subnetLength <= fields.longestSubnet) return [];
  const given = read[fields.subnetLength] !== undefined;
  return [
    {
      path: [given ? fields.subnetLength : fields.network],
      text:
        subnetLength > fields.longestSubnet
          ? `/${subnetLength} leaves no addresses for pods; use ${least} to ${fields.longestSubnet}`
          : `${text} is too small for node subnets of /${subnetLength}; ` +
            `set ${fields.subnetLength} to ${least} ... ${fields.longestSubnet}, or use a larger ${fields.network}`,
    },
  ];
}

function familyFaults(read: ReadConfig, networks: readonly ClusterNetwork[]): Fault[] {
  const faults: Fault[] = [];
  for (const family of ['ipv4', 'ipv6'] as const) {
    const fields = familyFields[family];
    const used = networks.some(({ cidr }) => cidr.family === family);
    if (!used && read[fields.subnetLength] !== undefined) {
      faults.push({
        path: [fields.subnetLength],
        text: `has no effect without ${fields.network}; set ${fields.network} or remove it`,
        inName: true,
      });
    }
    const told = addressesOf(read.publicIP).filter(({ address }) => address.family === family);
    for (const [n, { address, path }] of told.entries()) {
      if (!used) {
        faults.push({
          path,
          text: `${formatIp(address)} has no effect without ${fields.network}; remove it or set ${fields.network}`,
        });
      } else if (n > 0) {
        faults.push({
          path,
          text: `${formatIp(address)}: duplicate address family; give one address per family`,
        });
      }
    }
  }
  return faults;
}

/** The longest VNI that fits into the name `weft-v6.<VNI>` of 15 characters (IFNAMSIZ). */
const longestVniOfIpv6 = 9_999_999;
/** RFC 8200, section 5. */
const leastMtuOfIpv6 = 1280;

function backendFaults({ backend, network6, probes }: ReadConfig): Fault[] {
  const faults: Fault[] = [];
  if (backend.type === 'auto' && probes === false) {
    faults.push({
      path: ['probes'],
      text: 'backend type auto needs probes to choose the direct path; remove probes, or set type: vxlan',
    });
  }
  if (backend.type === 'direct') {
    for (const key of ['vni', 'port'] as const) {
      if (backend[key] === undefined) continue;
      faults.push({
        path: ['backend', key],
        text: 'has no effect with type direct; remove it',
        inName: true,
      });
    }
  }
  if (network6 && backend.vni !== undefined && backend.vni > longestVniOfIpv6) {
    faults.push({
      path: ['backend', 'vni'],
      text: `weft-v6.${backend.vni} is too long for an interface name; use at most ${longestVniOfIpv6} with network6`,
    });
  }
  if (network6 && backend.mtu !== 'auto' && backend.mtu < leastMtuOfIpv6) {
    faults.push({
      path: ['backend', 'mtu'],
      text: `${backend.mtu} is less than IPv6 allows; use ${leastMtuOfIpv6} or more, or auto`,
    });
  }
  return faults;
}

function storeFaults({ store }: ReadConfig): Fault[] {
  if (store.type !== 'etcd') return [];
  const faults: Fault[] = [];
  const secure = store.endpoints[0]?.secure;
  const seen = new Set<string>();
  for (const [n, endpoint] of store.endpoints.entries()) {
    const path = ['store', 'endpoints', n];
    if (endpoint.secure !== secure) {
      faults.push({
        path,
        text: 'is not of the same scheme as the first; use https:// for all or http:// for all',
      });
    }
    const name = `${endpoint.host}:${endpoint.port}`;
    if (seen.has(name)) faults.push({ path, text: `duplicate endpoint ${name}; remove it` });
    seen.add(name);
  }
  if (secure === false) {
    for (const key of ['caFile', 'certFile', 'keyFile'] as const) {
      if (store[key] === undefined) continue;
      faults.push({
        path: ['store', key],
        text: 'is not used with http:// endpoints; write the endpoints with https://, or remove it',
        inName: true,
      });
    }
  }
  // A user without a file may have the password from the environment.
  const needs = [
    ['certFile', 'keyFile'],
    ['keyFile', 'certFile'],
    ['passwordFile', 'username'],
  ] as const;
  for (const [has, lacks] of needs) {
    if (store[has] === undefined || store[lacks] !== undefined) continue;
    faults.push({ path: ['store', has], text: `requires ${lacks}`, inName: true });
  }
  return faults;
}

/** Nothing that stands for a host may lie in the network of the pods. */
function placeFaults(read: ReadConfig, networks: readonly ClusterNetwork[]): Fault[] {
  const faults: Fault[] = [];
  const refuse = (path: FieldPath, what: string, { cidr }: ClusterNetwork) =>
    faults.push({
      path,
      text:
        `${what} is inside the cluster network ${formatCidr(cidr)}; ` +
        'nodes and pods need separate networks: change one of them',
    });
  const hosts = [...addressesOf(read.publicIP)];
  const choices = Array.isArray(read.underlay) ? read.underlay : [read.underlay];
  for (const [n, choice] of choices.entries()) {
    const path = Array.isArray(read.underlay) ? ['underlay', n] : ['underlay'];
    if ('reach' in choice) hosts.push({ address: choice.reach, path: [...path, 'reach'] });
    else if (choice.kind === 'address') hosts.push({ address: choice.address, path });
    else if (choice.kind === 'network') {
      const { network } = choice;
      const hit = networks.find(({ cidr }) => containsCidr(cidr, network));
      if (hit) refuse(path, formatCidr(network), hit);
    }
  }
  if (read.store.type === 'etcd') {
    for (const [n, { host }] of read.store.endpoints.entries()) {
      const address = parseIp(host);
      if (address) hosts.push({ address, path: ['store', 'endpoints', n] });
    }
  }
  for (const { address, path } of hosts) {
    const hit = networks.find(({ cidr }) => containsIp(cidr, address));
    if (hit) refuse(path, formatIp(address), hit);
  }
  return faults;
}

function folderFaults({ runDir, stateDir }: ReadConfig): Fault[] {
  if (stateDir !== runDir && !stateDir.startsWith(`${runDir}/`)) return [];
  return [
    {
      path: ['stateDir'],
      text: `${stateDir} is inside runDir, which a reboot may empty; use a persistent directory such as /var/lib/weft`,
    },
  ];
}

type EtcdFields = Extract<ReadConfig['store'], { type: 'etcd' }>;

/** The files that are named must be there: later, nobody would know which line named them. */
export function fileFaults(
  { store }: ReadConfig,
  whyUnreadable: (path: string) => string | undefined,
): Fault[] {
  if (store.type === 'file') return [];
  const named: Readonly<Record<string, string | undefined>> =
    store.type === 'kubernetes' ? { kubeconfig: store.kubeconfig } : filesOf(store);
  return Object.entries(named).flatMap(([key, path]) => {
    const why = path === undefined ? undefined : whyUnreadable(path);
    return why === undefined
      ? []
      : [{ path: ['store', key], text: `${why}; name a file that weftd can read` }];
  });
}

const filesOf = ({ caFile, certFile, keyFile, passwordFile }: EtcdFields) => ({
  caFile,
  certFile,
  keyFile,
  passwordFile,
});

function addressesOf(publicIP: ReadConfig['publicIP']): { address: Ip; path: FieldPath }[] {
  if (publicIP === null) return [];
  return Array.isArray(publicIP)
    ? publicIP.map((address, n) => ({ address, path: ['publicIP', n] }))
    : [{ address: publicIP, path: ['publicIP'] }];
}
