/** A pod's network namespace, open for as long as a call works on it. */
import { failedWith } from '../../kernel/errors.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { homeNetns, type Netns, openNetns, within } from '../../kernel/netns.ts';
import { CniError } from '../errors.ts';

export class Sandbox {
  readonly netns: Netns;
  #rtnl: Rtnl | undefined;

  private constructor(netns: Netns) {
    this.netns = netns;
  }

  /**
   * @param override CNI_NETNS_OVERRIDE: our own namespace will do.
   * @throws CniError invalid-netns where the path names no namespace, or our own.
   */
  static open(path: string, override: boolean): Sandbox {
    const netns = openPath(path);
    if (netns.id === homeNetns().id && !override) {
      netns.close();
      throw new CniError(
        'invalid-netns',
        "plugin's netns and netns from CNI_NETNS should not be the same",
        `${path} is the host's own network namespace: CNI_NETNS must name the pod's`,
      );
    }
    return new Sandbox(netns);
  }

  /** A socket of the namespace; opened once. */
  get rtnl(): Rtnl {
    this.#rtnl ??= within(this.netns, openRtnl);
    return this.#rtnl;
  }

  /** Runs a synchronous block inside, for /proc/sys/net. */
  run<T>(block: () => T): T {
    return within(this.netns, block);
  }

  close(): void {
    this.#rtnl?.close();
    this.netns.close();
  }
}

function openPath(path: string): Netns {
  try {
    return openNetns(path);
  } catch (error) {
    if (!failedWith(error, 'ENOENT', 'ENOTDIR', 'EINVAL', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) throw error;
    const detail = error.detail ? ` (${error.detail})` : '';
    throw new CniError(
      'invalid-netns',
      `failed to open netns ${JSON.stringify(path)}: ${error.code}${detail}`,
    );
  }
}
