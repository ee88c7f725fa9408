/** Builds the programs of a cluster that the tests need and the user's cache has not: some minutes, once. */
import { ensureCoredns, ensureHelm, ensureKubernetes } from '../lab/kubernetes/binaries.ts';

const progress = (step: string): void => {
  process.stderr.write(`kubernetes: ${step}\n`);
};

try {
  for (const ensure of [ensureKubernetes, ensureCoredns, ensureHelm]) await ensure(progress);
} catch (error) {
  process.stderr.write(`kubernetes: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
