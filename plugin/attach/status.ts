/** STATUS: whether an ADD would be served now, and if not, why (CNI specification 1.1.0, STATUS). */
import { CniError } from '../errors.ts';
import { formatRangeSet } from '../ipam/range.ts';
import type { StatusRequest } from '../protocol/request.ts';
import type { Host } from './host.ts';
import { rangeSetsOf } from './plan.ts';

/** @throws CniError not-available, or what the process that answers knows to be worse. */
export async function status(host: Host, { config }: StatusRequest): Promise<void> {
  const { addressing } = config;
  if (addressing.kind === 'none') return;
  // Whoever knows more than that there is no lease is asked first: whether pods that run feel it.
  if (addressing.kind === 'lease') await host.checkHealth?.();
  const lease = addressing.kind === 'lease' ? unavailableUnless(() => host.lease.read()) : undefined;
  const store = host.addresses(config.name, addressing.hostLocalDir);
  const full = rangeSetsOf(config, lease).find((set) => !store.hasFree(set));
  if (full) {
    throw new CniError('not-available', `no IP addresses available in range set: ${formatRangeSet(full)}`);
  }
}

function unavailableUnless<T>(block: () => T): T {
  try {
    return block();
  } catch (error) {
    const { message, details } = CniError.of(error);
    throw new CniError('not-available', message, details);
  }
}
