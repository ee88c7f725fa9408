/** The step that maps host ports: the elements, and what they need besides. */
import { formatIp, type Ip } from '../../../inet/ip.ts';
import { addresses } from '../../../kernel/address.ts';
import { forgetFlows } from '../../../kernel/conntrack.ts';
import type { Rtnl } from '../../../kernel/netlink/rtnl.ts';
import { formatFields } from '../../../kernel/nft/field.ts';
import type { Nfnl } from '../../../kernel/nft/nfnetlink.ts';
import { ensureSysctl, readSysctl } from '../../../kernel/sysctl.ts';
import { CniError } from '../../errors.ts';
import type { Taken } from '../owned-elements.ts';
import { hostPortRules } from '../pod-rules.ts';
import { type RuleStep, ruleStep } from '../rule-step.ts';
import { type Binding, bindingsOf, formatBinding, type PodWithPorts } from './sets.ts';

/** Sockets of the host's namespace. */
export interface Sockets {
  readonly rtnl: Rtnl;
  readonly nfnl: Nfnl;
}

/**
 * `ensure` maps the pod's host ports, all or none, and throws `CniError` host-port-taken where another pod has
 * one of them. Flows that lead elsewhere are forgotten before and after.
 */
export function hostPortsStep(sockets: Sockets): RuleStep {
  const elements = ruleStep({
    wish: 'portMappings',
    rules: hostPortRules,
    nfnl: () => sockets.nfnl,
    refusal,
  });
  return {
    ...elements,
    ensure(attachment) {
      elements.ensure(attachment);
      const bindings = bindingsOf(attachment);
      if (bindings.some(isOnLoopback)) ensureSysctl(routeLocalnet(attachment.bridge), '1');
      forgetOldFlows(sockets, bindings);
    },
    teardown(attachment) {
      elements.teardown(attachment);
      forgetOldFlows(sockets, bindingsOf(attachment));
    },
    verify(attachment) {
      elements.verify(attachment);
      const key = routeLocalnet(attachment.bridge);
      if (bindingsOf(attachment).some(isOnLoopback) && readSysctl(key) !== '1') {
        throw new CniError('check-failed', `portMappings: ${key} is not 1`);
      }
    },
  };
}

const routeLocalnet = (bridge: string): string => `net/ipv4/conf/${bridge}/route_localnet`;

/** Reachable by 127.0.0.1, which the kernel routes to a bridge only if told so. IPv6 has no such thing. */
const isOnLoopback = ({ pod, hostIp }: Binding): boolean =>
  pod.family === 'ipv4' && (hostIp === undefined || isLoopback(hostIp));

const isLoopback = (address: Ip): boolean => address.family === 'ipv4' && address.value >> 24n === 127n;

/**
 * UDP flows to these ports lead where they led when they began, for as long as packets come. Flows that only
 * pass through the host on their way to the same port of another are spared.
 */
function forgetOldFlows({ nfnl, rtnl }: Sockets, bindings: readonly Binding[]): void {
  const udp = bindings.filter(({ mapping }) => mapping.protocol === 'udp');
  if (udp.length === 0) return;
  const own = new Set(addresses(rtnl).map(({ address }) => formatIp(address)));
  for (const { mapping, pod, hostIp } of udp) {
    forgetFlows(nfnl, {
      family: pod.family,
      protocol: 'udp',
      port: mapping.hostPort,
      destination: hostIp,
      isMeant: (destination) => isLoopback(destination) || own.has(formatIp(destination)),
    });
  }
}

function refusal(pod: PodWithPorts, { element, by }: Taken): CniError {
  const binding = bindingsOf(pod).find(({ mapping, hostIp }) => {
    const key = [...(hostIp ? [hostIp] : []), mapping.protocol, mapping.hostPort];
    return textOf(key) === textOf(element.key.slice(-key.length));
  });
  const target = by.data
    ? ` to ${formatFields(element.set.data ?? [], by.data).replace(' . ', ' port ')}`
    : '';
  const what = binding ? formatBinding(binding) : 'a host port';
  return new CniError(
    'host-port-taken',
    `${what} is already mapped${target}, for ${by.comment ?? 'nobody that weft knows'}`,
    'give this pod another host port, or remove the pod that has it',
  );
}

const textOf = (key: readonly (Ip | string | number)[]): string =>
  key.map((value) => (typeof value === 'object' ? formatIp(value) : String(value))).join(' ');
