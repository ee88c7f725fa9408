/** Kubernetes' own tests of the network, those that a conformant cluster passes, on a cluster whose network is weft. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ensureConformanceTests } from '../../lab/kubernetes/binaries.ts';
import { dns } from '../kubernetes/dns.ts';
import { ClusterFixture } from '../kubernetes/fixture.ts';
import { writeTestImages } from './images.ts';

describe('Kubernetes conformance', () => {
  let fixture: ClusterFixture;
  let tests = '';

  before(async () => {
    tests = await ensureConformanceTests((step) => process.stderr.write(`${step}\n`));
    const folder = mkdtempSync(join(tmpdir(), 'weft-e2e-'));
    try {
      const images = await writeTestImages(folder, tests);
      fixture = await ClusterFixture.raise('kube-e2e', { images });
    } finally {
      rmSync(folder, { recursive: true });
    }
    await fixture.applyWeft();
    await fixture.apply(...dns);
    await fixture.kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=90s']);
  });
  after(() => fixture?.raze());

  it('[sig-network] [Conformance]: every spec passes at the first try', async () => {
    const { controlPlane, kubeconfig } = fixture.cluster;
    const output = await controlPlane.mustExec([
      join(tests, 'e2e.test'),
      ...[`--kubeconfig=${kubeconfig}`, '--provider=skeleton', '--num-nodes=3'],
      ...['--ginkgo.focus=\\[sig-network\\].*\\[Conformance\\]', '--ginkgo.flake-attempts=1'],
      ...['--ginkgo.timeout=2h', '--ginkgo.no-color', '--dump-logs-on-failure=false'],
    ]);
    const [, passed, failed] = /(\d+) Passed \| (\d+) Failed/.exec(output) ?? [];
    process.stdout.write(`${passed} specs passed\n`);
    assert.equal(failed, '0');
    assert.ok(Number(passed) >= 40, `${passed} specs ran`);
  });
});
