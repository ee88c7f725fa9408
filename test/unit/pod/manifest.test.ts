import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resourceConfigOf, securityConfigOf, userOf } from '../../../pod/docker/host-config.ts';
import { environmentOf } from '../../../pod/manifest/environment.ts';
import { ManifestError, readManifest } from '../../../pod/manifest/read.ts';

const minimal = (spec: string, metadata = 'name: web'): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: { ${metadata} }\nspec:\n  containers: [{ name: a, image: ` +
  `"i:1"${spec.startsWith(',') ? spec : ''} }]\n${spec.startsWith(',') ? '' : spec}`;

function refusal(text: string): string {
  try {
    readManifest('pod.yaml', text);
  } catch (error) {
    assert.ok(error instanceof Error && error.name === 'PodError', String(error));
    return error.message;
  }
  return assert.fail('it was accepted');
}

describe('manifest', () => {
  it('minimal pod: every default is that of Kubernetes', () => {
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

  it('every supported field: read without a warning', () => {
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
  dnsConfig:
    nameservers: [10.0.0.1]
    searches: [shop.local]
    options: [{ name: ndots, value: "5" }, { name: edns0 }]
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

  it('several documents: empty ones are skipped', () => {
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
    'field that weft does not support': {
      text: minimal('  nodeName: node-1'),
      says: /^pod\.yaml:6:3: spec\.nodeName: is ignored: weft does not support it$/,
    },
    'misspelt field': {
      text: minimal(', imagPullPolicy: Never'),
      says: /containers\[0\]\.imagPullPolicy: is ignored: did you mean imagePullPolicy\?/,
    },
    'variable of an unsupported source': {
      text: minimal(', env: [{ name: A, valueFrom: { resourceFieldRef: { resource: limits.cpu } } }]'),
      says: /env\[0\]\.valueFrom\.resourceFieldRef: is ignored/,
    },
    'dnsPolicy of the cluster DNS': {
      text: minimal('  dnsPolicy: ClusterFirst'),
      says: /spec\.dnsPolicy: there is no cluster DNS/,
    },
  };
  for (const [what, { text, says }] of Object.entries(ignored)) {
    it(`${what}: a warning names it`, () => {
      const { pods, warnings } = readManifest('pod.yaml', text);
      assert.equal(pods.length, 1);
      assert.equal(warnings.length, 1, warnings.join('\n'));
      assert.match(warnings[0] ?? '', says);
    });
  }

  it('empty fields that kubectl writes: no warning', () => {
    const text = `${minimal(', resources: {}', 'name: web, creationTimestamp: null')}\nstatus: {}`;
    assert.deepEqual(readManifest('pod.yaml', text).warnings, []);
  });

  const refused: Record<string, { text: string; says: RegExp }> = {
    'another kind': {
      text: 'apiVersion: apps/v1\nkind: Deployment',
      says: /kind: expected Pod, ConfigMap or Secret, not "Deployment"/,
    },
    'no pod': { text: '', says: /pod\.yaml: has no pod in it/ },
    'no YAML': { text: 'a: [', says: /^pod\.yaml:1:/ },
    'no image': {
      text: 'apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec: { containers: [{ name: a }] }',
      says: /spec\.containers\[0\]\.image: is missing/,
    },
    'two containers on one port': {
      text: minimal('  x: 1').replace(
        'containers: [',
        'containers: [{ name: b, image: i, ports: [{ containerPort: 80 }] }, { name: c, image: i, ports: ' +
          '[{ containerPort: 80 }] }, ',
      ),
      says: /containers\[1\]\.ports\[0\]\.containerPort: 80\/TCP is in use by container b/,
    },
    'two pods on one host port': {
      text: [
        minimal(', ports: [{ containerPort: 1, hostPort: 9 }]'),
        minimal(', ports: [{ containerPort: 2, hostPort: 9 }]', 'name: b'),
      ].join('\n---\n'),
      says: /document 2: .*hostPort: host port 9\/TCP is in use by another pod of this file/,
    },
    'two pods of one name': { text: `${minimal('')}\n---\n${minimal('')}`, says: /duplicate pod web/ },
    'mount of an absent volume': {
      text: minimal(', volumeMounts: [{ name: v, mountPath: /v }]'),
      says: /volumeMounts\[0\]\.name: volume v not found/,
    },
    'probe with two handlers': {
      text: minimal(', livenessProbe: { tcpSocket: { port: 1 }, exec: { command: [a] } }'),
      says: /livenessProbe: needs exactly one of exec, httpGet and tcpSocket/,
    },
    'probe of a port name that the container has not': {
      text: minimal(', livenessProbe: { tcpSocket: { port: web } }'),
      says: /container a has no port named "web"/,
    },
    'liveness with two successes': {
      text: minimal(', livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 }'),
      says: /livenessProbe\.successThreshold: must be 1/,
    },
    'number as a variable': {
      text: minimal(', env: [{ name: A, value: 1 }]'),
      says: /put numbers and booleans in quotes/,
    },
    'bandwidth that is not a quantity': {
      text: minimal('', 'name: web, annotations: { kubernetes.io/ingress-bandwidth: fast }'),
      says: /metadata\.annotations\.kubernetes\.io\/ingress-bandwidth: "fast" is not a bandwidth/,
    },
    'dnsPolicy None without name servers': {
      text: minimal('  dnsPolicy: None'),
      says: /None needs dnsConfig\.nameservers/,
    },
    'name with a capital letter': {
      text: minimal('', 'name: Web'),
      says: /metadata\.name: expected a name/,
    },
    'name that no file name can hold': {
      text: minimal('', `name: ${Array.from({ length: 4 }, () => 'a'.repeat(60)).join('.')}`),
      says: /metadata\.name: is too long/,
    },
    'colon in a mount path': {
      text: minimal(', volumeMounts: [{ name: v, mountPath: "/a:ro" }]'),
      says: /mountPath: expected a path that begins with \/, without a colon/,
    },
    'mount path is the root': {
      text: minimal(', volumeMounts: [{ name: v, mountPath: / }]'),
      says: /mountPath: expected a path .* is not \//,
    },
    'hostPath with ..': {
      text: minimal('  volumes: [{ name: v, hostPath: { path: /srv/../etc } }]'),
      says: /hostPath\.path: expected a path that begins with \/, without \.\./,
    },
    'volume of an unsupported type': {
      text: minimal('  volumes: [{ name: v, nfs: { server: s, path: / } }]'),
      says: /volumes\[0\]\.nfs: unsupported volume type nfs \(supported: emptyDir, hostPath, configMap, secret\)/,
    },
    'projected volume': {
      text: minimal('  volumes: [{ name: v, projected: { sources: [] , defaultMode: 420 } }]'),
      says: /unsupported volume type projected/,
    },
    'volume of two types': {
      text: minimal('  volumes: [{ name: v, emptyDir: {}, hostPath: { path: /srv } }]'),
      says: /volumes\[0\]: has more than one source: emptyDir, hostPath/,
    },
    'ConfigMap that the file has not': {
      text: minimal(', envFrom: [{ configMapRef: { name: c } }]'),
      says: /envFrom\[0\]: ConfigMap c not found in this file/,
    },
    'probe of an init container': {
      text: minimal('  initContainers: [{ name: i, image: i, livenessProbe: { tcpSocket: { port: 1 } } }]'),
      says: /livenessProbe: unsupported on an init container .*restartPolicy: Always/,
    },
    'restartPolicy of a container': {
      text: minimal(', restartPolicy: Always'),
      says: /containers\[0\]\.restartPolicy: unsupported/,
    },
    'restartPolicy of an init container that is not Always': {
      text: minimal('  initContainers: [{ name: i, image: i, restartPolicy: Never }]'),
      says: /initContainers\[0\]\.restartPolicy: expected Always/,
    },
  };
  for (const [what, { text, says }] of Object.entries(refused)) {
    it(`${what}: refused`, () => assert.match(refusal(text), says));
  }
});

/** Changes what a pod may do: a warning would leave the pod with more than its author gave it. */
describe('field that changes what a pod may do, unsupported', () => {
  const fields: Record<string, string> = {
    hostNetwork: minimal('  hostNetwork: true'),
    hostPID: minimal('  hostPID: true'),
    hostIPC: minimal('  hostIPC: true'),
    'hostUsers: false': minimal('  hostUsers: false'),
    shareProcessNamespace: minimal('  shareProcessNamespace: true'),
    activeDeadlineSeconds: minimal('  activeDeadlineSeconds: 5'),
    runtimeClassName: minimal('  runtimeClassName: gvisor'),
    'securityContext.windowsOptions': minimal('  securityContext: { windowsOptions: { hostProcess: true } }'),
    'securityContext, misspelt': minimal(', securityContext: { runAsUsr: 5 }'),
    'seccomp profile of a file': minimal(
      ', securityContext: { seccompProfile: { type: Localhost, localhostProfile: a } }',
    ),
    'supplementalGroupsPolicy: Strict': minimal('  securityContext: { supplementalGroupsPolicy: Strict }'),
    'sysctl of the host': minimal('  securityContext: { sysctls: [{ name: vm.swappiness, value: "1" }] }'),
    'limit of a device': minimal(', resources: { limits: { nvidia.com/gpu: 1 } }'),
    'limit of ephemeral storage': minimal(', resources: { limits: { ephemeral-storage: 1Gi } }'),
    'resources.claims': minimal(', resources: { claims: [{ name: a }] }'),
    'resources of the pod': minimal('  resources: { limits: { cpu: 1 } }'),
    subPathExpr: minimal(', volumeMounts: [{ name: v, mountPath: /v, subPathExpr: $(A) }]'),
    mountPropagation: minimal(
      ', volumeMounts: [{ name: v, mountPath: /v, mountPropagation: Bidirectional }]',
    ),
    recursiveReadOnly: minimal(', volumeMounts: [{ name: v, mountPath: /v, recursiveReadOnly: Enabled }]'),
    'probe by gRPC': minimal(', livenessProbe: { grpc: { port: 1 } }'),
    'hook by tcpSocket': minimal(', lifecycle: { preStop: { tcpSocket: { port: 1 } } }'),
    'lifecycle.stopSignal': minimal(', lifecycle: { stopSignal: SIGUSR1 }'),
    volumeDevices: minimal(', volumeDevices: [{ name: v, devicePath: /dev/x }]'),
    'os: windows': minimal('  os: { name: windows }'),
    'subPath of a hostPath': minimal(
      ', volumeMounts: [{ name: v, mountPath: /v, subPath: a }] }]\n  volumes: [{ name: v, hostPath: { path: /srv } ',
    ),
    'privileged and allowPrivilegeEscalation: false': minimal(
      ', securityContext: { privileged: true, allowPrivilegeEscalation: false }',
    ),
    'request larger than the limit': minimal(', resources: { limits: { cpu: 1 }, requests: { cpu: 2 } }'),
  };
  for (const [what, text] of Object.entries(fields)) {
    it(`${what}: refused`, () => {
      const message = refusal(text);
      assert.match(message, /^pod\.yaml:\d+:\d+: spec\.\S+: .+/);
      assert.doesNotMatch(message, /not found|is missing/);
    });
  }
  for (const [what, text] of Object.entries({
    'hostNetwork: false': minimal('  hostNetwork: false'),
    'hostUsers: true': minimal('  hostUsers: true'),
    'mountPropagation: None': minimal(
      ', volumeMounts: [{ name: v, mountPath: /v, mountPropagation: None }] }]\n  volumes: [{ name: v ',
    ),
    'os: linux': minimal('  os: { name: linux }'),
  })) {
    it(`${what}: accepted, it changes nothing`, () => {
      assert.equal(readManifest('pod.yaml', text).pods.length, 1);
    });
  }

  it('warnings beside a fault: kept', () => {
    const text = minimal('  nodeName: a\n  hostNetwork: true');
    assert.throws(
      () => readManifest('pod.yaml', text),
      (error) => {
        assert.ok(error instanceof ManifestError);
        assert.match(error.message, /hostNetwork/);
        assert.match(error.warnings.join(), /spec\.nodeName: is ignored/);
        return true;
      },
    );
  });
});

describe("Go's zero values", () => {
  const of = (container: string, spec = '') =>
    readManifest('pod.yaml', minimal(`, ${container}`) + spec).pods[0];
  it('variable without a value: empty', () =>
    assert.deepEqual(of('env: [{ name: A, value: }]')?.containers[0]?.env, [
      { name: 'A', value: '', field: undefined },
    ]));
  it('lists without a value, or empty: the image decides', () => {
    for (const text of ['args: , command: ', 'args: [], command: []', 'args: ~, command: null']) {
      const container = of(text)?.containers[0];
      assert.deepEqual([container?.command, container?.args], [undefined, undefined]);
    }
  });
  it('empty text and 0: the default', () => {
    const ports = 'ports: [{ containerPort: 80, hostPort: 0, hostIP: "", protocol: "" }]';
    const rest =
      'imagePullPolicy: "", workingDir: "", livenessProbe: { tcpSocket: { port: 80, host: "" }, ' +
      'periodSeconds: 0, timeoutSeconds: 0 }';
    const container = of(`${ports}, ${rest}`)?.containers[0];
    assert.deepEqual(container?.ports[0], {
      name: undefined,
      containerPort: 80,
      hostPort: undefined,
      hostIP: undefined,
      protocol: 'TCP',
    });
    assert.equal(container?.pullPolicy, 'IfNotPresent');
    assert.equal(container?.workingDir, undefined);
    assert.equal(container?.probes.liveness?.periodSeconds, 10);
  });
  it('terminationGracePeriodSeconds: 0 is 0, a pointer in Go', () =>
    assert.equal(readManifest('p', minimal('  terminationGracePeriodSeconds: 0')).pods[0]?.graceSeconds, 0));
  it('restartPolicy, dnsPolicy, namespace and maps without a value: the default', () => {
    const [pod] = readManifest(
      'p',
      minimal(
        '  restartPolicy: ""\n  dnsPolicy:\n  volumes:\n  initContainers:',
        'name: web, namespace: "", labels: , annotations: { a: }',
      ),
    ).pods;
    assert.deepEqual([pod?.restartPolicy, pod?.namespace, pod?.annotations.a], ['Always', 'default', '']);
  });
  it('volume without a source: an emptyDir', () =>
    assert.deepEqual(
      readManifest('p', minimal('  volumes: [{ name: v }, { name: w, nfs: }]')).pods[0]?.volumes,
      [
        { kind: 'emptyDir', name: 'v', memory: false, sizeBytes: undefined },
        { kind: 'emptyDir', name: 'w', memory: false, sizeBytes: undefined },
      ],
    ));
});

it('YAML merge keys and octal numbers: read as kubectl reads them', () => {
  const [pod] = readManifest(
    'p',
    `apiVersion: v1
