/**
 * The peers that a view amounts to. A record that stops making sense, or would harm this node now, keeps the meaning
 * that it had (I3); one that never made sense, or would harm from the start, is left out and reported.
 */
import { formatIp, sameIp } from '../../../inet/ip.ts';
import { sameExtension } from '../extension.ts';
import type { Lease, LeaseAttributes, Peers } from '../lease.ts';
import { type HarmRules, harmOf, harmOfExtension, keyFault, lengthFault } from './harm.ts';
import type { PeerOwner, PeerView, SubnetRecord } from './peer-view.ts';
import { Problems } from './problems.ts';
import { SubnetIndex } from './subnet-index.ts';

export const noPeers: Peers = { leases: new Map(), complete: false, problems: [] };

export interface PeerRules extends HarmRules {
  /** The key of our own lease. */
  readonly own: string | undefined;
  /** What is wrong with our own lease. */
  readonly ownProblem?: string | undefined;
  /** What is known from before: the last good meaning of each record. */
  readonly before: ReadonlyMap<string, Lease>;
}

interface Meaning {
  readonly record: SubnetRecord;
  readonly owner: PeerOwner | undefined;
  readonly before: Lease | undefined;
  readonly lease: Lease | undefined;
  readonly extensionProblem: string | undefined;
}

export function peersOf(view: PeerView, rules: PeerRules): Peers {
  const [unchanged, changed, fresh]: [Meaning[], Meaning[], Meaning[]] = [[], [], []];
  const misfits: { key: string; fault: string }[] = [];
  for (const record of view.subnets()) {
    if (record.key === rules.own) continue;
    const fault = rules.before.has(record.key) ? undefined : keyFault(record.subnets, rules);
    if (fault !== undefined) {
      misfits.push({ key: record.key, fault });
      continue;
    }
    const meaning = meaningOf(record, { owner: view.ownerOf(record), rules });
    if (meaning.before === undefined) fresh.push(meaning);
    else if (meaning.lease === meaning.before) unchanged.push(meaning);
    else changed.push(meaning);
  }
  const selection = new Selection(view, rules);
  if (rules.own !== undefined && rules.ownProblem !== undefined) {
    const reason = rules.ownProblem;
    selection.problems.add({ key: view.labelOf(rules.own), kind: reason, reason: () => reason });
  }
  // Of two that clash, the one that was there stays, and the newcomer is left out.
  for (const meaning of [...unchanged, ...changed, ...fresh]) selection.add(meaning);
  for (const { key, fault } of misfits) selection.leaveOut(key, fault);
  for (const { key, reason } of view.problems())
    selection.problems.add({ key, kind: reason, reason: () => reason });
  return { leases: selection.leases, complete: view.complete, problems: selection.problems.list };
}

class Selection {
  readonly leases = new Map<string, Lease>();
  readonly problems = new Problems();
  readonly #view: PeerView;
  readonly #rules: PeerRules;
  readonly #occupied = new SubnetIndex();
  /** Key of the peer by address and by VTEP MAC. */
  readonly #ips = { ipv4: new Map<bigint, string>(), ipv6: new Map<bigint, string>() };
  readonly #macs = { vtepMac: new Map<string, string>(), vtepMac6: new Map<string, string>() };

  constructor(view: PeerView, rules: PeerRules) {
    this.#view = view;
    this.#rules = rules;
  }

