/**
 * Pods in a virtual machine: by containerd, which reads the CNI configuration; by Docker, whose containers are
 * handed to
 * the plugin; and by weft itself, which makes them on Docker.
 */
import type { Machine } from './machine.ts';
import { outsideAddress, outsidePort } from './network.ts';

export interface Pod {
  readonly name: string;
  readonly machine: Machine;
  readonly address: string;
  /** Runs a program of busybox in it. */
  readonly exec: (command: string) => Promise<string>;
}

/** What a container does: nothing, until it is told to end (else a machine's shutdown waits for it 90 seconds). */
const idle = ['/bin/busybox', 'sh', '-c', 'trap exit TERM; /bin/busybox sleep 100000 & wait'];
const idleShell = idle.map((word) => `'${word}'`).join(' ');

/** What pods are made of: busybox, as an image in both runtimes. */
export async function makeImage(machine: Machine): Promise<void> {
  await machine.run(`
    cd "$(mktemp -d)" && mkdir -p tree/bin && cp /bin/busybox tree/bin/ && ln -s busybox tree/bin/sh
    tar -C tree -cf layer.tar .
    layer=sha256:$(sha256sum layer.tar | cut -c 1-64)
    echo '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["'$layer'"]}}' >config.json
    echo '[{"Config":"config.json","RepoTags":["docker.io/library/busybox:latest"],"Layers":["layer.tar"]}]' >manifest.json
    tar -cf image.tar config.json manifest.json layer.tar
    ctr image import image.tar >/dev/null
    docker load -q -i image.tar >/dev/null`);
}

export async function containerdPod(machine: Machine, name: string): Promise<Pod> {
  await machine.run(`ctr run -d --cni docker.io/library/busybox:latest ${name} ${idleShell}`);
  const exec = (command: string): Promise<string> =>
    machine.run(`ctr task exec --exec-id x$RANDOM ${name} /bin/busybox ${command}`);
  return { name, machine, address: await addressIn(exec), exec };
}

export async function dockerPod(machine: Machine, name: string): Promise<Pod> {
  await machine.run(`
    docker run -d --network none --name ${name} busybox ${idleShell} >/dev/null
    pid=$(docker inspect -f '{{.State.Pid}}' ${name})
    ${callPlugin('ADD', name, '/proc/$pid/ns/net')} >/dev/null`);
  const exec = (command: string): Promise<string> =>
    machine.run(`docker exec ${name} /bin/busybox ${command}`);
  return { name, machine, address: await addressIn(exec), exec };
}

/** A Pod manifest, applied; the agent keeps it. */
export async function keptPod(machine: Machine, name: string): Promise<Pod> {
  const manifest = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'main',
          image: 'busybox:latest',
          imagePullPolicy: 'Never',
          command: idle,
        },
      ],
    },
  };
  await machine.run(`weftctl pod apply -f - <<'EOF'\n${JSON.stringify(manifest)}\nEOF`);
  const exec = (command: string): Promise<string> =>
    machine.run(`docker exec "$(${containerOf(name, 'app')})" /bin/busybox ${command}`);
  return { name, machine, address: await addressIn(exec), exec };
}

/** A shell command that prints the id of a container of such a pod's. */
export const containerOf = (pod: string, role: 'sandbox' | 'app'): string =>
  `docker ps -q --filter label=weft.pod=default_${pod} --filter label=weft.role=${role}`;

/** A shell command that runs the plugin as a runtime does. */
export const callPlugin = (verb: 'ADD' | 'DEL', container: string, netns: string): string =>
  `env CNI_COMMAND=${verb} CNI_CONTAINERID=${container} CNI_NETNS=${netns} CNI_IFNAME=eth0 CNI_PATH=/opt/cni/bin \
    /opt/cni/bin/weft <<<'{"cniVersion":"1.0.0","name":"weft","type":"weft"}'`;

const addressIn = async (exec: Pod['exec']): Promise<string> => {
  const text = await exec('ip -4 -o addr show eth0');
  const address = /inet ([0-9.]+)\//.exec(text)?.[1];
  if (!address) throw new Error(`a pod has no address: ${text}`);
  return address;
};

/** Throws, naming the address, if pings are not answered. */
export async function mustPing(from: Pod, addresses: readonly string[]): Promise<void> {
  const each =
    `for a in ${addresses.join(' ')}; do /bin/busybox ping -q -c 2 -W 5 $a >/dev/null || { ` +
    `echo $a; break; }; done`;
  const lost = await from.exec(`sh -c '${each}'`);
  if (lost !== '') throw new Error(`${from.name} (${from.address}) does not reach ${lost}`);
}

/** What a server outside the cluster says to a pod. */
export const askOutside = (pod: Pod): Promise<string> =>
  pod.exec(`wget -qO- http://${outsideAddress}:${outsidePort}/`);
