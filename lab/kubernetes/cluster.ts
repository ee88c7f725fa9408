/**
 * A Kubernetes cluster on one machine: the control plane on a host of the lab's underlay, and on each node containerd, a
 * kubelet and kube-proxy. There is no pod network until one is applied to it.
 */
import { join } from 'node:path';
import type { Family } from '../../inet/ip.ts';
import { findProgram } from '../../scripts/needs.ts';
import { makeCgroup } from '../cgroup.ts';
import { eachInParallel } from '../command.ts';
import { LabError } from '../errors.ts';
import { Lab } from '../lab.ts';
import { labFolder } from '../names.ts';
import { findProduct } from '../product.ts';
import { ensureCoredns, ensureKubernetes } from './binaries.ts';
import { ControlPlane } from './control-plane.ts';
import { writeImages } from './images.ts';
import type { ProxyMode } from './kubelet.ts';
import { Worker } from './worker.ts';

export interface ClusterOptions {
  readonly name?: string;
  /** Default 3. */
  readonly nodes?: number;
  /** Default IPv4 alone. The first one is the cluster's own: what nodes and Services have. */
  readonly families?: readonly Family[];
  /** Default nftables. */
  readonly proxyMode?: ProxyMode;
  /** Archives of images that every node has from the start, beside the lab's own. */
  readonly images?: readonly string[];
  readonly progress?: (step: string) => void;
}

export class Cluster {
  readonly lab: Lab;
  readonly controlPlane: ControlPlane;
  readonly workers: readonly Worker[];

  private constructor(request: { lab: Lab; programs: string }) {
    const { lab, programs } = request;
    const { topology } = lab.record;
    this.lab = lab;
    this.controlPlane = new ControlPlane({ topology, programs });
    const { files } = this.controlPlane;
    const { families } = topology;
    this.workers = lab.nodes.map((node) => new Worker({ node, programs, families, files }));
  }

  /** Resolves once every node has registered and has its subnets. Throws `LabError`; then nothing of it is left. */
  static async up(options: ClusterOptions = {}): Promise<Cluster> {
    const progress = options.progress ?? (() => {});
    const [programs, coredns] = [await ensureKubernetes(progress), await ensureCoredns(progress)];
    const { nodes, families, name } = options;
    const lab = await Lab.up({
      store: 'kubernetes',
      progress,
      ...(name ? { name } : {}),
      ...(nodes ? { nodes } : {}),
      ...(families ? { families } : {}),
    });
    try {
      const cluster = new Cluster({ lab, programs });
      await cluster.#start({ ...options, coredns });
      return cluster;
    } catch (error) {
      await lab.down();
      throw error;
    }
  }

  /** A cluster that is up. Throws `LabError` if there is none of that name. */
  static async open(name?: string): Promise<Cluster> {
    return new Cluster({ lab: Lab.open(name), programs: await ensureKubernetes() });
  }

  async down(): Promise<void> {
    await this.lab.down();
  }

  worker(name: string): Worker {
    const worker = this.workers.find(({ node }) => node.name === name);
    if (!worker) throw new LabError(`no node ${name} in the cluster`);
    return worker;
  }

  /** Path of the administrator's kubeconfig. Its server is on the lab's underlay: reach it from a node. */
  get kubeconfig(): string {
    return this.controlPlane.files.kubeconfig('admin');
  }

  async #start(options: ClusterOptions & { coredns: string }): Promise<void> {
    const { lab, controlPlane, workers } = this;
    const progress = options.progress ?? (() => {});
    const proxyMode = options.proxyMode ?? 'nftables';
    const { root } = findProduct();
    progress('control plane, containerd and images');
    for (const node of lab.nodes) makeCgroup(lab.name, node.name);
    const imagesFolder = join(labFolder(lab.name), 'images');
    const [own] = await Promise.all([
      writeImages(imagesFolder, {
        pause: join(root, 'dist/lib/pause'),
        busybox: findProgram('busybox') ?? 'busybox',
        coredns: options.coredns,
      }),
      controlPlane.prepare(),
    ]);
    const started = controlPlane.start();
    const runtimes = eachInParallel(workers, workers.length, async (worker) => {
      await worker.prepare({ proxyMode });
      await worker.containerd.start();
      for (const image of [...own, ...(options.images ?? [])]) await worker.importImage(image);
    });
    await settled([started, runtimes]);
    progress('kubelets and kube-proxies');
    await settled(
      workers.map(async (worker) => {
        await worker.kubelet.start();
        await worker.kubeProxy.start();
      }),
    );
    await controlPlane.routeToPods(lab.nodes);
  }
}

/** Waits for all, also when one fails, so that nothing goes on behind a teardown; throws the first failure. */
async function settled(work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}
