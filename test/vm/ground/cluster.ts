/** Virtual machines made nodes by the same scripts as the Vagrantfile's. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureImage } from './image.ts';
import { Machine } from './machine.ts';
import { Surroundings } from './network.ts';
import { run } from './run.ts';

export const underlay = '192.168.56.0/24';

export class Cluster {
  readonly machines: readonly Machine[];
  readonly surroundings: Surroundings;
  readonly #root: string;
  readonly #folder: string;

  private constructor(parts: {
    root: string;
    folder: string;
    surroundings: Surroundings;
    machines: readonly Machine[];
  }) {
    this.#root = parts.root;
    this.#folder = parts.folder;
    this.surroundings = parts.surroundings;
    this.machines = parts.machines;
  }

  /** Nothing runs yet. `root`: the checkout. */
  static async prepare(request: { root: string; count: number; signal: AbortSignal }): Promise<Cluster> {
    const { root, count, signal } = request;
    const image = await ensureImage(root, signal);
    const numbers = Array.from({ length: count }, (_, index) => index + 1);
    const folder = mkdtempSync(join(tmpdir(), 'weft-vm-'));
    const surroundings = await Surroundings.make(`weft-vm-${process.pid}`, numbers.map(Machine.tap));
    const machines = numbers.map((number) => new Machine({ number, folder, image, surroundings }));
    return new Cluster({ root, folder, surroundings, machines });
  }

  /** Boots a machine and puts on it what Vagrant would: network, sources, secret. */
  async up(machine: Machine): Promise<void> {
    await machine.up();
    await machine.configure(Object.fromEntries(this.machines.map(({ name, address }) => [name, address])));
    const source = join(this.#folder, 'source.tar');
    await run(['tar', '-C', this.#root, '-cf', source, 'scripts']);
    await machine.upload(source, '/tmp/weft-source.tar');
    await machine.run(
      [
        'install -d -m 700 /opt/weft-source /var/lib/weft-provision',
        'tar -xf /tmp/weft-source.tar -C /opt/weft-source --no-same-owner',
        'echo a-secret-of-these-tests >/var/lib/weft-provision/secret',
      ].join('\n'),
    );
    if (machine === this.machines[0])
      await machine.upload(packageOf(this.#root), `/root/${packageName(this.#root)}`);
  }

  async provision(machine: Machine): Promise<void> {
    const nodes = this.machines.map(({ name, address }) => `${name}=${address}`).join(',');
    const given = machine === this.machines[0] ? `--package /root/${packageName(this.#root)}` : '';
    await machine.run(
      `/opt/weft-source/scripts/provision/node --name ${machine.name} --underlay ${underlay} --nodes ${nodes} \
        --secret /var/lib/weft-provision/secret ${given}`,
      { echo: '  ' },
    );
  }

  /** The Vagrantfile's last step, on its last machine. Returns the matrix; throws with it if a pair is broken. */
  verify(): Promise<string> {
    const addresses = this.machines.map(({ address }) => address).join(' ');
    const last = this.machines.at(-1);
    if (!last) throw new Error('a cluster has at least one machine');
    return last.run(`/opt/weft-source/scripts/provision/verify ${addresses}`);
  }

  /** Nothing is left but the image. */
  async remove(): Promise<void> {
    for (const machine of this.machines) await machine.kill();
    this.abandon();
  }

  /** The same in no time, for a process that is about to end: its machines end with it. */
  abandon(): void {
    this.surroundings.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function packageName(root: string): string {
  const name = readdirSync(join(root, 'dist/package')).find((file) =>
    /^weft-.*-linux-x64\.tar\.gz$/.test(file),
  );
  if (!name) throw new Error('dist/package has no package: run "npm run package" first');
  return name;
}

const packageOf = (root: string): string => join(root, 'dist/package', packageName(root));
