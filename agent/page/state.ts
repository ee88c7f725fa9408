/** What the page shows, as a value. Never throws. */
import { reasonOf } from '../../problem/reason.ts';
import type { StatusProblem } from '../status/live.ts';
import { type NodeStatus, nodeStatus } from '../status/node-status.ts';
import type { PageSources } from './sources.ts';

export interface PageState {
  readonly ready: boolean;
  readonly problems: readonly StatusProblem[];
  /** undefined: it cannot be read, for `reason`. */
  readonly status?: NodeStatus;
  readonly reason?: string;
  readonly events: readonly PageEvent[];
}

export interface PageEvent {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly msg: string;
  /** The event's fields, as text. */
  readonly detail: string;
}

const SHOWN_EVENTS = 30;
const LONGEST_DETAIL = 300;

export async function pageState({ status, recent, config, file }: PageSources): Promise<PageState> {
  const live = status.report();
  const events = recent.newest(SHOWN_EVENTS).map(({ line }) => pageEvent(line));
  const known = { ready: live.ready, problems: live.problems, events };
  try {
    const agent = { kind: 'running', value: live } as const;
    return { ...known, status: await nodeStatus({ config: config(), file, agent }) };
  } catch (error) {
    return { ...known, reason: reasonOf(error) };
  }
}

function pageEvent(line: string): PageEvent {
  const { time, level, event, msg, pid, ...fields } = JSON.parse(line);
  const detail = Object.entries(fields)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(' ');
  return { time, level, event, msg, detail: detail.slice(0, LONGEST_DETAIL) };
}
