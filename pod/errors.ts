/** What pods on Docker can fail of: a stable code for programs, a message that says what to do for people. */

export type PodErrorCode =
  /** The manifest is malformed or contradicts itself; a line per problem. */
  | 'manifest'
  /** Docker does not answer, or refuses. */
  | 'docker'
  /** An image is not there and cannot be had. */
  | 'image'
  /** Something on this host has a port that a pod is to have. */
  | 'host-port'
  /** A folder or file of the host that a pod is to have is not there, or of another kind. */
  | 'host-path'
  /** The manifest and the image contradict each other. */
  | 'config'
  /** The pause container cannot be made. */
  | 'pause'
  /** The pod could not be put on the network, or taken off it. */
  | 'network'
  /** weftd does not run, or does not get on. */
  | 'agent'
  /** There is no such pod or container. */
  | 'unknown'
  /** A file in stateDir cannot be read; nothing is changed. */
  | 'state'
  /** A command in a container failed: a hook or a probe. */
  | 'hook';

export class PodError extends Error {
  override readonly name = 'PodError';
  readonly code: PodErrorCode;

  constructor(code: PodErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
