/**
 * flannel's net-conf.json (flannel pkg/subnet/config.go), as the ConfigMap kube-flannel-cfg has it, as weft.yaml: for
 * nodes that come from flannel. The store is Kubernetes, for which flannel reads this file.
 */
import { stringify } from 'yaml';
import { formatCidr } from '../../inet/cidr.ts';
import { field, isObject, parseObject } from '../../json/object.ts';
import { LeaseError } from '../lease/errors.ts';
import { type ClusterConfig, decodeClusterConfig } from '../lease/flannel/cluster-config.ts';
import { ConfigError } from './error.ts';

export const netConfName = 'net-conf.json';

/** flannel's MTU is the underlay's, and weft's the pods': a tunnel takes this of it. */
const overheadBytes = { ipv4: 50, ipv6: 70 } as const;

/** The text of weft.yaml that means the same. Throws `ConfigError`. */
export function netConfAsYaml(file: string, text: string): string {
  let cluster: ClusterConfig;
  try {
    cluster = decodeClusterConfig(text, file);
  } catch (error) {
    if (error instanceof LeaseError) throw fault(file, error.message);
    throw error;
  }
  const networks = cluster.networks.flatMap(({ cidr, subnetLength }) => {
    const suffix = cidr.family === 'ipv6' ? '6' : '';
    return [
      [`network${suffix}`, formatCidr(cidr)],
      [`subnetLength${suffix}`, subnetLength],
    ];
  });
  return stringify({
    ...Object.fromEntries(networks),
    backend: backendOf(file, text, cluster),
    store: { type: 'kubernetes' },
  });
}

function backendOf(file: string, text: string, { backend, networks }: ClusterConfig): object {
  const object = field(parseObject(text) ?? {}, 'Backend');
  const option = (name: string): unknown => (isObject(object) ? field(object, name) : undefined);
  const { type = 'vxlan', vni, port } = backend;
  if (type === 'host-gw') return { type: 'direct' };
  if (type !== 'vxlan') {
    throw fault(file, `unsupported Backend.Type ${JSON.stringify(type)}; supported: vxlan, host-gw`);
  }
  const mtu = option('MTU');
  const family = networks.some(({ cidr }) => cidr.family === 'ipv6') ? 'ipv6' : 'ipv4';
  return {
    type: option('DirectRouting') === true ? 'auto' : 'vxlan',
    ...(vni === undefined ? {} : { vni }),
    ...(port === undefined ? {} : { port }),
    ...(typeof mtu === 'number' && mtu > 0 ? { mtu: mtu - overheadBytes[family] } : {}),
  };
}

const fault = (file: string, text: string): ConfigError =>
  new ConfigError([
    { file, line: undefined, column: undefined, field: '', text: text.replace(`${file}: `, '') },
  ]);
