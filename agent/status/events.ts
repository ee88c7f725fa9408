/** The agent's newest log lines over HTTP: `/events`, `/events?after=17`. */
import * as z from 'zod/mini';
import type { RecentLines } from '../../log/recent-lines.ts';
import { json, type Page, type Routes } from '../serve/http.ts';

/** A line of the log as a value; the fields of the event are beside these. */
const line = z.looseObject({
  level: z.string(),
  time: z.string(),
  pid: z.number(),
  event: z.string(),
  msg: z.string(),
});

export const eventsShape = z.object({
  /** Of the agent's process: sequence numbers of another one mean nothing. */
  pid: z.number(),
  events: z.array(z.object({ sequence: z.number(), line })),
});

export type AgentEvents = z.infer<typeof eventsShape>;

export const eventsRoutes = (recent: RecentLines): Routes => ({
  '/events': (query): Page => {
    const after = query.get('after') ?? '0';
    if (!/^\d{1,15}$/.test(after)) return json(400, { error: 'after: expected a sequence number' });
    const events = recent.after(Number(after)).map((kept) => ({
      sequence: kept.sequence,
      line: JSON.parse(kept.line) as unknown,
    }));
    return json(200, { pid: process.pid, events });
  },
});
