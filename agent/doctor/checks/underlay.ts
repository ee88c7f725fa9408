/** The interface by which peers are reached. */
import { formatIp } from '../../../inet/ip.ts';
import { vxlanOverheadBytes } from '../../../kernel/link.ts';
import { type Check, type Finding, ok } from '../finding.ts';

export const underlay: Check = {
  name: 'underlay',
  title: 'Underlay',
  look: ({ underlay: { current, problems }, config }) => {
    if (!current || problems.length) {
      return (problems.length ? problems : ['no interface leads to peers']).map((found) => ({
        severity: 'failed',
        found,
        wanted: 'an interface with an address that peers reach',
        remedy: 'set underlay in weft.yaml to an interface, an address or a network',
      }));
    }
    const addresses = current.addresses.map(({ address }) => formatIp(address));
    const text = `${current.name} ${addresses.join(', ')}, MTU ${current.mtuBytes}`;
    return [ok(text), ...tooLarge(config.backend.mtu, current), ...current.warnings.map(warned)];
  },
};

const warned = (found: string): Finding => ({ severity: 'warning', found });

/** A configured MTU that does not fit: pods' large packets are cut in pieces, or lost. */
function tooLarge(
  mtu: number | 'auto',
  current: {
    readonly mtuBytes: number;
    readonly addresses: readonly { readonly address: { readonly family: 'ipv4' | 'ipv6' } }[];
  },
): Finding[] {
  const family = current.addresses[0]?.address.family ?? 'ipv4';
  const most = current.mtuBytes - vxlanOverheadBytes(family);
  if (mtu === 'auto' || mtu <= most) return [];
  return [
    {
      severity: 'failed',
      subject: 'backend.mtu',
      found: `${mtu} bytes do not fit into the tunnel`,
      wanted: `at most ${most}, or auto`,
      remedy: 'remove backend.mtu from weft.yaml, then: systemctl reload weftd',
    },
  ];
}
