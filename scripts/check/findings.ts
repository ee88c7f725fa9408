/** What of docs/style.md a program can find in a source. */
import { piecesOf } from './pieces.ts';

export interface Finding {
  readonly line: number;
  readonly text: string;
}

/** In messages, help, and test names. Each with what is written instead. */
const banned: readonly [words: RegExp, instead: string][] = [
  [/\bwhoever\b/i, 'name the subject'],
  [/\bwhatever\b/i, 'name the object'],
  [/\banew\b/i, 'again'],
  [/\bamiss\b/i, 'wrong, a problem'],
  [/\bof ours\b/i, "weft's"],
  [/\b(is|are|was|were) told\b/i, 'say who reports what to whom'],
  [/\bso (many|much)\b/i, 'name the number'],
  [/\b(can(not)?|to|could not|not) be had\b/i, 'unresolved, unavailable, not found'],
  [/\b(is|are) there twice\b/i, 'duplicate'],
  [/\bnot ours\b/i, 'unexpected, not created by weft'],
  [/\bbehind (weft|our|its)('s)? back\b/i, 'outside weft'],
  [/\bagain and again\b/i, 'repeatedly'],
  [/\bthere is no such\b/i, 'not found, unknown'],
  [/\bis no key of\b/i, 'unknown key'],
  [/\bas (it|they) should( be)?\b/i, 'as desired'],
  [/\bgets? on\b/i, 'continues, makes progress'],
  [/\bnone the worse\b/i, 'unaffected'],
  [/\bgives? way\b/i, 'releases, is replaced'],
  [/\blest\b/i, 'so that ... not'],
  [/\b(is|are) had\b|\bhad by\b/i, 'in use by'],
  [/\bnobody's\b/i, 'without an owner, unused'],
  [/\bheard of\b/i, 'received, notified'],
];

/** The formatter breaks code at 110; it leaves strings and comments alone. */
const LONGEST_LINE = 120;

export function findingsIn(source: string): Finding[] {
  const lines = source.split('\n');
  const findings: Finding[] = [];
  const long = new Set<number>();
  for (const { kind, text, line } of piecesOf(source)) {
    for (let i = line; i < line + text.split('\n').length; i++) {
      const length = lines[i - 1]?.length ?? 0;
      if (length <= LONGEST_LINE || long.has(i)) continue;
      long.add(i);
      findings.push({ line: i, text: `the line has ${length} characters (at most ${LONGEST_LINE})` });
    }
    if (kind === 'comment') continue;
    if (/[\u2018\u2019]/.test(text)) findings.push({ line, text: "curly apostrophe: write '" });
    for (const [words, instead] of banned) {
      const hit = words.exec(text);
      if (hit) findings.push({ line, text: `banned in strings: "${hit[0]}" (${instead})` });
    }
  }
  return findings;
}
