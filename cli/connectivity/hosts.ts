/** Pods by the CNI configuration of hosts, this one (`local`) or those that ssh reaches, without Kubernetes. */
import { mustRun, run } from '../../lab/command.ts';
import { quotedForShell } from '../completion/tree.ts';
import { linkCommand, mtuIn, type Place } from './place.ts';

export interface HostOptions {
  /** The ssh command, in words. */
  readonly ssh: readonly string[];
  /** Path of weftctl on the hosts. */
  readonly weftctl: string;
  /** The sandbox's name. */
  readonly pod: string;
}

/** Throws LabError with what the host said. */
export async function placeOn(host: string, options: HostOptions): Promise<Place> {
  const { ssh, weftctl, pod } = options;
  const on = (argv: readonly string[]): string[] =>
    host === 'local' ? [...argv] : [...ssh, host, argv.map(quotedForShell).join(' ')];
  const inPod = (argv: readonly string[]): string[] => on(['ip', 'netns', 'exec', pod, ...argv]);
  const added = await mustRun(on([weftctl, 'sandbox', 'add', pod]));
  const remove = async (): Promise<void> => {
    await run(on([weftctl, 'sandbox', 'rm', pod])).catch(() => undefined);
  };
  try {
    return {
      node: (await mustRun(on(['uname', '-n']))).trim(),
      addresses: added.trim().split('\n'),
      mtuBytes: mtuIn(await mustRun(inPod(linkCommand))),
      exec: (argv) => run(inPod(argv)),
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
