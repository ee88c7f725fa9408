/** The tunnel's peers in their sets: the difference between who they are and who the kernel takes them for. */
import { addMany, elements, nameOfElement, removeMany, type SetElement } from '../../kernel/nft/element.ts';
import { type Nfnl, transactInTurn } from '../../kernel/nft/nfnetlink.ts';
import type { Tunnel } from './desired.ts';
import { peerElements, peerSets } from './tunnel.ts';

export interface PeersPlan {
  readonly missing: readonly SetElement[];
  readonly stray: readonly SetElement[];
}

/** Empty where the peers are not known. */
export function planPeers(nfnl: Nfnl, peers: Tunnel['peers']): PeersPlan {
  if (!peers) return { missing: [], stray: [] };
  const desired = new Map(peerElements(peers).map((element) => [nameOfElement(element), element]));
  const actual = new Map<string, SetElement>();
  for (const set of peerSets) {
    for (const { key } of elements(nfnl, set) ?? []) actual.set(nameOfElement({ set, key }), { set, key });
  }
  return {
    missing: [...desired].filter(([name]) => !actual.has(name)).map(([, element]) => element),
    stray: [...actual].filter(([name]) => !desired.has(name)).map(([, element]) => element),
  };
}

export function applyPeers(nfnl: Nfnl, { missing, stray }: PeersPlan): void {
  transactInTurn(nfnl, [...addMany(missing), ...removeMany(stray)]);
}

export const describePeers = ({ missing, stray }: PeersPlan): string[] => [
  ...missing.map((element) => `add ${nameOfElement(element)}`),
  ...stray.map((element) => `remove ${nameOfElement(element)}`),
];
