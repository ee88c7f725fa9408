/** A call from outside: what a runtime executes a plugin with, and what it gets back. */
import type { Environment } from './environment.ts';

/** What a path of the call means to the caller: open, or the errno name of the failure. */
export type OpenedName = { readonly fd: number } | { readonly failed: string };

/**
 * Paths of a call as its caller sees them, which may be in other namespaces than the process that does the work.
 * Undefined: not named, or nothing was tried.
 */
export interface OpenedNames {
  /** CNI_NETNS. */
  readonly netns: OpenedName | undefined;
  /** ipam.resolvConf. */
  readonly resolvConf: OpenedName | undefined;
  /** ipam.dataDir or its default. */
  readonly dataDir: OpenedName | undefined;
}

export interface PluginCall {
  readonly env: Environment;
  readonly stdin: Uint8Array;
  /** Undefined where the caller's paths are this process's own. The descriptors are valid until the call is answered. */
  readonly opened?: OpenedNames;
}

export interface PluginAnswer {
  /** Exit status: 0, or 1 with an error object on stdout. */
  readonly status: number;
  /** JSON, or nothing. */
  readonly stdout: string;
  /** For people. */
  readonly stderr: string;
}
