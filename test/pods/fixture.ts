/** Two nodes of a lab, each with a Docker of its own. */
import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { Docker } from '../runtimes/docker.ts';
import { archive, RuntimeGround } from '../runtimes/ground.ts';
import { container, Pods } from '../runtimes/pods.ts';

/** A container that runs a script. */
export const shell = (name: string, script: string, over: object = {}): object =>
  container(name, { command: ['sh', '-c', script], ...over });

export class PodsFixture {
  ground = undefined as unknown as RuntimeGround;
  near = undefined as unknown as Pods;
  far = undefined as unknown as Pods;
  /** Of the near node. */
  docker = undefined as unknown as Docker;
  readonly #dockers: Docker[] = [];

  async raise(word: string): Promise<void> {
    this.ground = await RuntimeGround.raise(word);
    const { lab, cgroup } = this.ground;
    for (const node of lab.nodes) this.#dockers.push(await Docker.start({ node, archive, cgroup }));
    [this.near, this.far] = lab.nodes.map((node) => new Pods(node)) as [Pods, Pods];
    [this.docker] = this.#dockers as [Docker];
  }

  async removePods(): Promise<void> {
    for (const pods of [this.near, this.far]) {
      const names = (await pods.list()).map(({ name }) => name);
      if (names.length > 0) await pods.remove(...names, '--grace-period', '0');
      assert.deepEqual(await this.ground.leftovers(pods.node), []);
    }
  }

  async raze(): Promise<void> {
    try {
      for (const docker of this.#dockers) await docker.stop();
    } finally {
      await this.ground?.raze();
    }
  }

  /** The id of a container, for what is done to it outside weft. */
  async idOf(name: string, of = 'main'): Promise<string> {
    return (await this.near.see(name))?.containers.find((each) => each.name === of)?.id ?? '';
  }

  async pauseOf(name: string): Promise<string> {
    const filters = { label: [`weft.pod=default_${name}`, 'weft.role=sandbox'] };
    const [found] = await this.docker.api.listContainers({ filters });
    return found?.Id ?? '';
  }

  async lines(name: string, ...flags: string[]): Promise<string[]> {
    const { stdout } = await this.near.ctl(['logs', name, ...flags]);
    return stdout.trim().split('\n');
  }
}

/** For the tests of the present `describe`; no pod outlives its test. */
export function podsFixture(word: string): PodsFixture {
  const fixture = new PodsFixture();
  before(() => fixture.raise(word));
  afterEach(() => fixture.removePods());
  after(() => fixture.raze());
  return fixture;
}
