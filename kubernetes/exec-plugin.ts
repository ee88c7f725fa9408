/** Credentials from a program (client.authentication.k8s.io/v1, ExecCredential), kept until they expire. */
import { execFile } from 'node:child_process';
import type { Credentials, Identity } from './access.ts';
import { ApiError, textOf } from './errors.ts';
import { isObject, objectIn, textIn } from './json.ts';

export interface ExecPlugin {
  /** `client.authentication.k8s.io/v1` or `…/v1beta1` */
  readonly apiVersion: string;
  /** An absolute path, or a name that is looked for in PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Given to the program where it asks for it (`provideClusterInfo`). */
  readonly cluster: Readonly<Record<string, unknown>> | undefined;
  readonly installHint: string | undefined;
}

/** A program that hangs must not hang the agent. */
const timeoutMs = 60_000;
/** Credentials that expire within this time are asked for again: a request takes time. */
const marginMs = 10_000;

export class ExecCredentials implements Credentials {
  readonly #plugin: ExecPlugin;
  #known: { readonly identity: Identity; readonly expiresMs: number } | undefined;
  #running: Promise<Identity> | undefined;

  constructor(plugin: ExecPlugin) {
    this.#plugin = plugin;
  }

  async current(signal: AbortSignal): Promise<Identity> {
    if (this.#known && Date.now() < this.#known.expiresMs - marginMs) return this.#known.identity;
    // Requests that start at the same time share one run of the program.
    this.#running ??= this.#run(signal).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  refused(): void {
    this.#known = undefined;
  }

  async #run(signal: AbortSignal): Promise<Identity> {
    const output = await run(this.#plugin, signal);
    const { identity, expiresMs } = parse(output, this.#plugin);
    this.#known = { identity, expiresMs };
    return identity;
  }
}

function run(plugin: ExecPlugin, signal: AbortSignal): Promise<string> {
  const { apiVersion, command, args, env, cluster, installHint } = plugin;
  const info = {
    apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(cluster ? { cluster } : {}) },
  };
  const options = {
    env: { ...process.env, ...env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
    timeout: timeoutMs,
    killSignal: 'SIGKILL' as const,
    maxBuffer: 1 << 20,
    signal,
  };
  return new Promise((resolve, reject) => {
    execFile(command, [...args], options, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      if (signal.aborted) return reject(signal.reason);
      const missing = error.code === 'ENOENT';
      const why = missing
        ? `the program does not exist; ${installHint ?? 'install it, or name it with its path'}`
        : error.killed
          ? `no answer within ${timeoutMs / 1000} s`
          : `it ended with ${String(error.code ?? error.signal)}: ${stderr.trim().slice(-300) || textOf(error)}`;
      return reject(fault(plugin, why, error));
    });
  });
}

function parse(output: string, plugin: ExecPlugin): { identity: Identity; expiresMs: number } {
  let document: unknown;
  try {
    document = JSON.parse(output);
  } catch (error) {
    throw fault(plugin, 'its output is not JSON', error);
  }
  if (!isObject(document) || document.kind !== 'ExecCredential') {
    throw fault(plugin, 'its output is not an ExecCredential');
  }
  if (document.apiVersion !== plugin.apiVersion) {
    const { apiVersion } = plugin;
    throw fault(plugin, `its output is of ${String(document.apiVersion)}; the kubeconfig says ${apiVersion}`);
  }
  const status = objectIn(document, 'status');
  const token = textIn(status, 'token');
  const [cert, key] = [textIn(status, 'clientCertificateData'), textIn(status, 'clientKeyData')];
  if ((cert === undefined) !== (key === undefined)) {
    throw fault(plugin, 'its output has one of clientCertificateData and clientKeyData without the other');
  }
  if (!token && !cert) throw fault(plugin, 'its output has neither a token nor a client certificate');
  const expires = Date.parse(textIn(status, 'expirationTimestamp') ?? '');
  return {
    identity: { token, certificate: cert && key ? { cert, key } : undefined },
    expiresMs: Number.isNaN(expires) ? Number.POSITIVE_INFINITY : expires,
  };
}

const fault = (plugin: ExecPlugin, why: string, cause?: unknown): ApiError =>
  new ApiError('credentials', `failed to get credentials from ${plugin.command}: ${why}`, { cause });
