/** What this node tells its peers, from its configuration, its identity and its underlay. */
import { sameIp } from '../inet/ip.ts';
import type { Config } from './config/config.ts';
import type { Identity } from './identity/identity.ts';
import type { NodeExtension } from './lease/extension.ts';
import type { LeaseAttributes } from './lease/lease.ts';
import type { Underlay } from './underlay/choose.ts';
import { version } from './version.ts';

export function attributesOf(config: Config, identity: Identity, underlay: Underlay): LeaseAttributes {
  const { publicIps } = underlay;
  const extension = extensionOf(underlay);
  // A host-gw record has no backend data: whoever reads it can only route to us.
  if (config.backend.type === 'direct') return { publicIps, backend: { type: 'host-gw' }, extension };
  const families = config.networks.map(({ cidr }) => cidr.family);
  return {
    publicIps,
    extension,
    backend: {
      type: 'vxlan',
      vni: config.backend.vni,
      ...(families.includes('ipv4') ? { vtepMac: identity.vtepMacs.ipv4 } : {}),
      ...(families.includes('ipv6') ? { vtepMac6: identity.vtepMacs.ipv6 } : {}),
    },
  };
}

/** Packets of the tunnel leave from the interface's address, which peers must know where it is not the public one. */
function extensionOf({ addresses, publicIps }: Underlay): NodeExtension {
  const sources = addresses.map(({ address }) => address);
  const localIps = sources.filter((source) => !publicIps.some((ip) => sameIp(ip, source)));
  return { localIps, version };
}
