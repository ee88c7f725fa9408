/** One virtual machine, emulated in software: NAT with the address that all of them have, and the private network. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cpu, kernelArguments } from './emulation.ts';
import type { Image } from './image.ts';
import type { Surroundings } from './network.ts';
import { attempt, type Outcome, type RunOptions, run } from './run.ts';

/** On the console, by image-setup.sh. */
const saidWhenUp = 'ssh is there';
const upWithinMs = 300_000;

export class Machine {
  readonly name: string;
  /** In the private network. */
  readonly address: string;
  readonly #number: number;
  readonly #folder: string;
  readonly #image: Image;
  readonly #surroundings: Surroundings;
  #process: ChildProcess | undefined;

  constructor(place: { number: number; folder: string; image: Image; surroundings: Surroundings }) {
    this.#number = place.number;
    this.#folder = place.folder;
    this.#image = place.image;
    this.#surroundings = place.surroundings;
    this.name = `node-${place.number}`;
    this.address = `192.168.56.${100 + place.number}`;
  }

  /** The interface of the surroundings that its second one is plugged into. */
  static tap(number: number): string {
    return `tap${number}`;
  }

  /** Starts it, on a new disk if it has none, and resolves when it can be logged in to. */
  async up(): Promise<void> {
    await this.#start();
    await this.#waitForLogin();
  }

  /** Its private network, as Vagrant configures it: once, to be there after every boot. */
  async configure(names: Readonly<Record<string, string>>): Promise<void> {
    const hosts = Object.entries(names).map(([name, address]) => `${address} ${name}`);
    await this.run(
      [
        `echo ${this.name} >/etc/hostname && hostname ${this.name}`,
        `printf '%s\\n' '127.0.0.1 localhost' ${hosts.map((line) => `'${line}'`).join(' ')} >/etc/hosts`,
        `printf 'auto eth1\\niface eth1 inet static\\n  address ${this.address}/24\\n' >/etc/network/interfaces.d/eth1`,
        'ifup eth1',
      ].join('\n'),
    );
  }

  /** A shell script as root; returns what it printed, throws with what it said if it fails. */
  async run(script: string, options: RunOptions = {}): Promise<string> {
    const { status, stdout, stderr } = await this.attempt(script, options);
    if (status === 0) return stdout.trim();
    throw new Error(`on ${this.name}: status ${status}: ${script}\n${stdout}${stderr}`);
  }

  /** The same; its failure is a status. */
  attempt(script: string, options: RunOptions = {}): Promise<Outcome> {
    const { input, ...rest } = options;
    if (input !== undefined) return attempt([...this.#ssh(), script], options);
    return attempt([...this.#ssh(), 'bash -euo pipefail -s'], { ...rest, input: script });
  }

  async upload(file: string, target: string): Promise<void> {
    await run([...this.#ssh(), `cat >${target}`], { input: { file } });
  }

  /** Reboots it in an orderly way; resolves when it can be logged in to again. */
  async reboot(): Promise<void> {
    const child = this.#process;
    if (!child) throw new Error(`${this.name} does not run`);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // Where it would reset, qemu ends (-no-reboot), so that what the console says is of one boot.
    await this.attempt('systemctl reboot');
    await this.#forgetConnection();
    const late = AbortSignal.timeout(upWithinMs);
    late.addEventListener('abort', () => child.kill('SIGKILL'));
    await ended;
    if (late.aborted) throw new Error(`${this.name} did not reboot\n${this.#consoleTail()}`);
    await this.up();
  }

  /** As if the power had failed. The disk stays. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    await this.#forgetConnection();
  }

  /** Its disk goes too: what is started next is a new machine. */
  async destroy(): Promise<void> {
    await this.kill();
    rmSync(this.#path('disk'), { force: true });
  }

  async #start(): Promise<void> {
    const disk = this.#path('disk');
    rmSync(this.#path('console'), { force: true });
    if (!existsSync(disk)) {
      await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', this.#image.disk, disk]);
    }
    const mac = (network: number): string => `52:54:00:00:0${network}:0${this.#number}`;
    const argv = this.#surroundings.enterForLife([
      ...[
        'qemu-system-x86_64',
        '-nodefaults',
        '-display',
        'none',
        '-machine',
        'q35',
        '-smp',
        '1',
        '-m',
        '1024',
      ],
      ...['-accel', 'tcg,thread=multi', '-cpu', cpu],
      '-no-reboot',
      ...['-kernel', this.#image.kernel, '-initrd', this.#image.initrd],
      ...['-append', kernelArguments],
      // No disk of the host's is waited for: a killed machine has lost what it had not yet given to its disk, as always.
      ...['-drive', `file=${disk},if=virtio,cache=unsafe`],
      ...['-netdev', `user,id=nat,hostfwd=tcp:127.0.0.1:${this.#sshPort}-:22`],
      ...['-device', 'virtio-net-pci,netdev=nat,mac=52:54:00:00:00:01'],
      ...['-netdev', `tap,id=private,ifname=${Machine.tap(this.#number)},script=no,downscript=no`],
      ...['-device', `virtio-net-pci,netdev=private,mac=${mac(1)}`],
      ...['-device', 'virtio-rng-pci', '-serial', `file:${this.#path('console')}`],
    ]);
    const [program = '', ...args] = argv;
    this.#process = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  }

  async #waitForLogin(): Promise<void> {
    for (const since = Date.now(); ; await delay(200)) {
      // Each attempt to log in costs the emulated machine a second: it says when there is a point in it.
      if (this.#console().includes(saidWhenUp) && (await this.attempt('true')).status === 0) return;
      if (this.#process?.exitCode !== null)
        throw new Error(`${this.name}: qemu has ended\n${this.#consoleTail()}`);
      if (Date.now() - since > upWithinMs)
        throw new Error(`${this.name} did not come up\n${this.#consoleTail()}`);
    }
  }

  async #forgetConnection(): Promise<void> {
    const [nsenter = '', ...args] = this.#ssh();
    await attempt([nsenter, ...args.slice(0, -1), '-O', 'exit', ...args.slice(-1)]);
  }

  get #sshPort(): number {
    return 2200 + this.#number;
  }

  #ssh(): string[] {
    return this.#surroundings.enter([
      ...['ssh', '-q', '-i', this.#image.key, '-p', String(this.#sshPort), '-o', 'BatchMode=yes'],
      ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
      ...['-o', 'ConnectTimeout=10', '-o', 'ServerAliveInterval=5', '-o', 'ServerAliveCountMax=6'],
      // Emulated, each new connection takes seconds.
      ...['-o', 'KexAlgorithms=curve25519-sha256'],
      ...['-o', 'ControlMaster=auto', '-o', 'ControlPersist=60', '-o', `ControlPath=${this.#path('ssh')}`],
      'root@127.0.0.1',
    ]);
  }

  #path(kind: string): string {
    return join(this.#folder, `${this.name}.${kind}`);
  }

  /** What it has said since it was started. */
  #console(): string {
    return existsSync(this.#path('console')) ? readFileSync(this.#path('console'), 'utf8') : '';
  }

  #consoleTail(): string {
    return this.#console().split('\n').slice(-30).join('\n');
  }
}
