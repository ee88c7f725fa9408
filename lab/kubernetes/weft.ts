/** weft on a cluster, as a person puts it there: the image imported on every node, the manifest applied. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from '../errors.ts';
import { packageRoot } from '../product.ts';
import type { Cluster } from './cluster.ts';
import { manifestNamespace, renderManifest } from './manifest.ts';

const rolledOutWithin = '120s';
const readyWithin = '60s';

/** Path of the image's archive. Throws `LabError` if it has not been made. */
export function imageArchive(): string {
  const root = packageRoot();
  const path = join(root, `dist/image/weft-${packageVersion()}-linux-${process.arch}.tar`);
  if (!existsSync(path)) throw new LabError(`${path} is missing: run "npm run image" in ${root}`);
  return path;
}

/** The name that the image has in its archive. */
export const imageName = (): string => `localhost/weft/weft:${packageVersion()}`;

const packageVersion = (): string =>
  (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }).version;

/** Applies the manifest; `set`: values over the chart's. Resolves once every agent and every node is ready. */
export async function applyWeft(
  cluster: Cluster,
  set: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const { controlPlane } = cluster;
  const input = await renderManifest({ root: packageRoot(), set });
  await controlPlane.mustKubectl(['apply', '-f', '-'], { input });
  await weftRolledOut(cluster);
  await controlPlane.mustKubectl([
    'wait',
    '--for=condition=Ready',
    'nodes',
    '--all',
    `--timeout=${readyWithin}`,
  ]);
}

/** Resolves once the DaemonSet's latest template runs on every node, and each agent is ready. */
export async function weftRolledOut(cluster: Cluster): Promise<void> {
  const status = ['rollout', 'status', 'daemonset/weft', `--timeout=${rolledOutWithin}`];
  await cluster.controlPlane.mustKubectl(['--namespace', manifestNamespace, ...status]);
}

/** Keys of weft.yaml for the families of a cluster, as values of the chart. */
export function familyValues(cluster: Cluster): Readonly<Record<string, unknown>> {
  const { families } = cluster.lab.record.topology;
  return {
    ...(families.includes('ipv4') ? {} : { 'config.network': null }),
    ...(families.includes('ipv6') ? { 'config.network6': 'fd00:10:244::/48' } : {}),
  };
}
