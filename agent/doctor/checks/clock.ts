/** The wall clock: leases do not go by it, certificates and logs do. */
import { existsSync, statSync } from 'node:fs';
import { type Check, ok } from '../finding.ts';

/** A clock that was never set is before the day on which this program was installed. */
export const clock: Check = {
  name: 'clock',
  title: 'Clock',
  look: () => {
    const now = Date.now();
    const installed = statSync(process.argv[1] ?? '/proc/self/exe', { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const text = new Date(now).toISOString().replace(/\.\d+/, '');
    if (now < installed - DAY_MS) {
      return {
        severity: 'failed',
        found: `${text}, which is before weft was installed: certificates count as not yet valid`,
        wanted: 'the time',
        remedy: 'timedatectl set-ntp true',
      };
    }
    const synchronised = ['/run/systemd/timesync/synchronized', '/run/chrony'].some((path) =>
      existsSync(path),
    );
    return ok(synchronised ? `${text}, kept by a time server` : `${text}; no time server seems to keep it`);
  },
};

const DAY_MS = 86_400_000;
