/**
 * Which subnet this node may ask for, and under which conditions. A pure function of what is known of the
 * store: being out of date costs a lost comparison, never a wrong lease.
 *
 * In this order: our own record; the record with our public IP, if its holder is silent; the subnet we had, or
 * that flannel on this host had; a free one.
 */
import { type Cidr, formatCidr, overlaps, sameCidr } from '../../../inet/cidr.ts';
import { formatIp, type Ip, sameIp } from '../../../inet/ip.ts';
import { LeaseError } from '../errors.ts';
import { belongs, type ClusterConfig, fits } from '../flannel/cluster-config.ts';
import { parseSubnetKey, subnetKey } from '../flannel/key.ts';
import type { LeaseAttributes } from '../lease.ts';
import type { SubnetRecord } from '../view/peer-view.ts';
import { SubnetIndex } from '../view/subnet-index.ts';
import type { ClusterView, HeldNode } from '../view/view.ts';
import { freeSubnet, hashedStart } from './free-subnet.ts';

export interface Claimant {
  /** Stable over reboots; one per node. */
  readonly id: string;
  readonly name: string;
  /** This boot of the kernel. */
  readonly boot: string;
  /** Kept in runDir: two agents that share an id do not share it. */
  readonly run: string;
  readonly attributes: LeaseAttributes;
  /** Keys of subnets we had before, best first. */
  readonly had: readonly string[];
  /** No pod of before runs in those: the node left, or was booted since. */
  readonly hadGivenUp?: boolean;
  /** What flannel on this host had, by its subnet file: its record is ours to take. */
  readonly flannelHad: readonly Cidr[];
}

export type Decision =
  /** Ask for this subnet; `replaces` are the nodes whose records go with it, `deletes` the subnets. */
  | {
      readonly type: 'claim';
      readonly key: string;
      readonly replaces: readonly string[];
      readonly deletes: readonly string[];
    }
  /** The record is ours as it stands. */
  | { readonly type: 'resume'; readonly key: string }
  /** Ask again once this session's holder has been found silent; if it is heard, `refusal` is the answer. */
  | {
      readonly type: 'doubt';
      readonly session: string;
      readonly renewSeconds: number;
      readonly refusal: LeaseError;
    }
  | { readonly type: 'refuse'; readonly refusal: LeaseError };

export interface Circumstances {
  readonly view: ClusterView;
  readonly us: Claimant;
  readonly config: ClusterConfig;
  readonly placement: 'lowest' | 'hashed';
  /** Counts lost races, so that the next choice differs. */
  readonly attempt: number;
  /** Sessions whose holders have just been found silent. */
  readonly silent: ReadonlySet<string>;
  /** The subnet that we hold or held in this life: no other will do. */
  readonly only: string | undefined;
}

export function decide(at: Circumstances): Decision {
  return fromOwnRecord(at) ?? fromPublicIp(at) ?? fromHistory(at) ?? fromFree(at);
}

function fromOwnRecord(at: Circumstances): Decision | undefined {
  const { view, us, config, only } = at;
  const mine = view.node(us.id);
  if (!mine) return undefined;
  const subnet = view.subnet(mine.subnet);
  if (!isProvablyOurs(mine, subnet, us)) {
    const doubt = doubtUnlessSilent(at, mine, idTaken(mine, subnet));
    if (doubt) return doubt;
  }
  const owned = subnet !== undefined && view.ownerOf(subnet)?.id === us.id;
  if (only !== undefined && only !== mine.subnet) {
    // Ours by id, yet not the one this agent serves: another of our name chose it while we were away.
    return undefined;
  }
  // Pods of this node may run in it, so a range that was changed does not take it away: see `rangeFault`.
  if (owned && (only !== undefined || belongs(subnet.subnets, config))) {
    // Marked, it was about to be given back, and a deletion may still be on its way: to what was there before.
    if (mine.run === us.run && !view.released(mine.subnet)) return { type: 'resume', key: mine.subnet };
    return { type: 'claim', key: mine.subnet, replaces: [us.id], deletes: [] };
  }
  if (owned) return claimNext(at, { replaces: [us.id], deletes: [mine.subnet] });
  if (subnet === undefined && isFree(at, mine.subnet)) {
    return { type: 'claim', key: mine.subnet, replaces: [us.id], deletes: [] };
  }
  return undefined;
}

/** After a reboot the run is new; then the same address under another boot is this machine come back. */
const isProvablyOurs = (mine: HeldNode, subnet: SubnetRecord | undefined, us: Claimant): boolean =>
  mine.run === us.run ||
  (mine.boot !== us.boot &&
    subnet?.attributes !== undefined &&
    sharesIp(subnet.attributes.publicIps, us.attributes.publicIps));

function fromPublicIp(at: Circumstances): Decision | undefined {
  const { view, us, config, only } = at;
  for (const subnet of view.subnets()) {
    if (!subnet.attributes || !sharesIp(subnet.attributes.publicIps, us.attributes.publicIps)) continue;
    if (only !== undefined && subnet.key !== only) continue;
    const owner = view.ownerOf(subnet);
    if (owner?.id === us.id) continue;
    if (owner) {
      const doubt = doubtUnlessSilent(at, owner, ipTaken(subnet, owner));
      if (doubt) return doubt;
    } else if (
      subnet.session !== undefined &&
      !at.us.flannelHad.some((had) => subnet.subnets.some((s) => sameCidr(s, had)))
    ) {
      return { type: 'refuse', refusal: flannelHolds(subnet) };
    }
    const replaces = owner ? [owner.id, us.id] : [us.id];
    if (only !== undefined || fits(subnet.subnets, config)) {
      return { type: 'claim', key: subnet.key, replaces, deletes: [] };
    }
    return claimNext(at, { replaces, deletes: [subnet.key] });
  }
  return undefined;
}

