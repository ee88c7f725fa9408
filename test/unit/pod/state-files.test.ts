import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { contentOf, type Order, PodFiles } from '../../../pod/control/files.ts';
import { listPods, tableOf } from '../../../pod/control/list.ts';
import { PodError } from '../../../pod/errors.ts';
import { keyOf } from '../../../pod/manifest/pod.ts';
import { readManifest } from '../../../pod/manifest/read.ts';
import { attached, known, pod, uid } from './builders.ts';

const order: Order = {
  pod: pod(),
  uid,
  digest: 'd',
  appliedAt: '2026-01-01T00:00:00.000Z',
  pauseImage: undefined,
  removal: undefined,
};
const key = keyOf(order.pod);

/** What version 0.1.0 wrote for a pod that it ran. */
const recorded = {
  manifest: `apiVersion: v1
kind: Pod
metadata: { name: web }
spec:
  terminationGracePeriodSeconds: 5
  volumes: [{ name: d, emptyDir: {} }]
  containers:
  - name: main
    image: "localhost/weft/busybox:1"
    command: [sleep, "9"]
    volumeMounts: [{ name: d, mountPath: /d }]
    livenessProbe: { exec: { command: [cat, /etc/passwd] }, periodSeconds: 1 }
`,
  order: {
    version: 1,
    pod: {
      namespace: 'default',
      name: 'web',
      labels: {},
      annotations: {},
      hostname: 'web',
      initContainers: [],
      containers: [
        {
          name: 'main',
          image: 'localhost/weft/busybox:1',
          pullPolicy: 'IfNotPresent',
          command: ['sleep', '9'],
          env: [],
          ports: [],
          mounts: [{ volume: 'd', path: '/d', readOnly: false }],
          probes: {
            liveness: {
              handler: { kind: 'exec', command: ['cat', '/etc/passwd'] },
              initialDelaySeconds: 0,
              periodSeconds: 1,
              timeoutSeconds: 1,
              successThreshold: 1,
              failureThreshold: 3,
            },
          },
        },
      ],
      restartPolicy: 'Always',
      volumes: [{ kind: 'emptyDir', name: 'd', memory: false }],
      dns: { inheritsHost: true, nameservers: [], searches: [], options: [] },
      graceSeconds: 5,
      bandwidth: {},
    },
    digest: '070377801128817c1b4cac1c4b2e2d32be29dddee35bbedce945f5764660d564',
    appliedAt: '2026-11-30T22:34:36.169Z',
    uid: '9874a128-9491-4596-919d-b9868d2854f2',
  },
  memory: {
    version: 1,
    uid: '9874a128-9491-4596-919d-b9868d2854f2',
    attachments: [
      {
        sandboxId: '99b422a64a51cd714bec0c032ad1a3e3b5f0e12c54ea51b94600788a41581fe8',
        startedAt: '2026-11-30T22:34:37.60341184Z',
        network: 'weft',
        complete: true,
        addresses: ['10.244.2.2/24'],
      },
    ],
    addresses: ['10.244.2.2/24'],
    containers: {
      main: {
        attempt: 0,
        sandboxId: '99b422a64a51cd714bec0c032ad1a3e3b5f0e12c54ea51b94600788a41581fe8',
        id: 'ed955eab32648093ab0432615915d60eaa740be02d37602b4aa9b3847a0b14ef',
        started: true,
        ready: true,
      },
    },
    stopping: {},
  },
};

