/** Credentials that are a value or a file. Files are read at each request: the kubelet replaces a token every hour. */
import { readFileSync } from 'node:fs';
import type { Credentials, Identity } from './access.ts';
import { ApiError, textOf } from './errors.ts';

/** A text, or the file that holds it. */
export type Source = { readonly text: string } | { readonly file: string };

export const fixedCredentials = (parts: {
  readonly token?: Source | undefined;
  readonly certificate?: { readonly cert: Source; readonly key: Source } | undefined;
}): Credentials => ({
  current: async (): Promise<Identity> => ({
    token: parts.token && readToken(parts.token),
    certificate: parts.certificate && {
      cert: readSource(parts.certificate.cert, 'client certificate'),
      key: readSource(parts.certificate.key, 'key of the client certificate'),
    },
  }),
  refused: () => undefined,
});

function readToken(source: Source): string {
  const token = readSource(source, 'token').trim();
  if (token !== '') return token;
  const where = 'file' in source ? source.file : 'the kubeconfig';
  throw new ApiError(
    'credentials',
    `${where} holds no token: the file is empty; mount a service account token`,
  );
}

/** Throws `ApiError` `credentials`. */
export function readSource(source: Source, what: string): string {
  if ('text' in source) return source.text;
  try {
    return readFileSync(source.file, 'utf8');
  } catch (error) {
    throw new ApiError('credentials', `failed to read the ${what}: ${textOf(error)}`, { cause: error });
  }
}
