/** The agent: whether it runs, and what it says of itself. */
import { quoted } from '../../../problem/printable.ts';
import { type Check, type Finding, ok, unknown } from '../finding.ts';

export const agent: Check = {
  name: 'agent',
  title: 'Agent',
  look: ({ agent: answer, saved, config }) => {
    if (answer.kind === 'running') {
      const { version, ready } = answer.value;
      return ready ? ok(`weft ${version}, ready`) : notReady(version);
    }
    if (config.listen === undefined) return unknown(answer.reason);
    return {
      severity: saved ? 'failed' : 'warning',
      found: saved ? answer.reason : `${answer.reason}; it has not run here yet`,
      wanted: 'weftd running',
      remedy: 'systemctl start weftd',
    };
  },
};

const notReady = (version: string): Finding => ({
  severity: 'failed',
  found: `weft ${version}, not ready: the lines of "Health" say why`,
  wanted: 'ready',
});

/** What the agent reports: its own words, with its remedy. */
export const health: Check = {
  name: 'health',
  title: 'Health',
  look: ({ agent: answer }) => {
    if (answer.kind !== 'running') return unknown('not known while weftd does not answer');
    const { problems } = answer.value;
    if (problems.length === 0) return ok('the agent reports no problem');
    return problems.map(
      ({ severity, code, text }): Finding => ({
        severity: severity === 'error' ? 'failed' : 'warning',
        subject: code,
        found: text,
      }),
    );
  },
};

/** A lease that was refused, lost or given back; one that expires. */
export const lease: Check = {
  name: 'lease',
  title: 'Lease',
  look: ({ agent: answer, saved, unsaved }) => {
    if (!saved) return unknown(unsaved);
    const subnets = saved.saved.lease.key.replaceAll('-', '/').replaceAll('&', ', ');
    const phase = answer.kind === 'running' ? answer.value.lease?.phase : undefined;
    if (phase === undefined || phase === 'held') return ok(`${subnets}${phase ? `, ${phase}` : ''}`);
    const reason = answer.kind === 'running' ? answer.value.lease?.reason : undefined;
    return {
      severity: phase === 'away' ? 'warning' : 'failed',
      found: `${subnets}: ${phase === 'away' ? 'not confirmed' : phase}${reason ? `, ${reason}` : ''}`,
      wanted: 'a lease that the store confirms',
      remedy: `weftctl node list shows who has ${quoted(saved.saved.lease.key)}`,
    };
  },
};
