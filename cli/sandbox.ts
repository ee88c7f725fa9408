/** `weftctl sandbox`: a network namespace of this machine as a pod, created as by a container runtime. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { type OutputOptions, outputOption, print, withExamples } from './output.ts';
import { UsageError } from './usage-error.ts';

export function describeSandbox(sandbox: Command): void {
  sandbox.description(
    'A network namespace as a pod: made by this machine\'s CNI configuration, entered with "ip netns exec NAME".',
  );
  withExamples(
    sandbox.command('add <name>').addOption(outputOption()),
    'weftctl sandbox add a && ip netns exec a ping 10.244.2.2',
  )
    .description('makes it and prints its addresses, a line each')
    .action(async (name: string, { output }: OutputOptions) => {
      if (existsSync(pathOf(name))) throw new UsageError(`${name} exists: weftctl sandbox rm ${name}`);
      const { runtime, network } = await runtimeHere();
      ip('netns', 'add', name);
      try {
        const { ips } = await runtime.add(network, attachmentOf(name));
        const addresses = (ips as { address: string }[]).map(({ address }) => address.replace(/\/.*/, ''));
        await print(output, { name, addresses }, () => `${addresses.join('\n')}\n`);
      } catch (error) {
        // As a runtime does: a failed ADD is followed by a DEL.
        await runtime.del(network, attachmentOf(name)).finally(() => ip('netns', 'delete', name));
        throw error;
      }
    });
  withExamples(sandbox.command('rm <name>'), 'weftctl sandbox rm a')
    .description('takes it away; fine if there is none')
    .action(async (name: string) => {
      const { runtime, network } = await runtimeHere();
      await runtime.del(network, attachmentOf(name));
      if (existsSync(pathOf(name))) ip('netns', 'delete', name);
    });
}

const pathOf = (name: string): string => `/run/netns/${name}`;
const attachmentOf = (name: string) => ({
  containerId: `sandbox-${name}`,
  netns: existsSync(pathOf(name)) ? pathOf(name) : '',
  ifname: 'eth0',
});

async function runtimeHere() {
  const { networkOfHost, runtimeOfHost } = await import('../libcni/host.ts');
  return { network: await networkOfHost(process.env), runtime: runtimeOfHost(process.env) };
}

function ip(...args: string[]): void {
  const child = spawnSync('ip', args, { encoding: 'utf8' });
  if (child.error) throw new UsageError(`ip: ${child.error.message}: install the package iproute2`);
  if (child.status !== 0) throw new UsageError(`ip ${args.join(' ')}: ${child.stderr.trim()}`);
}
