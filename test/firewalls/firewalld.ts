/** firewalld on a node of the lab, with a bus and a configuration of its own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Outcome } from '../../lab/command.ts';
import type { LabNode } from '../../lab/node.ts';
import { eventually } from '../lab/ground.ts';

const busConfiguration = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`;

export class Firewalld {
  readonly #node: LabNode;
  readonly #stop = new AbortController();
  readonly #daemons: Promise<unknown>[] = [];

  private constructor(node: LabNode) {
    this.#node = node;
  }

  /** Resolves when its rules stand. */
  static async start(node: LabNode, backend: 'nftables' | 'iptables'): Promise<Firewalld> {
    const firewalld = new Firewalld(node);
    writeFileSync(node.path('/run/bus.conf'), busConfiguration);
    firewalld.#run('dbus-daemon', '--config-file=/run/bus.conf', '--nofork', '--nopidfile');
    await eventually(() => node.mustExec(['test', '-S', '/run/bus']));
    mkdirSync(node.path('/run/firewalld-etc'), { recursive: true });
    writeFileSync(node.path('/run/firewalld-etc/firewalld.conf'), `FirewallBackend=${backend}\n`);
    firewalld.#run(
      ...['firewalld', '--nofork', '--nopid', '--system-config', '/run/firewalld-etc'],
      ...['--log-file', '/run/firewalld.log'],
    );
    await eventually(async () => {
      const { status, stderr } = await firewalld.command('--state');
      if (status !== 0) throw new Error(`firewalld: ${stderr}`);
    });
    return firewalld;
  }

  command(...options: string[]): Promise<Outcome> {
    return this.#node.exec(['firewall-cmd', ...options], { env: environment() });
  }

  /** Its rules stay. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#daemons);
  }

  #run(...argv: string[]): void {
    const running = this.#node.exec(argv, { signal: this.#stop.signal, env: environment() });
    this.#daemons.push(
      running.catch((error: unknown) => {
        if (!this.#stop.signal.aborted) throw error;
      }),
    );
  }
}

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/run/bus',
});
