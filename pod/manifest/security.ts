/** `securityContext` of pods and containers (core/v1): its shape, and what a container is given of both. Pure. */
import * as z from 'zod/mini';
import { expected } from '../../problem/explain.ts';
import type { Fault, FieldPath } from '../../problem/problem.ts';

const id = z
  .number({ error: expected('a number from 0 to 2147483647') })
  .check(
    z.int({ error: expected('a number from 0 to 2147483647') }),
    z.gte(0, { error: expected('a number from 0 to 2147483647') }),
    z.lte(2 ** 31 - 1, { error: expected('a number from 0 to 2147483647') }),
  );
const flag = z.boolean();
const oneOf = <const T extends readonly string[]>(choices: T) =>
  z.enum(choices, { error: expected(choices.join(', ')) });

const seLinuxOptions = z.strictObject({
  user: z.optional(z.string()),
  role: z.optional(z.string()),
  type: z.optional(z.string()),
  level: z.optional(z.string()),
});
const seccompProfile = z.strictObject({ type: oneOf(['RuntimeDefault', 'Unconfined']) });
const appArmorProfile = z.strictObject({
  type: oneOf(['RuntimeDefault', 'Unconfined', 'Localhost']),
  localhostProfile: z.optional(z.string()),
});

const both = {
  runAsUser: z.optional(id),
  runAsGroup: z.optional(id),
  runAsNonRoot: z.optional(flag),
  seLinuxOptions: z.optional(seLinuxOptions),
  seccompProfile: z.optional(seccompProfile),
  appArmorProfile: z.optional(appArmorProfile),
};

export const podSecurityShape = z.strictObject({
  ...both,
  supplementalGroups: z.optional(z.array(id)),
  supplementalGroupsPolicy: z.optional(oneOf(['Merge'])),
  fsGroup: z.optional(id),
  // Volumes are new with each pod: there is nothing to change or to leave.
  fsGroupChangePolicy: z.optional(oneOf(['Always', 'OnRootMismatch'])),
  sysctls: z.optional(z.array(z.strictObject({ name: z.string(), value: z.string() }))),
});

const capabilities = z.array(z.string());

export const containerSecurityShape = z.strictObject({
  ...both,
  privileged: z.optional(flag),
  allowPrivilegeEscalation: z.optional(flag),
  readOnlyRootFilesystem: z.optional(flag),
  capabilities: z.optional(z.strictObject({ add: z.optional(capabilities), drop: z.optional(capabilities) })),
  procMount: z.optional(oneOf(['Default', 'Unmasked'])),
});

export type ReadPodSecurity = z.output<typeof podSecurityShape>;
export type ReadContainerSecurity = z.output<typeof containerSecurityShape>;

/** What a container may do; an absent key is Docker's default. */
export interface Security {
  readonly user?: number;
  readonly group?: number;
  /** It is not started as root. */
  readonly nonRoot?: boolean;
  readonly supplementalGroups?: readonly number[];
  readonly privileged?: boolean;
  readonly noNewPrivileges?: boolean;
  readonly readOnlyRoot?: boolean;
  /** Without `CAP_`; `ALL` is all. */
  readonly addCapabilities?: readonly string[];
  readonly dropCapabilities?: readonly string[];
  readonly unconfinedSeccomp?: boolean;
  /** `unconfined`, or a profile that is loaded on the host. */
  readonly appArmor?: string;
  readonly seLinux?: Readonly<Partial<Record<'user' | 'role' | 'type' | 'level', string>>>;
  /** All of /proc is visible and writable. */
  readonly unmaskedProc?: boolean;
}

/** The container's own settings win. Undefined where neither says anything. */
export function securityOf(
  pod: ReadPodSecurity | undefined,
  own: ReadContainerSecurity | undefined,
): Security | undefined {
  const of = { ...defined(pod), ...defined(own) };
  const groups = [...(pod?.supplementalGroups ?? []), ...(pod?.fsGroup === undefined ? [] : [pod.fsGroup])];
  const { add = [], drop = [] } = own?.capabilities ?? {};
  const appArmor = of.appArmorProfile;
  const security: Security = {
    ...(of.runAsUser !== undefined && { user: of.runAsUser }),
    ...(of.runAsGroup !== undefined && { group: of.runAsGroup }),
    ...(of.runAsNonRoot && { nonRoot: true }),
    ...(groups.length > 0 && { supplementalGroups: groups }),
    ...(own?.privileged && { privileged: true }),
    ...(own?.allowPrivilegeEscalation === false && { noNewPrivileges: true }),
    ...(own?.readOnlyRootFilesystem && { readOnlyRoot: true }),
    ...(add.length > 0 && { addCapabilities: add.map(plainCapability) }),
    ...(drop.length > 0 && { dropCapabilities: drop.map(plainCapability) }),
    ...(of.seccompProfile?.type === 'Unconfined' && { unconfinedSeccomp: true }),
    ...(appArmor?.type === 'Unconfined' && { appArmor: 'unconfined' }),
    ...(appArmor?.type === 'Localhost' && { appArmor: appArmor.localhostProfile ?? '' }),
    ...(of.seLinuxOptions && { seLinux: defined(of.seLinuxOptions) }),
    ...(own?.procMount === 'Unmasked' && { unmaskedProc: true }),
  };
  return Object.keys(security).length > 0 ? security : undefined;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

const defined = <T extends object>(value: T | undefined): Defined<T> =>
  Object.fromEntries(Object.entries(value ?? {}).filter(([, each]) => each !== undefined)) as Defined<T>;

const plainCapability = (name: string): string => name.toUpperCase().replace(/^CAP_/, '');

/** Those that belong to the namespaces of the pod; others would change the host. */
const sysctlOfPod = /^(net\.[a-z0-9_./-]+|kernel\.(shm[a-z_]+|msg[a-z_]+|sem)|fs\.mqueue\.[a-z_]+)$/i;

export function podSecurityFaults(security: ReadPodSecurity | undefined, path: FieldPath): Fault[] {
  const sysctls = (security?.sysctls ?? []).flatMap(({ name }, i) =>
    sysctlOfPod.test(name)
      ? []
      : [
          {
            path: [...path, 'sysctls', i, 'name'],
            text:
              `${name} is a setting of the host, not of a pod (supported: net.*, kernel.shm*, ` +
              `kernel.msg*, kernel.sem, fs.mqueue.*)`,
          },
        ],
  );
  return [...sysctls, ...profileFaults(security, path)];
}

export function containerSecurityFaults(
  security: ReadContainerSecurity | undefined,
  path: FieldPath,
): Fault[] {
  const faults = profileFaults(security, path);
  if (security?.privileged && security.allowPrivilegeEscalation === false) {
    faults.push({
      path: [...path, 'allowPrivilegeEscalation'],
      text: 'cannot be false with privileged: true',
    });
  }
  if (security?.runAsNonRoot && security.runAsUser === 0) {
    faults.push({ path: [...path, 'runAsUser'], text: 'cannot be 0 with runAsNonRoot: true' });
  }
  return faults;
}

function profileFaults(
  security: Pick<ReadPodSecurity, 'appArmorProfile'> | undefined,
  path: FieldPath,
): Fault[] {
  const profile = security?.appArmorProfile;
  if (profile?.type !== 'Localhost' || profile.localhostProfile) return [];
  return [{ path: [...path, 'appArmorProfile'], text: 'type Localhost needs localhostProfile' }];
}
