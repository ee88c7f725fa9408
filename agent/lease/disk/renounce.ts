/** The end of the deadline on disk, before a subnet is given back by hand. */

import { join } from 'node:path';
import { replaceFile } from '../../../disk/replace-file.ts';
import { readBootId } from '../../../kernel/boot.ts';
import { toldToLeave } from '../protocol/standing.ts';
import { leaseFilePath } from './lease-file.ts';
import { readJsonFile } from './read-json.ts';

/**
 * Ends the deadline in both files, from which a plugin without an agent, or an agent that starts without the store,
 * would go on. Durable when it returns, so that a power loss after the subnet was given back does not bring the
 * deadline back. A file that cannot be read is replaced by one without a deadline; a file that is absent stays so.
 *
 * @throws AgentError `state`
 */
export function renounceSaved({ runDir, stateDir }: { runDir: string; stateDir: string }): void {
  const ended = { deadlineMs: 0, phase: 'left', reason: toldToLeave };
  for (const [path, changes] of [
    [join(stateDir, 'lease.json'), { deadlineMs: 0, wallDeadlineMs: 0 }],
    [leaseFilePath(runDir), ended],
  ] as const) {
    const file = readJsonFile(path);
    if (file.kind === 'absent') continue;
    const before = file.kind === 'object' ? file.object : { boot: readBootId(), key: '' };
    replaceFile({ path, content: `${JSON.stringify({ ...before, ...changes })}\n` });
  }
}
