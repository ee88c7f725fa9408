/** Rules of nftables that drop a UDP port by name, in what `nft -j list ruleset` prints. Pure. */
import { isObject } from '../../json/object.ts';

export interface PortDrop {
  /** `inet filter input` */
  readonly chain: string;
  readonly handle: number;
  readonly hook: string | undefined;
}

/** `except`: a table whose rules are not looked at. */
export function dropsOfPort(
  ruleset: unknown,
  of: { readonly port: number; readonly except: string },
): PortDrop[] {
  const items = isObject(ruleset) && Array.isArray(ruleset.nftables) ? ruleset.nftables : [];
  const hooks = new Map<string, string>();
  const drops: PortDrop[] = [];
  for (const item of items) {
    if (!isObject(item)) continue;
    const { chain, rule } = item;
    if (isObject(chain) && typeof chain.hook === 'string') hooks.set(nameOf(chain, chain.name), chain.hook);
    if (!isObject(rule) || rule.table === of.except || !Array.isArray(rule.expr)) continue;
    if (!rule.expr.some((each) => isPort(each, of.port)) || !rule.expr.some(isDrop)) continue;
    const name = nameOf(rule, rule.chain);
    drops.push({ chain: name, handle: Number(rule.handle), hook: hooks.get(name) });
  }
  return drops;
}

const nameOf = ({ family, table }: Record<string, unknown>, chain: unknown): string =>
  `${family} ${table} ${chain}`;

/** `udp dport 8472`, `udp dport { 8472, ... }`; iptables' matches are opaque here. */
function isPort(expression: unknown, port: number): boolean {
  if (!isObject(expression) || !isObject(expression.match)) return false;
  const { left, right, op } = expression.match;
  const payload = isObject(left) && isObject(left.payload) ? left.payload : undefined;
  if (payload?.field !== 'dport' || op !== '==') return false;
  const set = isObject(right) && Array.isArray(right.set) ? right.set : [right];
  return set.some((each) => each === port);
}

const isDrop = (expression: unknown): boolean =>
  isObject(expression) && ('drop' in expression || 'reject' in expression);
