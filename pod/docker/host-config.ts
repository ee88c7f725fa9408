/** What a container may do and use, in Docker's words. Pure. */
import type { HostConfig } from 'dockerode';
import { PodError } from '../errors.ts';
import type { Resources } from '../manifest/resources.ts';
import type { Security } from '../manifest/security.ts';

/** Docker's `User`: undefined leaves the image's. @throws PodError `config` where `runAsNonRoot` does not hold */
export function userOf(
  security: Security | undefined,
  of: { readonly container: string; readonly imageUser: string },
): string | undefined {
  const { user, group, nonRoot } = security ?? {};
  const [imageUser = '', imageGroup] = of.imageUser.split(':');
  const name = user === undefined ? imageUser : String(user);
  if (nonRoot && !isNumber(name) && name !== '' && name !== 'root') {
    throw new PodError(
      'config',
      `container ${of.container}: runAsNonRoot cannot be verified, the image's user ${name} is not a ` +
        `number; set securityContext.runAsUser`,
    );
  }
  if (nonRoot && (name === '' || name === 'root' || Number(name) === 0)) {
    throw new PodError(
      'config',
      `container ${of.container}: runAsNonRoot is set and the container would run as root; set ` +
        `securityContext.runAsUser`,
    );
  }
  if (user === undefined && group === undefined) return undefined;
  const gid = group ?? (user === undefined ? imageGroup : 0);
  return gid === undefined ? name : `${name || '0'}:${gid}`;
}

const isNumber = (text: string): boolean => /^\d+$/.test(text);

export function securityConfigOf(security: Security | undefined): HostConfig {
  if (!security) return {};
  const { seLinux = {}, appArmor } = security;
  const options = [
    ...(security.noNewPrivileges ? ['no-new-privileges'] : []),
    ...(security.unconfinedSeccomp ? ['seccomp=unconfined'] : []),
    ...(appArmor === undefined ? [] : [`apparmor=${appArmor}`]),
    ...Object.entries(seLinux).map(([key, value]) => `label=${key}:${value}`),
  ];
  return {
    ...(security.privileged && { Privileged: true }),
    ...(security.readOnlyRoot && { ReadonlyRootfs: true }),
    ...(security.addCapabilities && { CapAdd: [...security.addCapabilities] }),
    ...(security.dropCapabilities && { CapDrop: [...security.dropCapabilities] }),
    ...(security.supplementalGroups && { GroupAdd: security.supplementalGroups.map(String) }),
    ...(security.unmaskedProc && { MaskedPaths: [], ReadonlyPaths: [] }),
    ...(options.length > 0 && { SecurityOpt: options }),
  };
}

/** Without swap beyond the memory limit, as in Kubernetes. */
export const resourceConfigOf = ({ cpuNanos, cpuShares, memoryBytes }: Resources = {}): HostConfig => ({
  ...(cpuNanos !== undefined && { NanoCpus: cpuNanos }),
  ...(cpuShares !== undefined && { CpuShares: cpuShares }),
  ...(memoryBytes !== undefined && { Memory: memoryBytes, MemorySwap: memoryBytes }),
});
