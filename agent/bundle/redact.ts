/**
 * Takes secrets out of what leaves this host. Values are recognised by their field's name in what was parsed, by being
 * a secret that a file of the configuration holds, and by their form: PEM blocks, credentials in URLs, bearer tokens.
 */

export const REMOVED = '[removed]';

/** Fields whose value is a secret. A path (`passwordFile`, `keyFile`) is none. */
const secretName =
  /pass(word|wd|phrase)|secret|token|credential|authorization|(private|api|client|pre-?shared)[-_]?key|key[-_]?data$/i;
const pathName = /(file|path|dir|directory)$/i;

const pem = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?(?:-----END \1-----|$)/g;
const urlCredentials = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi;
const authorization = /\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}/gi;
/** In text that is no JSON: `token=...`, `--password ...`. */
const assigned =
  /\b([\w-]*(?:password|passwd|passphrase|secret|token)(?!s?-?file)[\w-]*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;}"']+)/gi;

/** Shorter values would take ordinary words with them. */
const LEAST_SECRET = 4;

export class Redactor {
  /** The longest first, so that none leaves the rest of a longer one. */
  readonly #known: readonly string[];

  /** `known`: secrets, as the files of the configuration hold them. */
  constructor(known: Iterable<string>) {
    const trimmed = [...known].map((secret) => secret.trim()).filter(({ length }) => length >= LEAST_SECRET);
    const forms = trimmed.flatMap((secret) => [
      secret,
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret),
    ]);
    this.#known = [...new Set(forms)].sort((a, b) => b.length - a.length);
  }

  /** A parsed value: fields by their names, strings by their content. */
  value(value: unknown, name = ''): unknown {
    if (typeof value === 'string') return isSecretName(name) ? REMOVED : this.#plain(value);
    if (typeof value === 'number' && isSecretName(name)) return REMOVED;
    if (Array.isArray(value)) return value.map((each) => this.value(each, name));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [
        this.#plain(key),
        isSecretName(key) && each !== null ? REMOVED : this.value(each, key),
      ]),
    );
  }

  /** Text of any kind: lines that are JSON as values, others by their form. */
  text(text: string): string {
    return this.#plain(text)
      .split('\n')
      .map((line) => this.#line(line))
      .join('\n');
  }

  #line(line: string): string {
    if (!line.startsWith('{') && !line.startsWith('[')) return line.replace(assigned, `$1${REMOVED}`);
    try {
      return JSON.stringify(this.value(JSON.parse(line)));
    } catch {
      return line.replace(assigned, `$1${REMOVED}`);
    }
  }

  #plain(text: string): string {
    let plain = text
      .replace(pem, (whole, kind: string) => (kind === 'CERTIFICATE' ? whole : REMOVED))
      .replace(urlCredentials, `$1${REMOVED}@`)
      .replace(authorization, `$1 ${REMOVED}`);
    for (const secret of this.#known) plain = plain.replaceAll(secret, REMOVED);
    return plain;
  }
}

export const isSecretName = (name: string): boolean => secretName.test(name) && !pathName.test(name);
