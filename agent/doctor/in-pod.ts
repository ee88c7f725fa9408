/** Reads of a pod's own network namespace, as long as the path still leads to the one of its record. */
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { type Netns, openNetns, within } from '../../kernel/netns.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';

type PodNetns = Pick<Attachment, 'netns' | 'netnsId'>;

/**
 * Runs a block with the pod's namespace; undefined where another one has come to its path.
 *
 * @throws KernelError where there is none at the path: the pod is gone, or in another mount namespace
 */
export function withPodNetns<T>({ netns, netnsId }: PodNetns, block: (netns: Netns) => T): T | undefined {
  const opened = openNetns(netns);
  try {
    return opened.id === netnsId ? block(opened) : undefined;
  } finally {
    opened.close();
  }
}

/** The same with a socket of that namespace. */
export const inPod = <T>(pod: PodNetns, block: (rtnl: Rtnl) => T): T | undefined =>
  withPodNetns(pod, (netns) => {
    const rtnl = within(netns, openRtnl);
    try {
      return block(rtnl);
    } finally {
      rtnl.close();
    }
  });

/** For checks that look at many pods: nothing of a pod that is gone. */
export function ofPod<T>(look: () => readonly T[] | undefined): readonly T[] {
  try {
    return look() ?? [];
  } catch {
    return []; // gone meanwhile, or in another mount namespace
  }
}
