/** The manifest in the repository, its chart and its kustomization are one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { mustRun } from '../../lab/command.ts';
import { ensureKubernetes, programPath } from '../../lab/kubernetes/binaries.ts';
import { renderManifest } from '../../lab/kubernetes/manifest.ts';
import { root } from './fixture.ts';

const folder = join(root, 'deploy/kubernetes');
const manifest = readFileSync(join(folder, 'weft.yaml'), 'utf8');

interface KubernetesObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

const objects = (text: string): KubernetesObject[] =>
  parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject);

const byKind = (list: readonly KubernetesObject[]): KubernetesObject[] =>
  [...list].sort((a, b) => (a.kind < b.kind ? -1 : 1));

describe('deploy/kubernetes', () => {
  it('weft.yaml: is what the chart renders (npm run manifests)', async () => {
    assert.equal(manifest, await renderManifest({ root }));
  });

  it('chart: has the version of package.json', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    const chart = parse(readFileSync(join(folder, 'chart/Chart.yaml'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual([chart.version, chart.appVersion], [version, version]);
  });

  it('kustomization: has the objects of weft.yaml', async () => {
    const kubectl = programPath(await ensureKubernetes(), 'kubectl');
    const built = await mustRun([kubectl, 'kustomize', folder]);
    assert.deepEqual(byKind(objects(built)), byKind(objects(manifest)));
  });

  it('agent: is not privileged, has a read-only root and three capabilities', () => {
    const daemonSet = objects(manifest).find(({ kind }) => kind === 'DaemonSet') as unknown as {
      spec: { template: { spec: { containers: { securityContext: unknown }[] } } };
    };
    assert.deepEqual(daemonSet.spec.template.spec.containers[0]?.securityContext, {
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW', 'SYS_ADMIN'] },
    });
  });

  it('values for a tag, capabilities and variables: reach the pod', async () => {
    const set = {
      extraCapabilities: ['SYS_PTRACE'],
      extraEnv: [{ name: 'A', value: 'b' }],
      'image.tag': 'next',
    };
    const text = await renderManifest({ root, set });
    assert.match(text, /add: \["NET_ADMIN","NET_RAW","SYS_ADMIN","SYS_PTRACE"\]/);
    assert.match(text, /- name: A\n\s+value: b/);
    assert.match(text, /image: localhost\/weft\/weft:next/);
  });
});
