/** What a TLS handshake failed with, by side: what is wrong with the server's certificate, or with ours. Pure. */
import { X509Certificate } from 'node:crypto';
import { isObject } from '../../../../json/object.ts';
import { textOf } from '../../errors.ts';

export interface Handshake {
  readonly host: string;
  /** Undefined: the system's authorities. */
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  /** Our certificate, PEM. */
  readonly cert: string | undefined;
  readonly nowMs: number;
}

/** In one sentence with the remedy; undefined where the failure is not one of certificates. */
export function tlsFault(error: unknown, handshake: Handshake): string | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return serverFault(code, error, handshake) ?? ourFault(`${code} ${textOf(error)}`, handshake);
}

function serverFault(code: string, error: unknown, { host, caFile }: Handshake): string | undefined {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return "the server's certificate expired: renew it there";
    case 'CERT_NOT_YET_VALID':
      return "the server's certificate is not valid yet: check the clocks of both machines";
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names = namesOf(error);
      return `the server's certificate does not name ${host}${names ? ` but ${names}` : ''}: name the endpoint in store.endpoints as the certificate does, or issue one with this name`;
    }
    case 'CERT_REVOKED':
      return "the server's certificate is revoked: replace it there";
  }
  if (!untrusted.has(code)) return undefined;
  const trusted = caFile === undefined ? "the system's authorities" : `the authorities in ${caFile}`;
  return `the server's certificate is not trusted by ${trusted}: set store.caFile to the authority that signed it`;
}

const untrusted = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_CHAIN_TOO_LONG',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
]);

/** The server ends the handshake with an alert (RFC 8446 section 6.2); Go sends bad_certificate for most faults. */
function ourFault(text: string, { certFile, cert, nowMs }: Handshake): string | undefined {
  const alert = /alert[ _](\w+[ _]\w+)/i.exec(text)?.[1]?.toLowerCase().replaceAll(' ', '_') ?? '';
  const refused = /^(bad_certificate|unsupported_certificate|certificate_|unknown_ca|access_denied)/.test(
    alert,
  );
  if (!refused && !(alert === 'handshake_failure' && certFile === undefined)) return undefined;
  if (certFile === undefined) {
    return 'the server requires a client certificate: set store.certFile and store.keyFile';
  }
  const ended = cert === undefined ? undefined : endOf(cert);
  if (alert === 'certificate_expired' || (ended && ended.ms < nowMs)) {
    return `our certificate ${certFile} expired${ended ? ` on ${ended.text}` : ''}: renew it in place, weftd reads it at the next connection`;
  }
  return `our certificate ${certFile} is not trusted by the server: sign it by the authority in the server's trusted CA file`;
}

function endOf(pem: string): { ms: number; text: string } | undefined {
  try {
    const { validTo } = new X509Certificate(pem);
    return { ms: Date.parse(validTo), text: validTo };
  } catch {
    return undefined;
  }
}

/** Node.js puts the server's certificate into this error. */
function namesOf(error: unknown): string | undefined {
  const cert = isObject(error) && isObject(error.cert) ? error.cert.subjectaltname : undefined;
  return typeof cert === 'string' ? cert.replaceAll('IP Address:', '').replaceAll('DNS:', '') : undefined;
}
