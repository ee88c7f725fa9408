/** What has to pass other firewalls on this host, as far as it is known without an agent. */

import type { Passage } from '../firewall/foreign.ts';
import { passagesOf } from '../firewall/passages.ts';
import { hasTunnel } from '../overlay/device.ts';
import { hasUnderlay } from '../overlay/state.ts';
import type { SavedHost } from '../saved-host.ts';
import type { DoctorHost } from './host.ts';

export function passagesFor({ config, saved, pods }: DoctorHost): Passage[] {
  const tunnel = hostPartsOf(saved).hasTunnel
    ? { port: config.backend.port, vni: config.backend.vni, peers: [] }
    : undefined;
  const networks = config.networks.map(({ cidr }) => ({ cluster: cidr, subnet: cidr }));
  const podNetworks = pods.flatMap(({ bridge, addresses }) =>
    addresses.map(({ address }) => ({
      bridge,
      network: { family: address.family, base: address.value, length: 32 },
    })),
  );
  return passagesOf({
    networks,
    masquerade: undefined,
    direct: [],
    tunnel,
    pods: { made: [], interfaces: new Set(), networks: podNetworks },
  });
}

/** Before the first lease, as if there were a tunnel. */
export const hostPartsOf = (saved: SavedHost | undefined): { readonly hasTunnel: boolean } => ({
  hasTunnel: !saved || saved.host.families.filter(hasUnderlay).some(({ backend }) => hasTunnel(backend)),
});
