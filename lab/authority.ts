/** A certificate authority of a lab's own, by openssl. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { mustRun } from './command.ts';

const validDays = '30';
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** Paths of PEM files. */
interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export class Authority {
  readonly #files: KeyPair;

  private constructor(files: KeyPair) {
    this.#files = files;
  }

  /** Makes key and certificate. Throws `LabError` with openssl's words. */
  static async make({ certificate, key, name }: KeyPair & { name: string }): Promise<Authority> {
    mkdirSync(dirname(certificate), { recursive: true });
    const files = ['-keyout', key, '-out', certificate];
    await mustRun([
      'openssl',
      'req',
      '-x509',
      ...newKey,
      ...files,
      '-days',
      validDays,
      '-subj',
      `/CN=${name}`,
    ]);
    return new Authority({ certificate, key });
  }

  /** Makes a key and signs its certificate. `names`: subjectAltName as openssl takes it: `IP:127.0.0.1`, `DNS:etcd`. */
  async sign(to: KeyPair & { subject: string; names: readonly string[] }): Promise<void> {
    const request = `${to.certificate}.csr`;
    const extensions = `${to.certificate}.ext`;
    writeFileSync(extensions, `subjectAltName=${to.names.join(',')}\n`);
    await mustRun(['openssl', 'req', ...newKey, '-keyout', to.key, '-out', request, '-subj', to.subject]);
    const authority = ['-CA', this.#files.certificate, '-CAkey', this.#files.key];
    const serial = ['-CAcreateserial', '-CAserial', `${to.certificate}.srl`];
    await mustRun([
      ...['openssl', 'x509', '-req', '-in', request, '-extfile', extensions, ...authority, ...serial],
      ...['-out', to.certificate, '-days', validDays],
    ]);
  }
}