describe('state files of a pod', () => {
  let stateDir = '';
  let files = undefined as unknown as PodFiles;
  const wantedFile = () => join(stateDir, 'pods/wanted/default_web.json');
  const memoryFile = () => join(stateDir, 'pods/memory/default_web.json');

  beforeEach(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'weft-unit-'));
    files = new PodFiles({ stateDir, runDir: join(stateDir, 'run') });
    files.makeFolders();
    files.writeOrder(key, order);
    files.writeMemory(key, attached({ containers: { a: known('a') } }));
  });
  afterEach(() => rmSync(stateDir, { recursive: true }));

  it('written by this version: read as they were written', () => {
    assert.equal(files.order(key)?.uid, uid);
    assert.deepEqual(files.order(key)?.pod.containers[0]?.name, 'a');
    assert.equal(files.memory(key)?.containers.a?.id, 'a-0');
  });

  it('written by version 0.1.0: read, and applied again: unchanged', () => {
    writeFileSync(wantedFile(), JSON.stringify(recorded.order));
    writeFileSync(memoryFile(), JSON.stringify(recorded.memory));
    assert.equal(files.order(key)?.uid, recorded.order.uid);
    assert.equal(files.memory(key)?.containers.main?.id, recorded.memory.containers.main.id);
    const [again] = readManifest('web.yaml', recorded.manifest).pods;
    assert.ok(again);
    const digest = createHash('sha256').update(contentOf(again, undefined)).digest('hex');
    assert.equal(digest, recorded.order.digest);
  });

  it('absent: nothing is wanted', () => {
    rmSync(wantedFile());
    rmSync(memoryFile());
    assert.equal(files.order(key), undefined);
    assert.equal(files.memory(key), undefined);
    assert.equal(files.has(key), false);
  });

  const damages: Record<string, (text: string) => string> = {
    'three bytes missing at the end': (text) => text.slice(0, -3),
    'the first half only': (text) => text.slice(0, text.length / 2),
    empty: () => '',
    'zero bytes': (text) => '\0'.repeat(text.length),
    'a format of a later version': (text) => text.replace('"version":1', '"version":2'),
    'no format': (text) => text.replace('"version":1,', ''),
    null: () => 'null',
    'an array': () => '[]',
    'no uid': (text) => text.replace(`"uid":"${uid}",`, ''),
    'a uid that is a path': (text) => text.replace(uid, '../../x'),
  };
  const reads = { order: () => files.order(key), memory: () => files.memory(key) };
  const pathOf = { order: wantedFile, memory: memoryFile };
  for (const file of ['order', 'memory'] as const) {
    for (const [what, damage] of Object.entries(damages)) {
      it(`${file} file is ${what}: refused, not taken for absent`, () => {
        const path = pathOf[file]();
        writeFileSync(path, damage(readFileSync(path, 'utf8')));
        assert.throws(reads[file], (error) => {
          assert.ok(error instanceof PodError);
          assert.equal(error.code, 'state');
          assert.match(error.message, /^failed to read \S+default_web\.json: .+; nothing is changed; /);
          return true;
        });
        assert.equal(files.has(key), true);
      });
    }

    it(`${file} file is a folder: refused, not taken for absent`, () => {
      rmSync(pathOf[file]());
      mkdirSync(pathOf[file]());
      assert.throws(reads[file], /EISDIR/);
    });

    it(`folder of the ${file} file is absent: refused, not taken for absent`, () => {
      rmSync(join(stateDir, 'pods'), { recursive: true });
      assert.throws(reads[file], /the folder \S+ is absent/);
    });
  }

  it('order of another pod under the name: refused', () => {
    writeFileSync(wantedFile(), readFileSync(wantedFile(), 'utf8').replace('"name":"web"', '"name":"db"'));
    assert.throws(reads.order, /the pod in it is not default_web/);
  });

  it('order of a later version with keys that are not known: read, the keys are kept', () => {
    writeFileSync(
      wantedFile(),
      readFileSync(wantedFile(), 'utf8').replace('{"version":1', '{"version":1,"later":7'),
    );
    assert.equal((files.order(key) as unknown as { later: number }).later, 7);
  });

  it('file names that are not keys: not pods', () => {
    for (const name of ['x.json', 'default_web.json.123.new', '.default_db.json.swp', 'A_b.json', '_.json']) {
      writeFileSync(join(stateDir, 'pods/wanted', name), '{}');
    }
    assert.deepEqual([...files.keys()], [key]);
  });

  it('order that cannot be read: pod ls shows the others and reports it', () => {
    files.writeOrder(keyOf({ namespace: 'default', name: 'db' }), {
      ...order,
      pod: { ...order.pod, name: 'db' },
    });
    writeFileSync(wantedFile(), '{');
    const listing = listPods({ stateDir, runDir: join(stateDir, 'run') });
    assert.deepEqual(
      listing.pods.map((each) => each.pod.name),
      ['db'],
    );
    assert.ok(tableOf(listing, 0).notes.some((note) => note.includes('default_web.json: it is truncated')));
  });
});
