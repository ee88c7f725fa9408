/** What ADD answers: bridge, host's end and container's end, in the order that runtimes rely on. Pure. */
import type { CniDns, CniResult, CniRoute } from '../protocol/result.ts';
import type { Attachment } from './attachment.ts';
import type { EnsuredBridge } from './bridge.ts';

/** Index of the container's end in `interfaces`. */
const CONTAINER = 2;

export function resultOf(made: {
  attachment: Attachment;
  bridge: EnsuredBridge;
  routes: readonly CniRoute[];
  dns: CniDns | undefined;
}): CniResult {
  const { attachment, bridge, routes, dns } = made;
  const { host, container, mtuBytes } = attachment;
  return {
    interfaces: [
      { name: attachment.bridge, mac: bridge.mac, mtu: bridge.mtuBytes },
      { name: host.name, mac: host.mac, mtu: mtuBytes },
      { name: attachment.ifname, mac: container.mac, mtu: mtuBytes, sandbox: attachment.netns },
    ],
    ips: attachment.addresses.map(({ address, length, gateway }) => ({
      address: { address, length },
      gateway,
      interface: CONTAINER,
    })),
    routes,
    dns,
  };
}
