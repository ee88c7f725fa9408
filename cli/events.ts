/** `weftctl events`: what the agent did lately, and why. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { AgentEvents } from '../agent/status/events.ts';
import { printable } from '../problem/printable.ts';
import { AGENT_UNREACHABLE } from './exit-status.ts';
import { type OutputOptions, outputOption } from './output.ts';
import { UsageError } from './usage-error.ts';

interface EventsOptions extends OutputOptions {
  readonly config?: string;
  readonly follow: boolean;
  readonly number: string;
}

type Line = AgentEvents['events'][number]['line'];

const PERIOD_MS = 300;
const MOST_EVENTS = 1000;
/** Characters of one field. */
const LONGEST_PART = 400;

export function describeEvents(events: Command): void {
  events
    .description('Show what the agent did lately, and why.')
    .option('--config <file>', 'weft.yaml (WEFT_CONFIG, /etc/weft/weft.yaml)')
    .option('-f, --follow', 'print new events as they happen, until interrupted', false)
    .option('-n, --number <count>', `how many past events to print, at most ${MOST_EVENTS}`, '50')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
The agent keeps its last ${MOST_EVENTS} events in memory; older ones are in the journal
("journalctl -u weftd -o cat"). docs/logs.md lists all events. With -o json each event is a
line, with -o yaml a document.

Exit status: 0; 1 wrong usage; 3 weftd does not run or does not answer.

Examples:
  weftctl events
  weftctl events -f
  weftctl events -n 1000 -o json | jq 'select(.event == "peer.unreachable")'`,
    )
    .action(show);
}

async function show(options: EventsOptions): Promise<void> {
  const { configSource, loadConfig } = await import('../agent/config/load.ts');
  const { askEvents } = await import('../agent/status/ask-agent.ts');
  const count = countOf(options.number);
  const { config } = loadConfig(configSource({ flag: options.config, env: process.env }));
  const format = await formatOf(options);
  let after = 0;
  let pid: number | undefined;
  for (let first = true; ; first = false) {
    const answer = await askEvents(config.listen, after);
    if (answer.kind === 'running') {
      const { value } = answer;
      // Another process counts from 1 again, and all that it has is new.
      const all =
        pid !== undefined && value.pid !== pid ? await eventsOf(askEvents(config.listen, 0)) : value.events;
      pid = value.pid;
      const shown = first ? all.slice(Math.max(0, all.length - count)) : all;
      process.stdout.write(shown.map(({ line }) => `${format(line)}\n`).join(''));
      after = all.at(-1)?.sequence ?? after;
    } else if (first || !options.follow) {
      process.stderr.write(`weftctl: ${answer.reason}\n`);
      process.exitCode = AGENT_UNREACHABLE;
      return;
    }
    if (!options.follow) return;
    await delay(PERIOD_MS);
  }
}

async function formatOf({ output }: OutputOptions): Promise<(line: Line) => string> {
  if (output === 'text') return eventText;
  if (output === 'json') return (line) => JSON.stringify(line);
  const { stringify } = await import('yaml');
  return (line) => `---\n${stringify(line).trimEnd()}`;
}

async function eventsOf(
  answer: ReturnType<typeof import('../agent/status/ask-agent.ts').askEvents>,
): Promise<AgentEvents['events']> {
  const read = await answer;
  return read.kind === 'running' ? read.value.events : [];
}

/** `22:14:05 warn  peer.unreachable  peer does not answer probes  peer="node-2" path="tunnel"` */
export function eventText(line: Line): string {
  const { level, time, pid, event, msg, ...fields } = line;
  const details = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return [time.slice(11, 19), level.padEnd(5), event, msg, ...details]
    .map((part) => printable(part, LONGEST_PART))
    .join('  ')
    .trimEnd();
}

function countOf(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count <= MOST_EVENTS) return count;
  throw new UsageError(`--number ${JSON.stringify(text)}: expected a number from 0 to ${MOST_EVENTS}`);
}
