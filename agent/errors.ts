/** The agent's vocabulary of failures: a stable code for programs, a message that says what to do for people. */

export type AgentErrorCode =
  /** The configuration is missing, malformed or contradicts itself. */
  | 'config'
  /** No interface and address of this host can be what peers are told. */
  | 'underlay'
  /** A node's own network and the cluster's overlap. */
  | 'overlap'
  /** The agent lacks the rights to do its work. */
  | 'root'
  /** The VXLAN device cannot be made, or is changed by somebody else all the time. */
  | 'device'
  /** What is kept in stateDir or runDir cannot be read, or not written. */
  | 'state'
  /** What runs on this host would not survive being cleaned up, or would put everything back. */
  | 'cleanup'
  /** Something else already has the address or port. */
  | 'listen'
  /** The agent did not stop in time. */
  | 'stop'
  /** The service manager's socket does not take our message. */
  | 'notify';

/** A failure whose message is one line for an operator: what is wrong, where, and the remedy. */
export class AgentError extends Error {
  override readonly name: string = 'AgentError';
  readonly code: AgentErrorCode;

  constructor(code: AgentErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
