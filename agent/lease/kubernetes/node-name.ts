/** Under which name this machine is a Node. */
import { hostname } from 'node:os';

/** The pod's environment before the configuration before the host's name, which is what a kubelet goes by. */
export const nodeNameOf = (given: {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly configured: string | undefined;
}): string => given.env.NODE_NAME || given.configured || hostname().toLowerCase();
