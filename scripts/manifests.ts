/** `npm run manifests`: writes deploy/kubernetes/weft.yaml from the chart, with the version of package.json. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderManifest } from '../lab/kubernetes/manifest.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const chart = join(root, 'deploy/kubernetes/chart/Chart.yaml');
const text = readFileSync(chart, 'utf8').replace(/^(version|appVersion): .*$/gm, `$1: ${version}`);
writeFileSync(chart, text);
writeFileSync(join(root, 'deploy/kubernetes/weft.yaml'), await renderManifest({ root }));
