/** A pod's network namespace, open for as long as a call works on it. */
import { failedWith } from '../../kernel/errors.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { handedNetns, homeNetns, type Netns, openNetns, within } from '../../kernel/netns.ts';
import { CniError } from '../errors.ts';
import type { OpenedName } from '../protocol/call.ts';

export class Sandbox {
  readonly netns: Netns;
  #rtnl: Rtnl | undefined;

  private constructor(netns: Netns) {
    this.netns = netns;
  }

  /**
   * `netns` is CNI_NETNS, opened by the caller where it sees the path; else it is opened here. With `netnsOverride`
   * (CNI_NETNS_OVERRIDE) the host's own namespace is accepted.
   *
   * @throws CniError invalid-netns where the path names no namespace, or the host's own.
   */
  static open(request: {
    readonly netns: string;
    readonly netnsOverride: boolean;
    readonly opened?: { readonly netns: OpenedName | undefined } | undefined;
  }): Sandbox {
    const { netns: path, opened } = request;
    const netns = openAny(path, opened?.netns);
    if (netns.id === homeNetns().id && !request.netnsOverride) {
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

function openAny(path: string, opened: OpenedName | undefined): Netns {
  try {
    if (opened && 'failed' in opened) throw unusable(path, opened.failed);
    return opened ? handedNetns(opened.fd, path) : openNetns(path);
  } catch (error) {
    if (!failedWith(error, 'ENOENT', 'ENOTDIR', 'EINVAL', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) throw error;
    throw unusable(path, error.detail ? `${error.code} (${error.detail})` : error.code);
  }
}

const unusable = (path: string, why: string): CniError =>
  new CniError('invalid-netns', `failed to open netns ${JSON.stringify(path)}: ${why}`);
