/** What an agent costs its host. */
import { readdirSync, readFileSync } from 'node:fs';
import type { LabNode } from '../lab/node.ts';

const pidOf = (node: LabNode): number => {
  const pid = node.agent.running()?.pid;
  if (pid === undefined) throw new Error(`no agent runs on ${node.name}`);
  return pid;
};

/** VmRSS of the node's agent. */
export function residentMb(node: LabNode): number {
  const [, kilobytes] =
    /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pidOf(node)}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}

/** Of all threads of the node's agent since it began, in milliseconds. */
export const cpuMs = (node: LabNode): number => cpuMsOf(pidOf(node));

/** Of all threads of a process since it began, in milliseconds (Documentation/scheduler/sched-stats.rst). */
export function cpuMsOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const nanoseconds = readdirSync(tasks).map((task) =>
    Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6;
}

/** Has the node's agent read its configuration, and with it everything else, again. */
export const reload = (node: LabNode): boolean => process.kill(pidOf(node), 'SIGHUP');
