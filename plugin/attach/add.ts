/**
 * ADD: intent → addresses → interface → announcement → steps → record. Whatever fails, all that went before is
 * undone; whatever is killed, the record says where it stood.
 */
import { homeNetns } from '../../kernel/netns.ts';
import * as newLink from '../../kernel/new-link.ts';
import { CniError } from '../errors.ts';
import { allocateAddresses } from '../ipam/allocate.ts';
import { readResolvConf } from '../ipam/resolvconf.ts';
import type { NetworkConfig } from '../protocol/network.ts';
import type { AddRequest } from '../protocol/request.ts';
import type { CniDns, CniResult } from '../protocol/result.ts';
import { announce, settleDad, settleGroups } from './announce.ts';
import type { Attachment } from './attachment.ts';
import type { BridgeWish } from './bridge.ts';
import type { Host } from './host.ts';
import { hostEndOf } from './host-end.ts';
import { ensurePair, ensurePod, interfaceExists } from './interface.ts';
import type { NodeSubnets } from './lease.ts';
import { type AttachmentNames, namesOf } from './names.ts';
import { type AddPlan, gatewaysOf, planOf, resultRoutes } from './plan.ts';
import { type LockedRecord, lockRecord } from './record.ts';
import { resultOf } from './result.ts';
import { Sandbox } from './sandbox.ts';
import { wishesIn, wishesOf } from './step.ts';
import { reclaim } from './sweep.ts';
import { releaseAddresses, teardown, teardownRecorded } from './teardown.ts';

/** @throws CniError for every refusal; then nothing is left of this call. */
export async function add(host: Host, request: AddRequest): Promise<CniResult> {
  const { config } = request;
  refuseUnfulfillable(host, config);
  const lease = config.addressing.kind === 'lease' ? host.lease.read() : undefined;
  const plan = planOf(config, lease);
  const dns = dnsOf(request);
  const names = namesOf(request.attachment);
  if (config.addressing.kind !== 'none') {
    host.hostLocalPath(config.addressing.hostLocalDir, request.opened?.dataDir);
  }
  const sandbox = Sandbox.open(request);
  const work = { request, sandbox, names, plan, lease, dns };
  try {
    return await claimAndAttach(host, work);
  } catch (error) {
    if (!isTaken(error) || !(await reclaim(host))) throw error;
    // What the dead held is free now.
    return await claimAndAttach(host, work);
  } finally {
    sandbox.close();
  }
}

async function claimAndAttach(host: Host, work: Omit<Work, 'record'>): Promise<CniResult> {
  const record = await claimRecord(host, work);
  try {
    return await attach(host, { ...work, record });
  } finally {
    record.close();
  }
}

/** Another attachment holds what this one asks for. */
const isTaken = (error: unknown): boolean =>
  error instanceof CniError &&
  (error.reason === 'host-port-taken' ||
    error.reason === 'address-not-available' ||
    error.reason === 'addresses-exhausted');

/** An option that nothing here can fulfil is refused, not passed over. */
function refuseUnfulfillable(host: Host, config: NetworkConfig): void {
  const wish = wishesOf(config).find((each) => host.steps.every((step) => step.wish !== each));
  if (wish === undefined) return;
  throw new CniError('unsupported-field', `unsupported field ${wish}: this build of weft cannot fulfil it`);
}

/**
 * The attachment's record, for us to fill in. A crashed ADD's leftovers are cleared away; an attachment that
 * lives is left untouched and refused.
 */
async function claimRecord(
  host: Host,
  options: { request: AddRequest; sandbox: Sandbox; names: AttachmentNames },
): Promise<LockedRecord> {
  const { attachment: key } = options.request;
  const record = await lockRecord({
    runDir: host.runDir,
    file: options.names.file,
    create: 'always',
  });
  if (!record) throw new RangeError('a record that was to be created is not there');
  try {
    const { attachment } = record;
    if (attachment && isLive(host, attachment, options.sandbox)) {
      throw interfaceExists(key.ifname, `container ${key.containerId} is attached already: DEL comes first`);
    }
    if (attachment) await teardownRecorded(host, attachment);
    return record;
  } catch (error) {
    record.close();
    throw error;
  }
}

function isLive(host: Host, attachment: Attachment, sandbox: Sandbox): boolean {
  if (attachment.phase !== 'complete' || attachment.bootId !== host.bootId) return false;
  if (attachment.netnsId !== sandbox.netns.id) return false;
  return hostEndOf(host.rtnl, attachment) !== undefined;
}

