/** weft's agents on a cluster. */
import { manifestNamespace } from '../../lab/kubernetes/manifest.ts';
import type { ClusterFixture } from './fixture.ts';

export interface AgentPod {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName: string };
}

export class Agents {
  readonly #fixture: ClusterFixture;

  constructor(fixture: ClusterFixture) {
    this.#fixture = fixture;
  }

  /** kubectl in weft's namespace. */
  kubectl(...args: readonly string[]): Promise<string> {
    return this.#fixture.kubectl(['-n', manifestNamespace, ...args]);
  }

  async on(node: string): Promise<AgentPod | undefined> {
    const { items } = await this.#fixture.get<{ items: AgentPod[] }>('pods', '-n', manifestNamespace);
    return items.find(({ spec }) => spec.nodeName === node);
  }
}
