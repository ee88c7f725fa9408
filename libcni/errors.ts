/** Errors of the runtime's half of CNI. */

/** A plugin returned an error, or failed without an error object. */
export class PluginError extends Error {
  /** The plugin's type: the name of its executable. */
  readonly plugin: string;
  readonly verb: string;
  /** CNI's code; 0 where the plugin gave no error object. */
  readonly code: number;
  readonly msg: string;
  readonly details: string | undefined;
  /** What the plugin wrote there, for people. */
  readonly stderr: string;

  constructor(failure: {
    plugin: string;
    verb: string;
    code: number;
    msg: string;
    details?: string | undefined;
    stderr: string;
  }) {
    const details = failure.details ? `: ${failure.details}` : '';
    super(
      `${failure.verb} by plugin ${failure.plugin} failed with code ${failure.code}: ${failure.msg}${details}`,
    );
    this.name = 'PluginError';
    this.plugin = failure.plugin;
    this.verb = failure.verb;
    this.code = failure.code;
    this.msg = failure.msg;
    this.details = failure.details;
    this.stderr = failure.stderr;
  }
}

/** A network's configuration or a request for it is invalid; the message names the file where there is one. */
export class NetworkError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NetworkError';
  }
}
