/** Which notifications of nftables make a pass necessary. Our own changes are notified too, and agree. */
import { formatIp, type Ip } from '../../inet/ip.ts';
import type { NetlinkMessage } from '../../kernel/netlink/message.ts';
import { elementsOf } from '../../kernel/nft/element.ts';
import { type NftEvent, nftEventOf } from '../../kernel/nft/notification.ts';
import { inetTable } from '../../plugin/attach/table.ts';
import { peerSets } from './tunnel.ts';

/** What was last asked for, and where. */
export interface Watched {
  readonly peers: readonly Ip[] | undefined;
  /** Other firewalls' chains that packets of ours have to pass: `ip filter FORWARD`. */
  readonly chains: ReadonlySet<string>;
}

/** Why this notification makes a pass necessary, in a word or two; undefined where it does not. */
export function firewallDamageBy(message: NetlinkMessage, watched: Watched): string | undefined {
  const event = nftEventOf(message);
  if (!event) return undefined;
  if (event.table !== inetTable.table) return foreignDamage(event, watched);
  if (event.what === 'elements') return peerDamage(event, message, watched);
  return `firewall ${event.what} ${event.gone ? 'gone' : 'changed'}`;
}

function foreignDamage(event: NftEvent, { chains }: Watched): string | undefined {
  if (event.what === 'chain' && event.hooked && !event.gone) return 'another firewall';
  const concerned = event.what === 'rule' && chains.has(`${event.family} ${event.table} ${event.name}`);
  return concerned ? 'another firewall' : undefined;
}

/** An element removed that is a peer, or added that is none. What pods put into their sets is theirs. */
function peerDamage(event: NftEvent, message: NetlinkMessage, { peers }: Watched): string | undefined {
  const set = peerSets.find(({ name, family }) => name === event.name && family === event.family);
  if (!set || !peers) return undefined;
  const known = textsOf(peers);
  const wrong = elementsOf(set, message).some(({ key }) => known.has(formatIp(key[0] as Ip)) === event.gone);
  return wrong ? 'tunnel guard changed' : undefined;
}

/** Thousands of peers mean thousands of notifications when they are added: asked once for each list of peers. */
const texts = new WeakMap<readonly Ip[], ReadonlySet<string>>();

function textsOf(peers: readonly Ip[]): ReadonlySet<string> {
  const known = texts.get(peers) ?? new Set(peers.map(formatIp));
  texts.set(peers, known);
  return known;
}
