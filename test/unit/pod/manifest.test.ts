import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readManifest } from '../../../pod/manifest/read.ts';

const minimal = (spec: string, metadata = 'name: web'): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: { ${metadata} }\nspec:\n  containers: [{ name: a, image: "i:1"${spec.startsWith(',') ? spec : ''} }]\n${spec.startsWith(',') ? '' : spec}`;

function refusal(text: string): string {
  try {
    readManifest('pod.yaml', text);
  } catch (error) {
    assert.ok(error instanceof Error && error.name === 'PodError', String(error));
    return error.message;
  }
  return assert.fail('it was accepted');
}

describe('a manifest', () => {
  it('is given every default that Kubernetes gives', () => {
    const { pods, warnings } = readManifest('pod.yaml', minimal(''));
    const [pod] = pods;
    assert.deepEqual(warnings, []);
    assert.equal(pod?.namespace, 'default');
    assert.equal(pod?.hostname, 'web');
    assert.equal(pod?.restartPolicy, 'Always');
    assert.equal(pod?.graceSeconds, 30);
    assert.equal(pod?.containers[0]?.pullPolicy, 'IfNotPresent');
    assert.equal(pod?.dns.inheritsHost, true);
  });

  it('may have all that is supported', () => {
    const { pods, warnings } = readManifest(
      'pod.yaml',
      `
apiVersion: v1
kind: Pod
metadata:
  name: full
  namespace: shop
  labels: { app: full }
  annotations: { kubernetes.io/ingress-bandwidth: 10M, kubernetes.io/egress-bandwidth: "1Mi" }
spec:
  restartPolicy: OnFailure
  terminationGracePeriodSeconds: 5
  dnsPolicy: None
  dnsConfig: { nameservers: [10.0.0.1], searches: [shop.local], options: [{ name: ndots, value: "5" }, { name: edns0 }] }
  initContainers: [{ name: init, image: i, command: [sh] }]
  volumes:
  - { name: scratch, emptyDir: { medium: Memory, sizeLimit: 64Mi } }
  - { name: plain, emptyDir: }
  - { name: data, hostPath: { path: /srv, type: Directory } }
  containers:
  - name: web
    image: registry:5000/web
    command: [httpd]
    args: [-p, "80"]
    workingDir: /srv
    env: [{ name: A, value: b }, { name: IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }]
    ports: [{ name: http, containerPort: 80, hostPort: 8080 }]
    volumeMounts: [{ name: scratch, mountPath: /tmp }, { name: data, mountPath: /data, readOnly: true }]
    lifecycle: { postStart: { exec: { command: ["true"] } }, preStop: { sleep: { seconds: 2 } } }
    livenessProbe: { httpGet: { port: http, path: healthz }, periodSeconds: 3 }
    readinessProbe: { tcpSocket: { port: http }, successThreshold: 2 }
    startupProbe: { exec: { command: ["true"] }, failureThreshold: 30 }
