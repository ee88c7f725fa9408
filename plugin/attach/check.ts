/**
 * CHECK: whether all that ADD made is there, and as it was made (CNI specification 1.1.0, CHECK): what the
 * reference bridge plugin looks at, and what it does not: MTU, hairpin, isolation, the bridge's addresses,
 * forwarding, our own record, and what the steps made.
 */
import {
  containsIp,
  formatCidr,
  formatInterfaceAddress,
  type InterfaceAddress,
  networkOf,
  sameCidr,
} from '../../inet/cidr.ts';
import { formatIp, sameIp } from '../../inet/ip.ts';
import * as address from '../../kernel/address.ts';
import * as fdb from '../../kernel/fdb.ts';
import * as link from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import * as route from '../../kernel/route.ts';
import { readSysctl } from '../../kernel/sysctl.ts';
import { CniError } from '../errors.ts';
import { sameOwner } from '../ipam/record.ts';
import type { CheckRequest } from '../protocol/request.ts';
import type { CniInterface, CniResult, CniRoute } from '../protocol/result.ts';
import { type Attachment, holdsMac } from './attachment.ts';
import type { Host } from './host.ts';
import { hostEndOf } from './host-end.ts';
import { familiesOf, kernelRoute, resultRoutes } from './plan.ts';
import { readRecord } from './record.ts';
import { Sandbox } from './sandbox.ts';
import { wishesIn, wishesOf } from './step.ts';

/** @throws CniError check-failed for the first thing that is amiss; unknown-container without a record. */
export async function check(host: Host, request: CheckRequest): Promise<void> {
  const attachment = recordedAttachment(host, request);
  const sandbox = Sandbox.open(request);
  try {
    const seen = { host, request, attachment, sandbox };
    checkPrevResult(seen);
    const bridge = checkBridge(seen);
    const hostEnd = checkHostEnd(seen, bridge);
    checkContainerEnd(seen, hostEnd);
    checkAddresses(seen);
    checkRoutes(seen);
    checkOwnership(seen);
  } finally {
    sandbox.close();
  }
  const wishes = wishesIn(attachment);
  for (const step of host.steps) if (wishes.includes(step.wish)) await step.verify(attachment);
}

interface Seen {
  readonly host: Host;
  readonly request: CheckRequest;
  readonly attachment: Attachment;
  readonly sandbox: Sandbox;
}

const amiss = (message: string, details?: string): CniError => new CniError('check-failed', message, details);

/** Throws unless `actual` is `expected`. */
function expect<T>(what: string, actual: T, expected: T): void {
  if (actual !== expected) throw amiss(`${what} is ${actual ?? 'absent'}, expected ${expected ?? 'absent'}`);
}

function recordedAttachment(host: Host, { attachment: key, config }: CheckRequest): Attachment {
  const attachment = readRecord(host.runDir, key);
  if (!attachment || attachment.bootId !== host.bootId) {
    throw new CniError(
      'unknown-container',
      `container ${key.containerId} has no ${key.ifname} on network ${key.network}`,
    );
  }
  expect('the record’s phase', attachment.phase, 'complete');
  const missing = wishesOf(config).find((wish) => !wishesIn(attachment).includes(wish));
  if (missing) throw amiss(`${missing} is configured, but the interface was made without it`);
  return attachment;
}

function checkPrevResult({ request, attachment }: Seen): void {
  const ours = containerInterface(request.prevResult, attachment);
  if (!ours) throw amiss(`prevResult has no interface ${attachment.ifname} in a sandbox`);
  expect(`prevResult's sandbox of ${ours.name}`, ours.sandbox, request.netns);
}

const containerInterface = (result: CniResult, { ifname }: Attachment): CniInterface | undefined =>
  result.interfaces.find(({ name, sandbox }) => name === ifname && sandbox);

const hostInterface = (result: CniResult, wanted: string): CniInterface | undefined =>
  result.interfaces.find(({ name, sandbox }) => name === wanted && !sandbox);

function checkBridge({ host, request, attachment }: Seen): link.Link {
  const { bridge: options } = request.config;
  const name = attachment.bridge;
  const found = link.linkByName(host.rtnl, name);
  if (!found) throw amiss(`bridge ${name} does not exist`);
  expect(`${name}'s kind`, found.kind, 'bridge');
  expect(`${name}'s state`, found.up ? 'up' : 'down', 'up');
  expect(`${name}'s promiscuous mode`, found.promiscuous, options.promiscMode);
  const reported = hostInterface(request.prevResult, name);
  if (reported?.mac) expect(`${name}'s MAC`, found.mac, reported.mac);
  if (!options.isGateway) return found;
  const present = address.addresses(host.rtnl, { index: found.index });
  for (const { address: pod, gateway, length } of attachment.addresses) {
    checkPresent(present, { address: gateway, length }, name);
    const way = route.wayTo(host.rtnl, pod);
    if (way?.index !== found.index || way.gateway)
      throw amiss(`the host's route to ${formatIp(pod)} is not by ${name}`);
  }
  for (const family of familiesOf(attachment.addresses)) {
    const key = family === 'ipv4' ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding';
    expect(key, readSysctl(key), '1');
  }
  return found;
}

