/** Pods with addresses that ADD did not give them (routers, VPNs): the spoof check drops what they send from those. */
import { formatIp, sameIp } from '../../../inet/ip.ts';
import { addresses, RT_SCOPE_UNIVERSE } from '../../../kernel/address.ts';
import { links } from '../../../kernel/link.ts';
import type { Attachment } from '../../../plugin/attach/attachment.ts';
import { type Check, type Finding, orOk } from '../finding.ts';
import { inPod, ofPod } from '../in-pod.ts';

const MOST_PODS = 64;

export const spoofed: Check = {
  name: 'spoof-check',
  title: 'Spoof check',
  look: ({ pods }) => {
    const checked = pods.filter(({ spoofCheck }) => spoofCheck.address);
    const findings = checked.slice(0, MOST_PODS).flatMap((pod) => {
      const own = pods.filter(({ netnsId }) => netnsId === pod.netnsId).flatMap((each) => each.addresses);
      const foreign = addressesIn(pod).filter(
        ({ text, address }) => text && !own.some((each) => sameIp(each.address, address)),
      );
      return foreign.length
        ? [
            findingOf(
              pod,
              foreign.map(({ text }) => text),
            ),
          ]
        : [];
    });
    return orOk(findings, `${checked.length} pods are checked; all have their own addresses only`);
  },
};

const findingOf = ({ containerId, ifname }: Attachment, foreign: readonly string[]): Finding => ({
  severity: 'warning',
  subject: `pod ${containerId.slice(0, 12)}`,
  found: `has ${foreign.join(', ')} besides its own: what it sends on ${ifname} with other sources is dropped`,
  wanted: 'only addresses that ADD gave it, or no spoof check where a pod routes',
  remedy: 'set "ipspoofchk": false in the CNI configuration of such pods, and make the pod again',
});

/** Addresses of all interfaces, as `10.8.0.1 on tun0`. */
const addressesIn = (pod: Attachment) =>
  ofPod(() =>
    inPod(pod, (rtnl) => {
      const names = new Map(links(rtnl).map((link) => [link.index, link]));
      return addresses(rtnl)
        .filter(({ scope, index }) => scope === RT_SCOPE_UNIVERSE && !names.get(index)?.loopback)
        .map(({ address, index }) => ({
          address,
          text: `${formatIp(address)} on ${names.get(index)?.name ?? 'an interface'}`,
        }));
    }),
  );
