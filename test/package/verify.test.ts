/** scripts/verify on a cluster of the package's: whole, and broken in ways of which it says the pair and the reason. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Host, Outcome } from './ground/host.ts';
import { install, pair } from './ground/nodes.ts';
import { Packages } from './ground/package.ts';

const script = fileURLToPath(new URL('../../../scripts/verify', import.meta.url));
const packages = new Packages();

/** The script, with a stand-in of ssh that enters the hosts by their names. */
async function verify(hosts: readonly Host[]): Promise<Outcome> {
  const [first] = hosts;
  assert.ok(first);
  const entries = await Promise.all(
    hosts.map(async (host, index) => `node-${index + 1}) exec ${await host.prefix()} "$@" ;;`),
  );
  const ssh = join(first.shared, 'ssh');
  // As ssh does, the words are put together for a shell.
  writeFileSync(
    ssh,
    `#!/bin/bash\nnode=$1\nshift\nset -- bash -c "$*"\ncase $node in\n${entries.join('\n')}\nesac\n`,
    { mode: 0o755 },
  );
  const child = spawn(script, ['node-1', 'node-2'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, WEFT_SSH: ssh },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [status] = await once(child, 'close');
  return { status, output };
}

async function cluster(t: TestContext): Promise<readonly [Host, Host]> {
  const hosts = await pair(t);
  for (const host of hosts) await install(host, packages.original);
  return hosts;
}

test('every pod reaches every pod, and nothing is left', async (t) => {
  const hosts = await cluster(t);
  const { status, output } = await verify(hosts);
  assert.equal(status, 0, output);
  assert.match(output, /every pod reaches every pod, with packets of 1450 bytes too/);
  for (const host of hosts) assert.equal(await host.run('ip netns list'), '');
});

const faults: readonly { what: string; on: number; rule: string; says: RegExp }[] = [
  {
    what: 'a firewall drops the tunnel',
    on: 2,
    rule: 'udp dport 8472 drop',
    says: /^node-1 \([0-9.]+\) -> node-2 \([0-9.]+\): .* not the pod behind it: .*UDP port 8472\?$/m,
  },
  {
    what: 'the network between the nodes carries less than it says',
    on: 2,
    rule: 'udp dport 8472 meta length > 1200 drop',
    says: /^node-1 \([0-9.]+\) -> node-2 \([0-9.]+\): small packets arrive, those of 1450 bytes do not/m,
  },
  {
    what: 'the nodes do not reach each other',
    on: 2,
    rule: 'iifname eth0 drop',
    says: /^node-1 \([0-9.]+\) -> node-2 \([0-9.]+\): .*does not reach 192\.168\.77\.2, the other node's address/m,
  },
];

for (const { what, on, rule, says } of faults) {
  test(`named with its reason: ${what}`, async (t) => {
    const hosts = await cluster(t);
    await hosts[on - 1]?.run(
      `nft 'table inet fault { chain input { type filter hook input priority -300; ${rule}; }; }'`,
    );
    const { status, output } = await verify(hosts);
    assert.equal(status, 1, output);
    assert.match(output, says);
  });
}
