/**
 * A Go module in which Kubernetes' own programs can be built. Kubernetes' go.mod replaces its staging modules by folders
 * of its repository, which a module that requires it does not have: here they are replaced by their published versions.
 * Pure.
 */

/** `v1.34.3` of k8s.io/kubernetes is `v0.34.3` of each staging module. */
export const stagingVersion = (version: string): string => version.replace(/^v1\./, 'v0.');

/** The text of go.mod, from that of Kubernetes (https://go.dev/ref/mod#go-mod-file-grammar). */
export function goModule({ upstream, version }: { upstream: string; version: string }): string {
  const lines = upstream.split('\n').map((line) => {
    if (line.startsWith('module ')) return 'module weft.example/kubernetes';
    return line.replace(
      /^(\s*)(\S+) => \.\/staging\/src\/\S+$/,
      (_, indent, name) => `${indent}${name} => ${name} ${stagingVersion(version)}`,
    );
  });
  return [...lines, `require k8s.io/kubernetes ${version}`, ''].join('\n');
}
