/** What goes on while a node is upgraded: pings every millisecond, and the plugin called without a pause. */

import type { Host } from './host.ts';
import { callPlugin } from './plugin.ts';

export interface LoadResult {
  /** Pings until the last that was answered: those after it were under way when ping was told to stop. */
  readonly sent: number;
  readonly lost: number;
  /** Pairs of ADD and DEL that succeeded. */
  readonly calls: number;
  readonly failures: readonly string[];
}

export class Load {
  readonly #host: Host;

  constructor(host: Host) {
    this.#host = host;
  }

  async start(pings: { namespace: string; target: string }): Promise<void> {
    await this.#host.run(`
      mkdir /run/load
      cat >/run/load/calls <<'SCRIPT'
        ip netns add calls
        while [ ! -e /run/load/stop ]; do
          for verb in ADD DEL; do
            said=$(${callPlugin({ verb: '$verb', container: 'calls', netns: '/run/netns/calls' })} 2>&1) || echo "$verb: $said"
          done
          echo done
        done
        ip netns delete calls
        echo end
SCRIPT
      setsid ip netns exec ${pings.namespace} ping -n -i 0.001 ${pings.target} >/run/load/pings 2>&1 &
      echo $! >/run/load/ping.pid
      setsid bash /run/load/calls >/run/load/called 2>&1 &
      until grep -q done /run/load/called; do sleep 0.05; done`);
  }

  async stop(): Promise<LoadResult> {
    const text = await this.#host.run(`
      touch /run/load/stop
      until tail -n 1 /run/load/called | grep -qx end; do sleep 0.05; done
      kill -INT "$(cat /run/load/ping.pid)"
      until grep -q transmitted /run/load/pings; do sleep 0.05; done
      grep -o 'icmp_seq=[0-9]*' /run/load/pings
      cat /run/load/called`);
    const answered = new Set([...text.matchAll(/^icmp_seq=(\d+)$/gm)].map((match) => Number(match[1])));
    const sent = [...answered].reduce((last, sequence) => Math.max(last, sequence), 0);
    const lines = text.split('\n');
    return {
      sent,
      lost: sent - answered.size,
      calls: lines.filter((line) => line === 'done').length,
      failures: lines.filter((line) => /^(ADD|DEL): /.test(line)),
    };
  }
}
