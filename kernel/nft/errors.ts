/** Failures of the `nft` program; what the kernel refuses element by element is a `KernelError`. */

/** nft refused a rule set, or could not be run. The message is nft's own, which names line and column. */
export class NftError extends Error {
  override readonly name = 'NftError';
  /** The input of nft, for debugging. */
  readonly commands: string;

  constructor(message: string, commands: string) {
    super(message);
    this.commands = commands;
  }
}
