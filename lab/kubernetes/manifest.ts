/** weft's manifest, made from its chart by helm. */
import { join } from 'node:path';
import { mustRun } from '../command.ts';
import { ensureHelm, kubernetesVersion } from './binaries.ts';

/** Where the manifest in the repository puts weft. */
export const manifestNamespace = 'weft-system';

const header = `# weft for Kubernetes 1.30 and later: kubectl apply -f weft.yaml
# Made from the chart beside it by "npm run manifests"; to change something, use the chart or kustomization.yaml.
`;

/**
 * The chart's objects as one document each. `set`: values over the chart's, as helm's --set-json takes them. Throws
 * `LabError` with helm's words.
 */
export async function renderManifest(request: {
  /** The repository's folder. */
  root: string;
  set?: Readonly<Record<string, unknown>>;
}): Promise<string> {
  const { root, set = {} } = request;
  const values = { 'namespace.create': true, ...set };
  const rendered = await mustRun([
    ...[await ensureHelm(), 'template', 'weft', join(root, 'deploy/kubernetes/chart')],
    ...['--namespace', manifestNamespace, '--kube-version', kubernetesVersion],
    ...Object.entries(values).flatMap(([key, value]) => ['--set-json', `${key}=${JSON.stringify(value)}`]),
  ]);
  const lines = rendered.split('\n').filter((line) => !line.startsWith('# Source: '));
  return `${header}${lines.join('\n').trimEnd()}\n`;
}
