/** The filter table of iptables-legacy as `iptables-legacy -S` shows it. Pure. */
import type { RuleKind } from '../barrier.ts';

export interface LegacyTable {
  /** By built-in chain: what becomes of packets at its end. */
  readonly policies: ReadonlyMap<string, 'ACCEPT' | 'DROP'>;
  /** By chain, the rules in order. */
  readonly chains: ReadonlyMap<string, readonly LegacyRule[]>;
}

export interface LegacyRule {
  readonly kind: RuleKind;
  readonly comment: string | undefined;
}

export function parseLegacy(text: string): LegacyTable {
  const policies = new Map<string, 'ACCEPT' | 'DROP'>();
  const chains = new Map<string, LegacyRule[]>();
  for (const line of text.split('\n')) {
    const [verb, chain = '', ...rest] = wordsOf(line);
    if (verb === '-P') policies.set(chain, rest[0] === 'DROP' ? 'DROP' : 'ACCEPT');
    if (verb === '-P' || verb === '-N') chains.set(chain, []);
    if (verb === '-A') chains.get(chain)?.push(ruleOf(rest));
  }
  return { policies, chains };
}

/** Words at blanks; what is in double quotes is one, with `\` before a quote or a backslash. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '') : quoted.replace(/\\(.)/g, '$1'),
  );

function ruleOf(words: readonly string[]): LegacyRule {
  const comment = valueAfter(words, '--comment');
  if (comment?.startsWith('weft: ')) return { kind: { kind: 'ours' }, comment };
  const at = words.findIndex((word) => word === '-j' || word === '-g');
  const target = at < 0 ? undefined : words[at + 1];
  return { kind: kindOf(target, reachOf(at < 0 ? words : words.slice(0, at))), comment };
}

const valueAfter = (words: readonly string[], option: string): string | undefined => {
  const at = words.indexOf(option);
  return at < 0 ? undefined : words[at + 1];
};

function kindOf(target: string | undefined, reach: Reach): RuleKind {
  if (target === undefined || passive.has(target)) return { kind: 'none' };
  if (reach === 'named') return { kind: 'other' };
  if (target === 'DROP' || target === 'REJECT')
    return { kind: reach === 'one-protocol' ? 'stop-some' : 'stop' };
  if (target === 'ACCEPT' || target === 'RETURN') return { kind: reach === 'all' ? 'leave' : 'other' };
  return reach === 'one-protocol' ? { kind: 'other' } : { kind: 'jump', chain: target };
}

/** Targets after which a packet goes on to the next rule (iptables-extensions(8)). */
const passive: ReadonlySet<string> = new Set([
  ...[
    'AUDIT',
    'CHECKSUM',
    'CLASSIFY',
    'CONNMARK',
    'CONNSECMARK',
    'DSCP',
    'ECN',
    'HL',
    'IDLETIMER',
    'LED',
    'LOG',
  ],
  ...['MARK', 'NFLOG', 'RATEEST', 'SECMARK', 'SET', 'TCPMSS', 'TCPOPTSTRIP', 'TOS', 'TRACE', 'TTL', 'ULOG'],
]);

type Reach = 'all' | 'broad' | 'one-protocol' | 'named';

/** As in verdict.ts: which packets the words before the target are about. */
function reachOf(words: readonly string[]): Reach {
  let reach: Exclude<Reach, 'named'> = 'all';
  for (let i = 0; i < words.length; i++) {
    const value = words[i + 1] ?? '';
    switch (words[i]) {
      case '-p':
        if (value === 'tcp' || value === 'udp') reach = reach === 'all' ? 'broad' : reach;
        else if (value !== 'all') reach = 'one-protocol';
        break;
      case '--ctstate':
      case '--state':
        if (!value.split(',').includes('NEW')) return 'named';
        reach = reach === 'all' ? 'broad' : reach;
        break;
      case '-m':
      case '--comment':
        break;
      default:
        return 'named';
    }
    i++;
  }
  return reach;
}
