/** Puts a pod's resolv.conf and hosts in place: the files that Docker mounts into each of its containers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { isErrno } from '../../kernel/errno.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Docker } from '../docker/daemon.ts';
import { PodError } from '../errors.ts';
import type { Pod } from '../manifest/pod.ts';
import type { Observed } from '../plan/observed.ts';
import { hostsFile, namesOnlyLoopback, resolvConf } from './resolv.ts';

/** The upstream servers of systemd-resolved; its own address is on the host's loopback. */
const upstream = '/run/systemd/resolve/resolv.conf';

/** Written in place: Docker has mounted the file, not its name. `addresses` without their lengths. */
export async function writeNames(
  docker: Docker,
  of: { readonly pod: Pod; readonly sandbox: Observed; readonly addresses: readonly string[] },
): Promise<void> {
  const { pod, sandbox, addresses } = of;
  const { ResolvConfPath, HostsPath } = await docker.ask('look at the pause container', (api) =>
    api.getContainer(sandbox.id).inspect(),
  );
  try {
    writeFileSync(ResolvConfPath, resolvConf(pod.dns, hostResolvConf()));
    writeFileSync(HostsPath, hostsFile({ hostname: pod.hostname, addresses, aliases: pod.hostAliases }));
  } catch (error) {
    throw new PodError('network', `failed to write the pod's resolv.conf and hosts: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function hostResolvConf(): string {
  const text = readIfThere('/etc/resolv.conf');
  return namesOnlyLoopback(text) ? readIfThere(upstream) || text : text;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}
