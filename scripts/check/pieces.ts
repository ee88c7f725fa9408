/**
 * The strings and comments of a TypeScript source with their lines. A scanner of its own: the compiler's API is not part
 * of TypeScript 7, and nothing but the ends of strings, templates, comments and regular expressions matters here.
 */

export interface Piece {
  readonly kind: 'string' | 'comment';
  readonly text: string;
  /** Of its first character, from 1. */
  readonly line: number;
}

/** A slash after one of these begins a regular expression, not a division. */
const beforeRegExp = /(^|[=(,:;!&|?{}[\]+\-*%<>~^]|\b(return|typeof|case|in|of|yield|await|throw))\s*$/;

export function piecesOf(source: string): Piece[] {
  const pieces: Piece[] = [];
  /** For each template that is open: how deep its `${` is in braces. */
  const templates: number[] = [];
  let at = 0;
  let depth = 0;
  let code = '';
  const lineAt = (offset: number): number => source.slice(0, offset).split('\n').length;
  const take = (kind: Piece['kind'], begin: number, end: number): void => {
    pieces.push({ kind, text: source.slice(begin, end), line: lineAt(begin) });
  };
  /** From behind an opening backtick, or the brace that ends an expression, to the next of either. */
  const template = (begin: number): void => {
    for (at = begin; at < source.length; at++) {
      if (source[at] === '\\') at++;
      else if (source[at] === '`') break;
      else if (source.startsWith('${', at)) {
        templates.push(depth++);
        take('string', begin, at);
        at += 2;
        return;
      }
    }
    take('string', begin, at++);
    code = '"';
  };
  while (at < source.length) {
    const two = source.slice(at, at + 2);
    const one = two[0] ?? '';
    if (two === '//' || two === '/*') {
      const found = two === '//' ? source.indexOf('\n', at) : source.indexOf('*/', at + 2);
      const end = found < 0 ? source.length : found;
      take('comment', at + 2, end);
      at = two === '//' ? end : end + 2;
    } else if (one === "'" || one === '"') {
      const begin = ++at;
      while (at < source.length && source[at] !== one) at += source[at] === '\\' ? 2 : 1;
      take('string', begin, at++);
      code = '"';
    } else if (one === '`') template(at + 1);
    else if (one === '}' && templates.at(-1) === depth - 1) {
      depth = templates.pop() ?? 0;
      template(at + 1);
    } else if (one === '/' && beforeRegExp.test(code)) {
      let inClass = false;
      for (at++; at < source.length && (inClass || source[at] !== '/'); at++) {
        if (source[at] === '\\') at++;
        else if (source[at] === '[') inClass = true;
        else if (source[at] === ']') inClass = false;
      }
      at++;
      code = '"';
    } else {
      if (one === '{') depth++;
      if (one === '}') depth--;
      code = (code + one).slice(-12);
      at++;
    }
  }
  return pieces;
}
