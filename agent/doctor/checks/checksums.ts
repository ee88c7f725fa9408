/**
 * Packets that arrive with a wrong checksum: kernels and network cards that get the inner checksum of a tunnel wrong
 * (kubernetes/kubernetes 88986) lose them, and connections hang for seconds.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { within } from '../../../kernel/netns.ts';
import { deviceName } from '../../overlay/device.ts';
import { checksumErrorsIn } from '../checksum-errors.ts';
import { type Check, type Finding, orOk } from '../finding.ts';
import type { DoctorHost } from '../host.ts';
import { ofPod, withPodNetns } from '../in-pod.ts';

/** Since the namespace exists; fewer are noise of a network. */
const FEW = 3;
const MOST_PODS = 64;

export const checksums: Check = {
  name: 'checksums',
  title: 'Checksums',
  look: (host) => {
    const devices = host.config.networks.map(({ cidr }) => deviceName(cidr.family, host.config.backend.vni));
    const remedy = devices.map((device) => `ethtool -K ${device} tx-checksum-ip-generic off`).join('; ');
    const places = [{ name: 'this host', errors: hereErrors() }, ...podErrors(host)];
    const findings = places
      .filter(({ errors }) => errors >= FEW)
      .map(
        ({ name, errors }): Finding => ({
          severity: 'warning',
          subject: name,
          found: `${errors} packets arrived with a wrong checksum`,
          wanted: "none: the sender's checksum offload may be at fault",
          remedy: `on the nodes that send: ${remedy}`,
        }),
      );
    return orOk([...findings, ...knownKernel(remedy)], 'no packet has arrived with a wrong one');
  },
};

/** Before 5.7 the inner checksum of masqueraded tunnel packets came out wrong (Linux commit ea64d8d6c675). */
function knownKernel(remedy: string): Finding[] {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major > 5 || (major === 5 && minor >= 7)) return [];
  return [
    {
      severity: 'warning',
      subject: `Linux ${release()}`,
      found: 'kernels before 5.7 lose packets to Services in a tunnel',
      wanted: 'Linux 5.7 or later',
      remedy,
    },
  ];
}

const hereErrors = (): number => checksumErrorsIn(read('snmp'), read('snmp6'));

function podErrors({ pods }: DoctorHost): { name: string; errors: number }[] {
  return pods
    .slice(0, MOST_PODS)
    .flatMap((pod) =>
      ofPod(() =>
        withPodNetns(pod, (netns) => [
          { name: `pod ${pod.containerId.slice(0, 12)}`, errors: within(netns, hereErrors) },
        ]),
      ),
    );
}

function read(file: string): string {
  try {
    return readFileSync(`/proc/thread-self/net/${file}`, 'utf8');
  } catch {
    return '';
  }
}
