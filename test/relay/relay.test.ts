/** The relay as it is installed, and as the sanitizers see it. */
import { relayCases } from './cases.ts';

for (const kind of ['bare', 'sanitized'] as const) relayCases(kind);
