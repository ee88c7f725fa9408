/** Kubernetes objects that the tests apply, as small as the API server allows. Pure. */
import { busyboxImage } from '../../lab/kubernetes/images.ts';

export interface PodWish {
  readonly name: string;
  readonly node?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly hostNetwork?: boolean;
  /** Port on the node → port of the pod. */
  readonly hostPorts?: readonly (readonly [number, number])[];
}

/** Serves its own name on port 80, and files below /www; ends at once when it is told to. */
const serve = 'hostname >/www/index.html; exec httpd -f -p 80 -h /www';
const idle = 'trap "exit 0" TERM; while :; do sleep 3600 & wait; done';

const podSpec = (wish: Omit<PodWish, 'name'>) => ({
  ...(wish.node ? { nodeName: wish.node } : {}),
  ...(wish.hostNetwork ? { hostNetwork: true } : {}),
  terminationGracePeriodSeconds: 0,
  containers: [
    {
      name: 'main',
      image: busyboxImage,
      // A pod on the host's network must not take the host's port.
      command: ['sh', '-c', wish.hostNetwork ? idle : serve],
      ports: (wish.hostPorts ?? []).map(([hostPort, containerPort]) => ({ hostPort, containerPort })),
      ...(wish.hostNetwork ? {} : { readinessProbe: { tcpSocket: { port: 80 }, periodSeconds: 1 } }),
    },
  ],
});

export const pod = (wish: PodWish) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: wish.name,
    labels: { app: wish.name, ...wish.labels },
    annotations: wish.annotations ?? {},
  },
  spec: podSpec(wish),
});

/** A pod on each node, called `app`. */
export const daemonSet = (name: string) => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: podSpec({}) },
  },
});

export const deployment = (name: string, replicas: number) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: podSpec({}) },
  },
});

/** A Service on port 80 for the pods with the label `app`. */
export const service = (name: string, over: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 80 }], ...over },
});
