/** Failures of pods on Docker: a stable code for programs, a message with the remedy for people. */

export type PodErrorCode =
  /** The manifest is malformed or contradicts itself; a line per problem. */
  | 'manifest'
  /** Docker is unreachable, or refuses. */
  | 'docker'
  /** An image is absent and cannot be pulled. */
  | 'image'
  /** A host port is in use. */
  | 'host-port'
  /** A folder or file of the host is absent, or of another type. */
  | 'host-path'
  /** The manifest and the image contradict each other. */
  | 'config'
  /** The pause container cannot be made. */
  | 'pause'
  /** The pod could not be put on the network, or taken off it. */
  | 'network'
  /** weft-podd does not run, or reports a failure. */
  | 'daemon'
  /** Another weft-podd runs. */
  | 'running'
  /** The pod or container does not exist. */
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
