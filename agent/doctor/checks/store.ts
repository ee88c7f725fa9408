/** The store: whether it is reached, and whether this node may read and write. */
import { type Check, ok, unknown } from '../finding.ts';

export const store: Check = {
  name: 'store',
  title: 'Store',
  look: async (host) => {
    const look = await host.store();
    const { description, unreadable, unwritable, roundTripMs } = look;
    if (look.absent) return unknown(`${description} does not exist yet; weftd makes it`);
    if (unreadable !== undefined) {
      return {
        severity: 'failed',
        found: `${description} cannot be read: ${unreadable}`,
        wanted: 'an answer, and the right to read and write',
        remedy: 'check that the store runs, that this node reaches it, and the credentials in weft.yaml',
      };
    }
    if (unwritable !== undefined) {
      return {
        severity: 'failed',
        found: `${description} can be read and not written: ${unwritable}`,
        wanted: 'the right to write: without it the lease expires',
        remedy: remedyFor(host.config.store.type),
      };
    }
    const time = roundTripMs === undefined ? '' : `, ${roundTripMs.toFixed(1)} ms`;
    return ok(`${description}: read and written${time}`);
  },
};

const remedyFor = (type: 'file' | 'etcd' | 'kubernetes'): string =>
  ({
    file: 'mount the folder writable, with space left',
    etcd: "grant weft's user readwrite on the prefix (etcdctl role grant-permission)",
    kubernetes: 'kubectl apply -f deploy/kubernetes/weft.yaml',
  })[type];
