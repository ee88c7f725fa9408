/** Where the page reads from. */
import type { RecentLines } from '../../log/recent-lines.ts';
import type { Config } from '../config/config.ts';
import type { AgentStatus } from '../status/live.ts';

export interface PageSources {
  readonly status: AgentStatus;
  readonly recent: RecentLines;
  readonly config: () => Config;
  /** The configuration's name, for messages. */
  readonly file: string;
  readonly signal: AbortSignal;
}