interface Work {
  readonly request: AddRequest;
  readonly sandbox: Sandbox;
  readonly names: AttachmentNames;
  readonly record: LockedRecord;
  readonly plan: AddPlan;
  readonly lease: NodeSubnets | undefined;
  readonly dns: CniDns | undefined;
}

async function attach(host: Host, work: Work): Promise<CniResult> {
  const { record } = work;
  try {
    record.start(intentOf(host, work));
    return await make(host, work);
  } catch (error) {
    await undo(host, record, error);
    throw error;
  }
}

/** What a DEL would do; if it cannot be done, the record stays for a DEL that can. */
async function undo(host: Host, record: LockedRecord, cause: unknown): Promise<void> {
  const { attachment } = record;
  try {
    // The pair that is in the way is not this call's.
    const foreign = cause instanceof CniError && cause.reason === 'interface-exists';
    if (attachment && foreign) releaseAddresses(host, attachment);
    else if (attachment) await teardown(host, attachment);
    record.remove();
  } catch (error) {
    const { reason, message } = CniError.of(cause);
    throw new CniError(reason, message, `and it could not be undone: ${CniError.of(error).message}`);
  }
}

async function make(host: Host, { request, sandbox, record, plan, lease, dns }: Work): Promise<CniResult> {
  const { config } = request;
  const intent = record.attachment;
  if (!intent) throw new RangeError('the intent was not recorded');
  const addresses = allocateAddresses({
    store: host.addresses(intent.network, intent.hostLocalDir),
    sets: plan.sets,
    requested: config.addressing.kind === 'none' ? [] : config.addressing.requested,
    owner: intent,
  });
  record.attachment = { ...intent, addresses };
  const { bridge, attachment } = await ensurePair(host, {
    attachment: { ...intent, phase: 'made', addresses },
    sandbox,
    bridge: bridgeWish(config, plan),
  });
  const routes = resultRoutes(config, { addresses, lease });
  const { disableContainerInterface: disabled, enabledad: enableDad } = config.bridge;
  ensurePod(sandbox, { attachment, routes, disabled, enableDad });
  if (!disabled) {
    await announce(host, { attachment, sandbox, bridge });
    await settleGroups(host, { attachment, sandbox, bridge });
    if (enableDad) await settleDad({ attachment, sandbox });
  }
  await ensureSteps(host, record, attachment);
  record.append({ ...attachment, phase: 'complete' });
  return resultOf({ attachment, bridge, routes, dns });
}

/** Steps are recorded, addresses and all, before the first of them does anything. */
async function ensureSteps(host: Host, record: LockedRecord, attachment: Attachment): Promise<void> {
  const wishes = wishesIn(attachment);
  if (wishes.length === 0) return;
  record.append(attachment);
  for (const step of host.steps) if (wishes.includes(step.wish)) await step.ensure(attachment);
}

function intentOf(host: Host, { request, sandbox, names, plan }: Work): Attachment {
  const { attachment: key, config, pod } = request;
  return {
    ...key,
    phase: 'intent',
    bootId: host.bootId,
    since: new Date().toISOString(),
    netns: request.netns,
    netnsId: sandbox.netns.id,
    hostNetnsId: homeNetns().id,
    bridge: config.bridge.bridge,
    host: { name: names.hostInterface, index: newLink.chooseIndex(), mac: names.hostMac },
    container: { index: newLink.chooseIndex(), mac: config.mac ?? names.containerMac },
    mtuBytes: plan.mtuBytes,
    hairpin: config.bridge.hairpinMode,
    isolated: config.bridge.portIsolation,
    addresses: [],
    hostLocalDir: config.addressing.kind === 'none' ? '' : config.addressing.hostLocalDir,
    masquerade: config.bridge.ipMasq && config.addressing.kind === 'ranges',
    spoofCheck: {
      mac: config.bridge.macspoofchk,
      address: config.bridge.ipspoofchk,
      holdsMac: config.bridge.holdsMac,
    },
    hostPorts: config.hostPorts,
    bandwidth: config.bandwidth,
    pod,
  };
}

const bridgeWish = (config: NetworkConfig, plan: AddPlan): BridgeWish => ({
  name: config.bridge.bridge,
  mtuBytes: plan.bridgeMtuBytes,
  promiscuous: config.bridge.promiscMode,
  addresses: gatewaysOf(plan.sets, config),
  forceAddress: config.bridge.forceAddress,
  leased: config.addressing.kind === 'lease',
});

function dnsOf({ config: { dns, addressing }, opened }: AddRequest): CniDns | undefined {
  if (dns) return dns;
  if (addressing.kind === 'none' || addressing.resolvConf === undefined) return undefined;
  return readResolvConf(addressing.resolvConf, opened?.resolvConf);
}