kind: ConfigMap
metadata: { name: c }
data: { k: v }
---
apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  volumes: [{ name: v, configMap: { name: c, defaultMode: 0640 } }]
  containers:
  - &base { name: a, image: "i:1", env: [{ name: A, value: b }] }
  - { <<: *base, name: b }
`,
  ).pods;
  assert.deepEqual(
    pod?.containers.map(({ name, image, env }) => [name, image, env[0]?.value]),
    [
      ['a', 'i:1', 'b'],
      ['b', 'i:1', 'b'],
    ],
  );
  assert.equal(pod?.volumes[0]?.kind === 'files' && pod.volumes[0].files[0]?.mode, 0o640);
});

describe('ConfigMaps and Secrets of the same file', () => {
  const objects = `apiVersion: v1
kind: ConfigMap
metadata: { name: c }
data: { one: "1", "two.conf": "a: $(one)", bad-name!: x }
---
apiVersion: v1
kind: Secret
metadata: { name: s }
stringData: { password: hunter2 }
data: { token: ${Buffer.from('t0p').toString('base64')} }
---
`.replace(', bad-name!: x', '');
  const read = (container: string, spec = '') => {
    const [pod] = readManifest('p', objects + minimal(`, ${container}`) + spec).pods;
    if (!pod) throw new Error('no pod');
    return pod;
  };

  it('envFrom and valueFrom: variables, without expansion', () => {
    const pod = read(
      'envFrom: [{ configMapRef: { name: c }, prefix: P_ }, { secretRef: { name: s } }], env: [{ name: ' +
        'X, valueFrom: { secretKeyRef: { name: s, key: password } } }, ' +
        '{ name: Y, valueFrom: { configMapKeyRef: { name: c, key: none, optional: true } } }]',
    );
    const [container] = pod.containers;
    if (!container) throw new Error('no container');
    const variables = environmentOf(container, {
      pod,
      uid: 'u',
      addresses: [],
      nodeName: '',
      hostAddress: '',
    });
    assert.deepEqual(Object.fromEntries(variables), {
      P_one: '1',
      'P_two.conf': 'a: $(one)',
      token: 't0p',
      password: 'hunter2',
      X: 'hunter2',
    });
  });

  it('volumes: files with their modes, all or the items', () => {
    const pod = read(
      'volumeMounts: [{ name: v, mountPath: /v }] }]\n  volumes: [{ name: v, secret: { secretName: s, ' +
        'defaultMode: 256 } }, { name: w, configMap: { name: c, items: [{ key: one, path: a/b, mode: 384 }] } ',
    );
    const text = (content: string) => Buffer.from(content, 'base64').toString();
    const [v, w] = pod.volumes.map((volume) =>
      volume.kind === 'files'
        ? volume.files.map(({ path, mode, content }) => [path, mode, text(content)])
        : [],
    );
    assert.deepEqual(v?.toSorted(), [
      ['password', 0o400, 'hunter2'],
      ['token', 0o400, 't0p'],
    ]);
    assert.deepEqual(w, [['a/b', 0o600, '1']]);
  });

  const broken: Record<string, string> = {
    'key that the object has not': 'env: [{ name: X, valueFrom: { secretKeyRef: { name: s, key: none } } }]',
    'object that the file has not': 'envFrom: [{ secretRef: { name: other } }]',
    'item that the object has not':
      'volumeMounts: [] }]\n  volumes: [{ name: v, secret: { secretName: s, items: [{ key: none, path: p }] } ',
    'item outside the volume':
      'volumeMounts: [] }]\n  volumes: [{ name: v, secret: { secretName: s, items: [{ key: token, path: ../p }] } ',
    'subPath outside the volume': 'volumeMounts: [{ name: v, mountPath: /v, subPath: a/../../b }]',
  };
  for (const [what, container] of Object.entries(broken)) {
    it(`${what}: refused`, () => {
      refusal(objects + minimal(`, ${container}`));
    });
  }

  it('object of another namespace: not found', () => {
    const text = objects + minimal(', envFrom: [{ secretRef: { name: s } }]', 'name: web, namespace: shop');
    assert.match(refusal(text), /Secret s not found in this file/);
  });

  const secret = (data: string) =>
    `apiVersion: v1\nkind: Secret\nmetadata: { name: s }\n${data}\n---\n${minimal('')}`;
  const leaking: Record<string, string> = {
    'value is not base64': secret('data: { a: hunter2! }'),
    'value is a number': secret('stringData: { a: 31337 }'),
    'value is a list': secret('stringData: { a: [hunter2] }'),
    'data is a text': secret('data: hunter2'),
    'key is a path': secret('stringData: { ../a: hunter2 }'),
    'apiVersion is another': secret('stringData: { a: hunter2 }').replace('apiVersion: v1', 'apiVersion: v2'),
  };
  for (const [what, text] of Object.entries(leaking)) {
    it(`Secret whose ${what}: refused, its value is not in the message`, () =>
      assert.doesNotMatch(refusal(text), /hunter2|31337/));
  }
});

describe('securityContext and resources', () => {
  const containerOf = (container: string, spec = '') => {
    const text = minimal(`, ${container}`) + spec;
    return readManifest('p', text).pods[0]?.containers[0];
  };
  it("the container's own settings hold, then the pod's", () => {
    const container = containerOf(
      'securityContext: { runAsUser: 5, capabilities: { add: [CAP_NET_ADMIN], drop: [all] }, ' +
        'readOnlyRootFilesystem: true, allowPrivilegeEscalation: false }',
      '  securityContext: { runAsUser: 1, runAsGroup: 2, fsGroup: 3, supplementalGroups: [4], ' +
        'seccompProfile: { type: RuntimeDefault } }',
    );
    assert.deepEqual(container?.security, {
      user: 5,
      group: 2,
      supplementalGroups: [4, 3],
      noNewPrivileges: true,
      readOnlyRoot: true,
      addCapabilities: ['NET_ADMIN'],
      dropCapabilities: ['ALL'],
    });
    assert.deepEqual(securityConfigOf(container?.security), {
      ReadonlyRootfs: true,
      CapAdd: ['NET_ADMIN'],
      CapDrop: ['ALL'],
      GroupAdd: ['4', '3'],
      SecurityOpt: ['no-new-privileges'],
    });
  });

  it('limits and requests: as the kubelet sets them, without swap', () => {
    const of = (resources: string) => resourceConfigOf(containerOf(`resources: ${resources}`)?.resources);
    assert.deepEqual(of('{ limits: { cpu: 1500m, memory: 64Mi }, requests: { cpu: 250m } }'), {
      NanoCpus: 1_500_000_000,
      CpuShares: 256,
      Memory: 67_108_864,
      MemorySwap: 67_108_864,
    });
    assert.deepEqual(of('{ limits: { cpu: 0.1 } }'), { NanoCpus: 100_000_000, CpuShares: 102 });
    assert.deepEqual(of('{ requests: { memory: 1Gi } }'), {});
  });

  it('nothing given: nothing in the pod, so that an upgrade changes no pod', () => {
    const container = containerOf('securityContext: {}, resources: {}');
    assert.equal('security' in (container ?? {}), false);
    assert.equal('resources' in (container ?? {}), false);
  });

  const users: Record<string, { is: string | undefined | 'refused'; imageUser: string; security: object }> = {
    'nothing given': { security: {}, imageUser: 'web', is: undefined },
    'user given': { security: { user: 5 }, imageUser: 'web:web', is: '5:0' },
    'user and group given': { security: { user: 5, group: 6 }, imageUser: '', is: '5:6' },
    'group given': { security: { group: 6 }, imageUser: '', is: '0:6' },
    'non-root, image of root': { security: { nonRoot: true }, imageUser: '', is: 'refused' },
    'non-root, image of 0': { security: { nonRoot: true }, imageUser: '0:5', is: 'refused' },
    'non-root, image of a name': { security: { nonRoot: true }, imageUser: 'web', is: 'refused' },
    'non-root, image of a number': { security: { nonRoot: true }, imageUser: '7', is: undefined },
    'non-root, user given': { security: { nonRoot: true, user: 7 }, imageUser: '', is: '7:0' },
  };
  for (const [what, { security, imageUser, is }] of Object.entries(users)) {
    it(`user, ${what}: ${is}`, () => {
      const user = () => userOf(security, { container: 'a', imageUser });
      if (is === 'refused') assert.throws(user, /runAsNonRoot/);
      else assert.equal(user(), is);
    });
  }
});
