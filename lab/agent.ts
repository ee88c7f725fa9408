/** The agent of a node: the real `weftd`, with its default configuration file. */
import { join } from 'node:path';
import { Daemon } from './daemon.ts';
import { onGround } from './ground.ts';
import { nodeFolder } from './names.ts';

export function agentOf({ lab, node, weftd }: { lab: string; node: string; weftd: string }): Daemon {
  const folder = nodeFolder(lab, node);
  return new Daemon({
    lab,
    label: `weftd on ${node}`,
    logFile: join(folder, 'weftd.log'),
    pidFile: join(folder, 'weftd.json'),
    ready: { notify: { outside: join(folder, 'run/notify'), inside: '/run/notify' } },
    command: () => onGround({ lab, node }, [process.execPath, weftd]),
  });
}