function fromHistory(at: Circumstances): Decision | undefined {
  const { us, config, only } = at;
  if (only !== undefined) {
    if (isFree(at, only)) return { type: 'claim', key: only, replaces: [us.id], deletes: [] };
    return { type: 'refuse', refusal: heldByAnother(at, only) };
  }
  const flannels = config.networks.map(({ cidr }) => us.flannelHad.find((had) => had.family === cidr.family));
  const complete = flannels.filter((had) => had !== undefined);
  const candidates = [...us.had, ...(complete.length === flannels.length ? [subnetKey(complete)] : [])];
  for (const key of candidates) {
    const usable = us.hadGivenUp ? fits(subnetsOf(key), config) : belongs(subnetsOf(key), config);
    if (usable && isFree(at, key)) return { type: 'claim', key, replaces: [us.id], deletes: [] };
  }
  return undefined;
}

const fromFree = (at: Circumstances): Decision => claimNext(at, { replaces: [at.us.id], deletes: [] });

/** A claim of some free subnet, together with what goes. */
function claimNext(
  at: Circumstances,
  going: { readonly replaces: readonly string[]; readonly deletes: readonly string[] },
): Decision {
  const { view, us, config } = at;
  const taken = new SubnetIndex();
  for (const { key, subnets } of view.subnets()) taken.add(key, subnets);
  for (const { key, subnets, id } of view.claims()) if (id !== us.id) taken.add(key, subnets);
  const cooling = [...view.releaseMarks()].filter(({ id }) => id !== us.id);
  for (const { key, subnets } of cooling) taken.add(key, subnets);
  const start = at.placement === 'lowest' ? 0n : hashedStart(us.id, at.attempt);
  const found: Cidr[] = [];
  for (const range of config.networks) {
    const subnet = freeSubnet(range, taken, start);
    if (!subnet) {
      const waiting = cooling.some(({ subnets }) =>
        subnets.some(({ family }) => family === range.cidr.family),
      );
      return { type: 'refuse', refusal: full(range.cidr, range.subnetLength, waiting) };
    }
    found.push(subnet);
  }
  return { type: 'claim', key: subnetKey(found), ...going };
}

/** Whether nobody has it, nor a part of it, and nobody else gave it back just now. */
function isFree({ view, us }: Circumstances, key: string): boolean {
  const wanted = subnetsOf(key);
  const clashes = (other: readonly Cidr[]): boolean => other.some((o) => wanted.some((w) => overlaps(o, w)));
  for (const subnet of view.subnets()) if (clashes(subnet.subnets)) return false;
  // A node whose lease was deleted under it is about to put it back.
  for (const { id, subnets } of view.claims()) if (id !== us.id && clashes(subnets)) return false;
  for (const { id, subnets } of view.releaseMarks()) if (id !== us.id && clashes(subnets)) return false;
  return true;
}

function doubtUnlessSilent(at: Circumstances, holder: HeldNode, refusal: LeaseError): Decision | undefined {
  const { session, renewSeconds } = holder;
  if (session === undefined || at.silent.has(session)) return undefined;
  return { type: 'doubt', session, renewSeconds, refusal };
}

const sharesIp = (a: readonly Ip[], b: readonly Ip[]): boolean =>
  a.some((one) => b.some((other) => sameIp(one, other)));

const subnetsOf = (key: string): readonly Cidr[] => parseSubnetKey(key) ?? [];

const addresses = (subnet: SubnetRecord | undefined): string =>
  subnet?.attributes?.publicIps.map(formatIp).join(', ') ?? 'an unknown address';

const idTaken = (holder: HeldNode, subnet: SubnetRecord | undefined): LeaseError =>
  new LeaseError(
    'node-id-taken',
    `node id ${holder.id} belongs to node ${JSON.stringify(holder.name)} at ${addresses(subnet)}, which is alive ` +
      `and holds ${holder.subnet}: was this machine cloned with its state directory? Remove the state ` +
      'directory of one of the two and restart its agent',
  );

const ipTaken = (subnet: SubnetRecord, owner: HeldNode): LeaseError =>
  new LeaseError(
    'public-ip-taken',
    `public IP ${addresses(subnet)} belongs to node ${JSON.stringify(owner.name)}, which is alive and holds ` +
      `${subnet.key}: choose an address that only this node has (underlay, publicIP)`,
  );

const flannelHolds = (subnet: SubnetRecord): LeaseError =>
  new LeaseError(
    'public-ip-taken',
    `public IP ${addresses(subnet)} is in flannel's lease ${subnet.key}, and no subnet file of flannel's on this ` +
      `host says that it was ours: if that node is gone, run weftctl node forget ${subnet.key}`,
  );

function heldByAnother({ view }: Circumstances, key: string): LeaseError {
  const subnet = view.subnet(key);
  const owner = subnet && view.ownerOf(subnet);
  const who = owner
    ? `node ${JSON.stringify(owner.name)} at ${addresses(subnet)}`
    : `another at ${addresses(subnet)}`;
  return new LeaseError(
    'not-held',
    `subnet ${key} is ${subnet ? `held by ${who}` : 'overlapped by another lease, or given back by another just now'}: ` +
      'running pods keep their network as far as possible, no new ones are made; to take another subnet, ' +
      'drain this node, run weftctl node leave and restart the agent',
  );
}

const full = (network: Cidr, length: number, cooling: boolean): LeaseError =>
  new LeaseError(
    'network-full',
    `${formatCidr(network)} has no free /${length} left: ` +
      (cooling
        ? 'some were given back just now and can be had in a minute'
        : 'give back the subnet of a node that is gone (weftctl node forget NAME), or enlarge the network'),
  );
