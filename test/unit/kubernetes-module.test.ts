/** The Go module in which the tests' Kubernetes is built. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { goModule } from '../../lab/kubernetes/go-module.ts';

const upstream = `// generated
module k8s.io/kubernetes

go 1.24.0

require (
	github.com/spf13/cobra v1.9.1
	k8s.io/api v0.0.0
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/client-go => ./staging/src/k8s.io/client-go
)
`;

describe('module in which Kubernetes is built', () => {
  const text = goModule({ upstream, version: 'v1.34.3' });

  it('staging folder in a replace line: is replaced by the published version', () => {
    assert.match(text, /^\tk8s\.io\/api => k8s\.io\/api v0\.34\.3$/m);
    assert.match(text, /^\tk8s\.io\/client-go => k8s\.io\/client-go v0\.34\.3$/m);
    assert.doesNotMatch(text, /staging/);
  });

  it('module line: names another module, which requires Kubernetes at the version', () => {
    assert.doesNotMatch(text, /^module k8s\.io\/kubernetes$/m);
    assert.match(text, /^require k8s\.io\/kubernetes v1\.34\.3$/m);
  });

  it('other requirements: stay as upstream has them', () => {
    assert.match(text, /^\tgithub\.com\/spf13\/cobra v1\.9\.1$/m);
    assert.match(text, /^\tk8s\.io\/api v0\.0\.0$/m);
  });
});
