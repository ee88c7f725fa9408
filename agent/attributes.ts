/** What this node tells its peers, from its configuration, its identity and its underlay. */
import type { Config } from './config/config.ts';
import type { Identity } from './identity/identity.ts';
import type { LeaseAttributes } from './lease/lease.ts';
import type { Underlay } from './underlay/choose.ts';

export function attributesOf(config: Config, identity: Identity, underlay: Underlay): LeaseAttributes {
  const { publicIps } = underlay;
  // A host-gw record has no backend data: whoever reads it can only route to us.
  if (config.backend.type === 'direct') return { publicIps, backend: { type: 'host-gw' } };
  const families = config.networks.map(({ cidr }) => cidr.family);
  return {
    publicIps,
    backend: {
      type: 'vxlan',
      vni: config.backend.vni,
      ...(families.includes('ipv4') ? { vtepMac: identity.vtepMacs.ipv4 } : {}),
      ...(families.includes('ipv6') ? { vtepMac6: identity.vtepMacs.ipv6 } : {}),
    },
  };
}
