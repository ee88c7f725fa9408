/**
 * VirtualBox's and qemu's user-mode NAT: each virtual machine is alone behind a NAT of its own, all of them
 * have the same address, and none reaches another. Vagrant's first interface is one.
 */
import { cidr, containsIp, nthIp } from '../../inet/cidr.ts';
import { formatIp, ip, sameIp } from '../../inet/ip.ts';
import type { FactLink, UnderlayFacts } from './facts.ts';

/**
 * How it looks. VirtualBox manual, "Network Address Translation": the adapters' networks are 10.0.2.0/24,
 * 10.0.3.0/24 and so on, the host is .2 and the guest .15; qemu(1), `-netdev user`: 10.0.2.0/24 and fec0::/64,
 * the host is .2 and ::2. `guestOnly`: a network that others use too, so only .15 is taken for it.
 */
const looks = [
  { network: cidr('10.0.2.0/24'), gateway: ip('10.0.2.2'), guest: ip('10.0.2.15'), guestOnly: false },
  ...Array.from({ length: 7 }, (_, n) => {
    const network = cidr(`10.0.${n + 3}.0/24`);
    return { network, gateway: nthIp(network, 2), guest: nthIp(network, 15), guestOnly: true };
  }),
  { network: cidr('fec0::/64'), gateway: ip('fe80::2'), guest: undefined, guestOnly: false },
];

export const userNatNetworks = looks.map(({ network }) => network);

/** How the link looks like user NAT (`10.0.2.15 behind 10.0.2.2`); undefined where it does not. */
export function userNatOn(facts: UnderlayFacts, link: Pick<FactLink, 'index'>): string | undefined {
  const gateways = facts.routes.flatMap(({ index, gateway }) =>
    index === link.index && gateway ? [gateway] : [],
  );
  for (const own of facts.addresses.filter(({ index }) => index === link.index)) {
    for (const { network, gateway, guest, guestOnly } of looks) {
      if (own.length !== network.length || !containsIp(network, own.address)) continue;
      const isGuest = guest !== undefined && sameIp(own.address, guest);
      if (guestOnly && !isGuest) continue;
      const behind = gateways.some((found) => sameIp(found, gateway));
      const alone = gateways.every(({ family }) => family !== network.family);
      if (behind || (isGuest && !guestOnly && alone)) {
        return `${formatIp(own.address)}${behind ? ` behind ${formatIp(gateway)}` : ''}`;
      }
    }
  }
  return undefined;
}