`,
    );
    assert.deepEqual(warnings, []);
    const [pod] = pods;
    const [web] = pod?.containers ?? [];
    assert.deepEqual(pod?.bandwidth, { ingressBits: 10_000_000, egressBits: 1_048_576 });
    assert.deepEqual(pod?.dns.options, ['ndots:5', 'edns0']);
    assert.equal(pod?.initContainers[0]?.pullPolicy, 'Always');
    assert.deepEqual(pod?.volumes[0], {
      kind: 'emptyDir',
      name: 'scratch',
      memory: true,
      sizeBytes: 67_108_864,
    });
    assert.equal(web?.pullPolicy, 'Always');
    assert.deepEqual(web?.preStop, { kind: 'sleep', seconds: 2 });
    assert.deepEqual(web?.probes.liveness?.handler, {
      kind: 'http',
      host: undefined,
      port: 80,
      path: '/healthz',
      scheme: 'HTTP',
      headers: [],
    });
    assert.equal(web?.probes.readiness?.successThreshold, 2);
  });

  it('may be one of several documents, of which empty ones count for nothing', () => {
    const { pods } = readManifest(
      'pod.yaml',
      `---\n${minimal('')}\n---\n# nothing\n---\n${minimal('', 'name: other')}`,
    );
    assert.deepEqual(
      pods.map(({ name }) => name),
      ['web', 'other'],
    );
  });

  const ignored: Record<string, { text: string; says: RegExp }> = {
    'a field that Kubernetes has and weft has not': {
      text: minimal('  hostNetwork: true'),
      says: /^pod\.yaml:6:3: spec\.hostNetwork: is ignored: weft does not support it$/,
    },
    'a field that is misspelt': {
      text: minimal(', imagPullPolicy: Never'),
      says: /containers\[0\]\.imagPullPolicy: is ignored: did you mean imagePullPolicy\?/,
    },
    'a variable that comes from elsewhere': {
      text: minimal(', env: [{ name: A, valueFrom: { secretKeyRef: { name: s, key: k } } }]'),
      says: /env\[0\]\.valueFrom\.secretKeyRef: is ignored/,
    },
    'the cluster DNS that is not there': {
      text: minimal('  dnsPolicy: ClusterFirst'),
      says: /spec\.dnsPolicy: there is no cluster DNS/,
    },
  };
  for (const [what, { text, says }] of Object.entries(ignored)) {
    it(`warns of ${what}`, () => {
      const { pods, warnings } = readManifest('pod.yaml', text);
      assert.equal(pods.length, 1);
      assert.equal(warnings.length, 1, warnings.join('\n'));
      assert.match(warnings[0] ?? '', says);
    });
  }

  it('says nothing of what kubectl writes for completeness', () => {
    const text = `${minimal(', resources: {}', 'name: web, creationTimestamp: null')}\nstatus: {}`;
    assert.deepEqual(readManifest('pod.yaml', text).warnings, []);
  });

  const refused: Record<string, { text: string; says: RegExp }> = {
    'is of another kind': {
      text: 'apiVersion: apps/v1\nkind: Deployment',
      says: /kind: expected Pod, the one kind that weft runs, not "Deployment"/,
    },
    'has no pod in it': { text: '', says: /pod\.yaml: has no pod in it/ },
    'is no YAML': { text: 'a: [', says: /^pod\.yaml:1:/ },
    'names no image': {
      text: 'apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec: { containers: [{ name: a }] }',
      says: /spec\.containers\[0\]\.image: is missing/,
    },
    'has two containers on one port': {
      text: minimal('  x: 1').replace(
        'containers: [',
        'containers: [{ name: b, image: i, ports: [{ containerPort: 80 }] }, { name: c, image: i, ports: [{ containerPort: 80 }] }, ',
      ),
      says: /containers\[1\]\.ports\[0\]\.containerPort: 80\/TCP is the container b's already/,
    },
    'has two pods on one host port': {
      text: `${minimal(', ports: [{ containerPort: 1, hostPort: 9 }]')}\n---\n${minimal(', ports: [{ containerPort: 2, hostPort: 9 }]', 'name: b')}`,
      says: /document 2: .*hostPort: host port 9\/TCP is another pod's of this file/,
    },
    'has one pod twice': { text: `${minimal('')}\n---\n${minimal('')}`, says: /the pod web is there twice/ },
    'mounts a volume that is not there': {
      text: minimal(', volumeMounts: [{ name: v, mountPath: /v }]'),
      says: /volumeMounts\[0\]\.name: there is no volume v/,
    },
    'has a probe of two ways': {
      text: minimal(', livenessProbe: { tcpSocket: { port: 1 }, exec: { command: [a] } }'),
      says: /livenessProbe: give it exactly one of exec, httpGet and tcpSocket/,
    },
    "probes a port whose name is not the container's": {
      text: minimal(', livenessProbe: { tcpSocket: { port: web } }'),
      says: /has no port that is named "web"/,
    },
    'wants two successes of its liveness': {
      text: minimal(', livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 }'),
      says: /livenessProbe\.successThreshold: has to be 1/,
    },
    'gives a number to a variable': {
      text: minimal(', env: [{ name: A, value: 1 }]'),
      says: /put numbers and booleans in quotes/,
    },
    'has a bandwidth that is none': {
      text: minimal('', 'name: web, annotations: { kubernetes.io/ingress-bandwidth: fast }'),
      says: /metadata\.annotations\.kubernetes\.io\/ingress-bandwidth: "fast" is no bandwidth/,
    },
    'has no name servers though it says so': {
      text: minimal('  dnsPolicy: None'),
      says: /None needs dnsConfig\.nameservers/,
    },
    'has a name that cannot be one': {
      text: minimal('', 'name: Web'),
      says: /metadata\.name: expected a name/,
    },
  };
  for (const [what, { text, says }] of Object.entries(refused)) {
    it(`is refused if it ${what}`, () => assert.match(refusal(text), says));
  }
});
