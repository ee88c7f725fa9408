/** What the tests of real runtimes stand on: a lab, a network that offers capabilities, an image, a cgroup. */
import { readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { conflist } from '../../agent/conflist.ts';
import { Lab } from '../../lab/lab.ts';
import { labsFolder } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { identify, signalProcess } from '../../lab/processes.ts';
import { labName } from '../lab/ground.ts';
import { writeImage } from './image.ts';

const cgroups = '/sys/fs/cgroup';

export class RuntimeGround {
  readonly lab: Lab;
  /** The parent of every container's cgroup: they are not the lab's own, like the rest, but the machine's. */
  readonly cgroup: string;

  private constructor(lab: Lab) {
    this.lab = lab;
    this.cgroup = cgroupOf(lab.name);
  }

  /**
   * A lab of two nodes, each with `/run/image.tar`, whose name has that word and is this process's own. What test runs
   * that are dead left of theirs is removed first.
   */
  static async raise(word: string): Promise<RuntimeGround> {
    for (const left of deadLabs()) await raze(left);
    const name = labName(`rt-${word}`);
    const lab = await Lab.up({ name, nodes: 2 });
    try {
      const network = { ...conflist, plugins: [{ type: 'weft', capabilities }] };
      for (const node of lab.nodes) {
        writeFileSync(node.path('/etc/cni/net.d/10-weft.conflist'), JSON.stringify(network));
        await writeImage(node.path(archive), name);
      }
      return new RuntimeGround(lab);
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  raze(): Promise<void> {
    return raze(this.lab.name);
  }

  /** The node's leased subnet, as text. */
  async subnetOf(node: LabNode): Promise<string> {
    const file = await node.mustExec(['cat', '/run/weft/subnet.env']);
    // FLANNEL_SUBNET is the bridge's address in it.
    const [, prefix] = /^FLANNEL_SUBNET=(.*)\.1\/24$/m.exec(file) ?? [];
    if (prefix === undefined) throw new Error(`no subnet in ${file}`);
    return `${prefix}.0/24`;
  }

  /** What a web server at an address answers to a node that asks for its `/passwd`; empty if nobody does. */
  async page(from: LabNode, address: string, port: number): Promise<string> {
    const input = 'GET /passwd HTTP/1.0\r\n\r\n';
    const { stdout } = await from.exec(['busybox', 'nc', '-w', '2', address, String(port)], { input });
    return stdout;
  }

  /** What pods have left on a node, in words; empty if nothing. */
  async leftovers(node: LabNode): Promise<string[]> {
    const links = (await node.json(['ip', '-j', '-d', 'link', 'show', 'type', 'veth'])) as {
      ifname: string;
    }[];
    // The node's own cable to the underlay is a veth as well.
    const veths = links.map(({ ifname }) => ifname).filter((name) => name !== 'eth0');
    const files = ['ipam/weft', 'attachments', 'tombstones'].flatMap((folder) =>
      listNames(node.path(`/run/weft/${folder}`)).map((name) => `${folder}/${name}`),
    );
    return [...veths, ...files];
  }
}

export const archive = '/run/image.tar';

const capabilities = { portMappings: true, bandwidth: true, ips: true, mac: true };

const cgroupOf = (lab: string): string => `/weft-${lab}`;

/** Labs of this kind whose test process, which is in their name, has ended. */
const deadLabs = (): string[] =>
  listNames(labsFolder).filter((lab) => {
    const [, pid] = /^t(\d+)-rt-/.exec(lab) ?? [];
    return pid !== undefined && !identify(Number(pid));
  });

async function raze(lab: string): Promise<void> {
  await Lab.down(lab);
  const folders = ['.', ...readdirSync(cgroups)].map((tree) => join(cgroups, tree, cgroupOf(lab)));
  // Of a runtime that had crashed: its containers are in no namespace of the lab's, and bear no mark.
  await endProcesses(folders);
  for (const folder of folders) removeCgroup(folder);
}

/** A process leaves its cgroup when it is reaped, which may be a little after its end. */
async function endProcesses(folders: readonly string[]): Promise<void> {
  const left = () => new Set(folders.flatMap(processesIn));
  for (const since = Date.now(); left().size > 0 && Date.now() - since < 20_000; await delay(50)) {
    for (const pid of left()) {
      const found = identify(pid);
      if (found) signalProcess(found, 'SIGKILL');
    }
  }
}

function processesIn(folder: string): number[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
  const own = readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
  const entries = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...own, ...entries.flatMap(({ name }) => processesIn(join(folder, name)))];
}

/** Depth first, as `rmdir` wants it; nothing happens where there is none. */
function removeCgroup(folder: string): void {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(folder, entry.name));
  }
  rmdirSync(folder);
}

function listNames(folder: string): string[] {
  return statSync(folder, { throwIfNoEntry: false }) ? readdirSync(folder) : [];
}
