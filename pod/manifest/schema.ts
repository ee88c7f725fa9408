/** The fields of a Pod manifest (Kubernetes API, core/v1 `Pod`) that weft supports; only their shape. */
import * as z from 'zod/mini';
import { expected } from '../../problem/explain.ts';
import { hostPathTypes, protocols, pullPolicies, restartPolicies } from './pod.ts';
import { resourcesShape } from './resources.ts';
import { containerSecurityShape, podSecurityShape } from './security.ts';

const wholeNumber = (least: number, most: number) => {
  const error = expected(`a whole number from ${least} to ${most}`);
  return z.number({ error }).check(z.int({ error }), z.gte(least, { error }), z.lte(most, { error }));
};

const matching = (pattern: RegExp, what: string) =>
  z.string({ error: expected(what) }).check(z.regex(pattern, { error: expected(what) }));

const label = matching(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  'a name of at most 63 lower-case letters, digits and inner dashes',
);
const podName = matching(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?){0,3}$/,
  'a name of lower-case letters, digits, inner dashes and dots',
);
const mountTarget = matching(/^\/+[^/:][^:]*$/, 'a path that begins with /, without a colon, and is not /');
const hostPathText = z.string({ error: expected('a path that begins with /') }).check(
  z.refine((path) => path.startsWith('/') && !path.split('/').includes('..'), {
    error: expected('a path that begins with /, without ..'),
  }),
);
const innerPath = z.string().check(
  z.refine((path) => !path.startsWith('/') && !path.split('/').includes('..'), {
    error: expected('a relative path without ..'),
  }),
);
const absolutePath = matching(/^\//, 'a path that begins with /');
const port = wholeNumber(1, 65_535);
const portOrName = z.union([port, z.string()], { error: expected("a port's number or name") });
const seconds = wholeNumber(0, 2 ** 31 - 1);
const someSeconds = wholeNumber(1, 2 ** 31 - 1);
const texts = z.array(z.string());
const oneOf = <const T extends readonly string[]>(choices: T) =>
  z.enum(choices, { error: expected(choices.map((choice) => choice || '""').join(', ')) });
const strings = z.record(
  z.string(),
  z.string({ error: expected('a text; put numbers and booleans in quotes') }),
);

const exec = z.strictObject({ command: texts });
const tcpSocket = z.strictObject({ host: z.optional(z.string()), port: portOrName });
const httpGet = z.strictObject({
  host: z.optional(z.string()),
  port: portOrName,
  path: z.optional(z.string()),
  scheme: z.optional(oneOf(['HTTP', 'HTTPS'])),
  httpHeaders: z.optional(z.array(z.strictObject({ name: z.string(), value: z.string() }))),
});

const hook = z.strictObject({
  exec: z.optional(exec),
  httpGet: z.optional(httpGet),
  sleep: z.optional(z.strictObject({ seconds })),
});

const probe = z.strictObject({
  exec: z.optional(exec),
  httpGet: z.optional(httpGet),
  tcpSocket: z.optional(tcpSocket),
  initialDelaySeconds: z.optional(seconds),
  periodSeconds: z.optional(someSeconds),
  timeoutSeconds: z.optional(someSeconds),
  successThreshold: z.optional(someSeconds),
  failureThreshold: z.optional(someSeconds),
  terminationGracePeriodSeconds: z.optional(someSeconds),
});

const reference = z.strictObject({ name: z.string(), optional: z.optional(z.boolean()) });
const keyReference = z.strictObject({ name: z.string(), key: z.string(), optional: z.optional(z.boolean()) });

const envSource = z.strictObject({
  prefix: z.optional(z.string()),
  configMapRef: z.optional(reference),
  secretRef: z.optional(reference),
});

const envEntry = z.strictObject({
  name: z.string(),
  value: z.optional(z.string({ error: expected('a text; put numbers and booleans in quotes') })),
  valueFrom: z.optional(
    z.strictObject({
      configMapKeyRef: z.optional(keyReference),
      secretKeyRef: z.optional(keyReference),
      fieldRef: z.optional(
        z.strictObject({ apiVersion: z.optional(z.literal('v1')), fieldPath: z.string() }),
      ),
    }),
  ),
});

const container = z.strictObject({
  name: label,
  image: z.string().check(z.minLength(1, { error: 'is empty; name an image' })),
  imagePullPolicy: z.optional(oneOf(pullPolicies)),
  command: z.optional(texts),
  args: z.optional(texts),
  workingDir: z.optional(absolutePath),
  env: z.optional(z.array(envEntry)),
  envFrom: z.optional(z.array(envSource)),
  ports: z.optional(
    z.array(
      z.strictObject({
        name: z.optional(z.string()),
        containerPort: port,
        hostPort: z.optional(port),
        hostIP: z.optional(z.string()),
        protocol: z.optional(oneOf(protocols)),
      }),
    ),
  ),
  volumeMounts: z.optional(
    z.array(
      z.strictObject({
        name: z.string(),
        mountPath: mountTarget,
        subPath: z.optional(innerPath),
        readOnly: z.optional(z.boolean()),
        mountPropagation: z.optional(oneOf(['None'])),
        recursiveReadOnly: z.optional(oneOf(['Disabled'])),
      }),
    ),
  ),
  securityContext: z.optional(containerSecurityShape),
  resources: z.optional(resourcesShape),
  restartPolicy: z.optional(oneOf(['Always'])),
  lifecycle: z.optional(z.strictObject({ postStart: z.optional(hook), preStop: z.optional(hook) })),
  livenessProbe: z.optional(probe),
  readinessProbe: z.optional(probe),
  startupProbe: z.optional(probe),
});

const mode = wholeNumber(0, 0o777);
const items = z.optional(
  z.array(z.strictObject({ key: z.string(), path: innerPath, mode: z.optional(mode) })),
);

const volume = z.strictObject({
  name: label,
  emptyDir: z.optional(
    z.nullable(
      z.strictObject({
        medium: z.optional(oneOf(['', 'Memory'])),
        sizeLimit: z.optional(z.union([z.string(), z.number()])),
      }),
    ),
  ),
  hostPath: z.optional(z.strictObject({ path: hostPathText, type: z.optional(oneOf(hostPathTypes)) })),
  configMap: z.optional(
    z.strictObject({
      name: z.string(),
      items,
      defaultMode: z.optional(mode),
      optional: z.optional(z.boolean()),
    }),
  ),
  secret: z.optional(
    z.strictObject({
      secretName: z.string(),
      items,
      defaultMode: z.optional(mode),
      optional: z.optional(z.boolean()),
    }),
  ),
});

const containers = z
  .array(container)
  .check(z.minLength(1, { error: 'is empty; name at least one container' }));

export const podShape = z.strictObject({
  apiVersion: z.literal('v1', { error: expected('v1') }),
  kind: z.literal('Pod', { error: expected('Pod, ConfigMap or Secret') }),
  metadata: z.strictObject({
    name: podName,
    namespace: z.optional(label),
    labels: z.optional(strings),
    annotations: z.optional(strings),
  }),
  spec: z.strictObject({
    containers,
    initContainers: z.optional(z.array(container)),
    restartPolicy: z.optional(oneOf(restartPolicies)),
    terminationGracePeriodSeconds: z.optional(seconds),
    hostname: z.optional(label),
    hostAliases: z.optional(
      z.array(z.strictObject({ ip: z.string(), hostnames: z.optional(z.array(podName)) })),
    ),
    securityContext: z.optional(podSecurityShape),
    os: z.optional(z.strictObject({ name: oneOf(['linux']) })),
    volumes: z.optional(z.array(volume)),
    dnsPolicy: z.optional(oneOf(['Default', 'ClusterFirst', 'ClusterFirstWithHostNet', 'None'])),
    dnsConfig: z.optional(
      z.strictObject({
        nameservers: z.optional(texts),
        searches: z.optional(texts),
        options: z.optional(z.array(z.strictObject({ name: z.string(), value: z.optional(z.string()) }))),
      }),
    ),
  }),
});

export type ReadPod = z.output<typeof podShape>;
export type ReadContainer = z.output<typeof container>;
export type ReadProbe = z.output<typeof probe>;
export type ReadVolume = z.output<typeof volume>;
export type ReadEnvSource = z.output<typeof envSource>;
export type ReadHook = z.output<typeof hook>;
export type ReadHttpGet = z.output<typeof httpGet>;
