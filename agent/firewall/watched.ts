/** Which notifications of nftables make a pass necessary. Our own changes are notified too, and agree. */
import type { NftEvent } from '../../kernel/nft/notification.ts';

/**
 * A rule of another firewall, or a chain of it that sees packets by itself. `chains`: those that packets of ours have
 * to pass: `ip filter FORWARD`.
 */
export function foreignDamage(event: NftEvent, chains: ReadonlySet<string>): string | undefined {
  if (event.what === 'chain' && event.hooked && !event.gone) return 'another firewall';
  const concerned = event.what === 'rule' && chains.has(`${event.family} ${event.table} ${event.name}`);
  return concerned ? 'another firewall' : undefined;
}