  add({ record, owner, before, lease, extensionProblem }: Meaning): void {
    const { key, problem } = record;
    if (problem !== undefined) {
      const consequence = lease ? 'what it said before still holds' : 'that node cannot be reached';
      this.#report(key, 'their values are not leases; delete them', () => {
        return `${problem}: ${consequence}; have its agent write it again, or delete it`;
      });
    }
    if (owner && extensionProblem !== undefined) {
      this.problems.add({
        key: this.#view.labelOfOwner(owner),
        kind: 'their extensions are ignored; upgrade those nodes',
        reason: () => `${extensionProblem}; the extension is ignored`,
      });
    }
    if (!lease) return;
    const harm = this.#harmOf(lease);
    if (harm === undefined) {
      this.#take(lease);
      return;
    }
    this.leaveOut(key, harm);
    if (before && before !== lease && this.#harmOf(before) === undefined) this.#take(before);
  }

  leaveOut(key: string, harm: string): void {
    this.#report(key, 'they are left out; correct or delete them', () => harm);
  }

  #harmOf(lease: Lease): string | undefined {
    const harm = harmOf(lease, this.#rules);
    if (harm !== undefined) return harm;
    const other = this.#occupied.overlapping(lease.subnets)?.name;
    if (other !== undefined) {
      return `it overlaps ${other}, which was there before, and is left out: release one of the two`;
    }
    for (const name of ['vtepMac', 'vtepMac6'] as const) {
      const mac = lease.backend[name];
      const holder = mac === undefined ? undefined : this.#macs[name].get(mac);
      if (holder === undefined) continue;
      return `its VTEP MAC ${mac} is ${holder}'s, which was there before, and it is left out: if one machine is a clone of the other, remove its state directory`;
    }
    return undefined;
  }

  #take(lease: Lease): void {
    // A newcomer of another length does not come this far.
    const length = lengthFault(lease.subnets, this.#rules);
    if (length !== undefined) {
      this.#report(lease.key, 'they are of another length than the cluster uses', () => {
        return `${length}: it stays, because it was known before; have that node leave and join again`;
      });
    }
    for (const address of lease.publicIps) {
      const ips = this.#ips[address.family];
      const other = ips.get(address.value);
      if (other === undefined) ips.set(address.value, lease.key);
      else {
        this.#report(lease.key, "their public IPs are also other peers'; correct those nodes", () => {
          return `its public IP ${formatIp(address)} is also ${other}'s: correct one of the two nodes`;
        });
      }
    }
    for (const name of ['vtepMac', 'vtepMac6'] as const) {
      const mac = lease.backend[name];
      if (mac !== undefined) this.#macs[name].set(mac, lease.key);
    }
    this.#occupied.add(lease.key, lease.subnets);
    this.leases.set(lease.key, lease);
  }

  #report(key: string, kind: string, reason: () => string): void {
    this.problems.add({ key: this.#view.labelOf(key), kind, reason });
  }
}

function meaningOf(record: SubnetRecord, at: { owner: PeerOwner | undefined; rules: PeerRules }): Meaning {
  const { owner, rules } = at;
  const before = rules.before.get(record.key);
  if (!record.attributes) return { record, owner, before, lease: before, extensionProblem: undefined };
  const { publicIps, backend } = record.attributes;
  const nodeName = owner?.name === '' ? undefined : owner?.name;
  const extensionProblem =
    owner?.extensionProblem ?? (owner?.extension ? harmOfExtension(owner.extension, rules) : undefined);
  // An extension that stops making sense keeps the meaning it had, as the record does.
  const extension = extensionProblem === undefined ? owner?.extension : before?.extension;
  const attributes = { publicIps, backend, ...(extension ? { extension } : {}) };
  const known = { record, owner, before, extensionProblem };
  if (before && before.nodeName === nodeName && sameAttributes(before, attributes)) {
    return { ...known, lease: before };
  }
  const { key, subnets } = record;
  const lease = { key, subnets, ...attributes, ...(nodeName === undefined ? {} : { nodeName }) };
  return { ...known, lease };
}

export const sameAttributes = (a: LeaseAttributes, b: LeaseAttributes): boolean =>
  a.backend.type === b.backend.type &&
  a.backend.vni === b.backend.vni &&
  a.backend.vtepMac === b.backend.vtepMac &&
  a.backend.vtepMac6 === b.backend.vtepMac6 &&
  sameExtension(a.extension, b.extension) &&
  a.publicIps.length === b.publicIps.length &&
  a.publicIps.every((one) => b.publicIps.some((other) => sameIp(one, other)));
