/** docs/logs.md, made from the table of events. */
import { events } from './events.ts';

const sample = JSON.stringify({
  level: 'warn',
  time: '2026-11-30T21:00:00.000Z',
  pid: 812,
  event: 'store.unreachable',
  store: 'etcd at https://192.168.188.10:2379 under /coreos.com/network',
  kind: 'unreachable',
  reason: '...',
  msg: 'store unreachable, retrying',
});

const head = `# Logs

Made by \`npm run logs\` from \`log/events.ts\`; do not edit.

\`weftd\` writes JSON lines to standard output. systemd keeps them in the journal:
\`journalctl -u weftd -o cat\`.

\`\`\`json
${sample}
\`\`\`

- \`event\` is one of the names below, \`msg\` the message of that event. Both are constant: search for them.
- Everything that varies is in the other fields.
- An error is in \`err\`, with \`type\` and \`message\`, and \`code\` where the error has one. Lines of level
  \`error\` and \`fatal\` have \`stack\` as well.
- The values of fields named \`password\`, \`token\`, \`authorization\`, \`secret\` or \`privateKey\` are replaced.
- \`log.level\` in \`weft.yaml\` sets what is written: \`trace\`, \`debug\`, \`info\` (default), \`warn\`,
  \`error\` or \`fatal\`. A change takes effect with \`systemctl reload weftd\`.

`;

/** The page as markdown, one table for all components. */
export function logsPage(): string {
  // Not padded to a width: a longer message would change every line.
  const rows = Object.entries(events).map(([event, message]) => `| \`${event}\` | ${message} |`);
  return `${head}${['| event | message |', '| --- | --- |', ...rows].join('\n')}\n`;
}
