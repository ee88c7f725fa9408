/** Nodes of a cluster: hosts with a systemd, a cable and a store, on which the package is installed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Host } from './host.ts';

/** A node that is to be installed, with the store of all. */
async function bare(t: TestContext, number: number, store = sharedStore()): Promise<Host> {
  const host = await Host.withSystemd(t, `node-${number}`);
  writeFileSync(
    join(host.shared, 'weft.yaml'),
    `backend: { type: vxlan }\nstore: { type: file, path: /opt/store }\nunderlay: 192.168.77.0/24\n`,
  );
  await host.run(`mkdir -p /opt/store && mount --bind ${store} /opt/store`);
  return host;
}

/** Two of them, with a cable between. */
export async function pair(t: TestContext): Promise<readonly [Host, Host]> {
  const store = sharedStore();
  const hosts = [await bare(t, 1, store), await bare(t, 2, store)] as const;
  await hosts[0].plugInto(hosts[1]);
  for (const [index, host] of hosts.entries()) {
    await host.run(`ip address add 192.168.77.${index + 1}/24 dev eth0 && ip link set eth0 up`);
  }
  return hosts;
}

/** It goes when the process ends: agents write to it until their host is gone. */
function sharedStore(): string {
  const store = mkdtempSync(join(tmpdir(), 'weft-package-store-'));
  process.once('exit', () => rmSync(store, { recursive: true, force: true }));
  return store;
}

/** `folder`: an unpacked package. */
export const install = (host: Host, folder: string): Promise<string> =>
  host.run(`${folder}/install.sh --config ${host.shared}/weft.yaml`);
