/** What this node announces to its peers, from its configuration, its identity and its addresses. */
import { sameIp } from '../inet/ip.ts';
import type { Config } from './config/config.ts';
import type { Identity } from './identity/identity.ts';
import type { NodeExtension } from './lease/extension.ts';
import type { LeaseAttributes } from './lease/lease.ts';
import type { Underlay } from './underlay/choose.ts';
import { version } from './version.ts';

/** An underlay, or what was announced before where there is none. */
export type Announced = Pick<Underlay, 'sources' | 'publicIps'>;

export function attributesOf(config: Config, identity: Identity, announced: Announced): LeaseAttributes {
  const { publicIps } = announced;
  const extension = extensionOf(announced);
  // A host-gw record has no backend data: its readers can only route to this node.
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

/** Sources of tunnel packets that are not public addresses: peers accept packets from announced addresses only. */
function extensionOf({ sources, publicIps }: Announced): NodeExtension {
  const localIps = sources.filter((source) => !publicIps.some((ip) => sameIp(ip, source)));
  return { localIps, version };
}