function checkHostEnd({ host, request, attachment }: Seen, bridge: link.Link): link.Link {
  const { name, mac } = attachment.host;
  const found = hostEndOf(host.rtnl, attachment);
  if (!found) throw amiss(`the host's end ${name} does not exist`);
  expect(`${name}'s kind`, found.kind, 'veth');
  expect(`${name}'s state`, found.up ? 'up' : 'down', 'up');
  expect(`${name}'s MAC`, found.mac, mac);
  expect(`${name}'s bridge`, found.master, bridge.index);
  expect(`${name}'s MTU`, found.mtuBytes, attachment.mtuBytes);
  expect(`${name}'s hairpin mode`, found.port?.hairpin, request.config.bridge.hairpinMode);
  expect(`${name}'s isolation`, found.port?.isolated, request.config.bridge.portIsolation);
  if (holdsMac(attachment)) checkMacHeld(host.rtnl, { port: found.index, bridge, attachment });
  return found;
}

function checkMacHeld(rtnl: Rtnl, at: { port: number; bridge: link.Link; attachment: Attachment }): void {
  const { mac } = at.attachment.container;
  const isHeld = fdb
    .heldMacs(rtnl, at.bridge.index)
    .some((held) => held.port === at.port && held.mac === mac);
  if (!isHeld) throw amiss(`the MAC ${mac} is not bound to ${at.attachment.host.name} on ${at.bridge.name}`);
}

function checkContainerEnd({ request, attachment, sandbox }: Seen, hostEnd: link.Link): void {
  const name = attachment.ifname;
  const found = link.linkByName(sandbox.rtnl, name);
  if (!found) throw amiss(`${name} does not exist in ${request.netns}`);
  expect(`${name}'s kind`, found.kind, 'veth');
  expect(`${name}'s peer`, found.parent, hostEnd.index);
  expect(`${hostEnd.name}'s peer`, hostEnd.parent, found.index);
  // A later plugin of the chain may have changed these two. Results before 1.1.0 do not carry the MTU.
  const reported = containerInterface(request.prevResult, attachment);
  expect(`${name}'s MAC`, found.mac, reported?.mac ?? attachment.container.mac);
  if (reported?.mtu !== undefined) expect(`${name}'s MTU`, found.mtuBytes, reported.mtu);
  expect(
    `${name}'s state`,
    found.up ? 'up' : 'down',
    request.config.bridge.disableContainerInterface ? 'down' : 'up',
  );
}

function checkAddresses({ request, attachment, sandbox }: Seen): void {
  const { interfaces, ips } = request.prevResult;
  const ours = containerInterface(request.prevResult, attachment);
  const wanted = ips.filter((each) => each.interface === undefined || interfaces[each.interface] === ours);
  const found = link.linkByName(sandbox.rtnl, attachment.ifname);
  const present = found ? address.addresses(sandbox.rtnl, { index: found.index }) : [];
  for (const each of wanted) checkPresent(present, each.address, attachment.ifname);
}

function checkPresent(present: readonly address.LinkAddress[], wanted: InterfaceAddress, name: string): void {
  const found = present.find((each) => sameIp(each.address, wanted.address) && each.length === wanted.length);
  const text = formatInterfaceAddress(wanted);
  if (!found) throw amiss(`${name} does not have the address ${text}`);
  if (found.duplicate) throw amiss(`${name}'s address ${text} is another host's as well`);
}

function checkRoutes({ request, attachment, sandbox }: Seen): void {
  const index = link.linkByName(sandbox.rtnl, attachment.ifname)?.index ?? 0;
  const configured = resultRoutes(request.config, { addresses: attachment.addresses, lease: undefined });
  for (const each of request.prevResult.routes.flatMap((reported) => completed(reported, configured))) {
    const wanted = kernelRoute(each, { index, addresses: attachment.addresses });
    if (!hasRoute(sandbox.rtnl, wanted))
      throw amiss(`the route ${route.describeRoute(wanted)} does not exist`);
  }
  for (const each of attachment.addresses) checkReturnPath(sandbox.rtnl, each);
}

/** A result before 1.1.0 carries destination and gateway alone: the configuration has the rest, once or more. */
function completed(reported: CniRoute, configured: readonly CniRoute[]): CniRoute[] {
  if (reported.scope !== undefined || reported.table !== undefined) return [reported];
  const same = configured.filter(
    ({ dst, gw }) =>
      sameCidr(dst, reported.dst) && (gw && reported.gw ? sameIp(gw, reported.gw) : gw === reported.gw),
  );
  return same.length > 0 ? same : [reported];
}

const hasRoute = (rtnl: Rtnl, wanted: route.Route): boolean =>
  route
    .routes(rtnl, {
      family: wanted.destination.family,
      ...(wanted.table === undefined ? {} : { table: wanted.table }),
    })
    .some(
      (each) =>
        sameCidr(each.destination, wanted.destination) &&
        (!wanted.gateway || (each.gateway !== undefined && sameIp(each.gateway, wanted.gateway))),
    );

/** The pod's own subnet is on the link. */
function checkReturnPath(rtnl: Rtnl, each: InterfaceAddress): void {
  const { address: ip, length } = each;
  const found = route
    .routes(rtnl, { family: ip.family })
    .some(
      ({ destination, gateway }) => !gateway && destination.length === length && containsIp(destination, ip),
    );
  if (!found) throw amiss(`the route to ${formatCidr(networkOf(ip, length))} does not exist`);
}

function checkOwnership({ host, attachment }: Seen): void {
  const store = host.addresses(attachment.network, attachment.hostLocalDir);
  for (const { address: ip } of attachment.addresses) {
    const owner = store.ownerOf(ip);
    if (owner === undefined || owner === 'unreadable' || !sameOwner(owner, attachment)) {
      throw amiss(`the address ${formatIp(ip)} is not on record as this container's`);
    }
  }
}
