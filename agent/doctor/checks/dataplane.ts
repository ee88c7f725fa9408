/** What the kernel has of weft's, against what it should have: `weftd plan` as findings. */
import { setTimeout as delay } from 'node:timers/promises';
import { PASSAGE_COMMENT } from '../../firewall/foreign.ts';
import { planHost } from '../../plan.ts';
import { type Check, type Finding, orOk, unknown } from '../finding.ts';

const MOST_LISTED = 8;

/** A device that is missing takes all its entries with it: the first lines name the cause. */
const listed = (steps: readonly string[]): readonly string[] =>
  steps.length <= MOST_LISTED
    ? steps
    : [...steps.slice(0, MOST_LISTED), `${steps.length - MOST_LISTED} more (weftd plan lists them)`];

/** A running agent repairs within this, and saves what it knows of peers. */
const PATIENCE_MS = 4_000;
const PERIOD_MS = 500;

type Place = Parameters<typeof planHost>[0];

/** What is pending now, and still so after a while. */
async function lastingPlan(
  place: Place,
  patienceMs: number,
): Promise<{ own: string[]; problems: readonly string[] }> {
  for (const sinceMs = performance.now(); ; await delay(PERIOD_MS)) {
    const { steps, problems } = await planHost(place);
    // Settings and other firewalls' chains have checks of their own.
    const own = steps.filter((step) => !step.startsWith('net/') && !step.includes(PASSAGE_COMMENT));
    const over = performance.now() - sinceMs >= patienceMs;
    if (over || own.length + problems.length === 0) return { own, problems };
  }
}

export const dataplane: Check = {
  name: 'dataplane',
  title: 'Dataplane',
  look: async ({ config, file, saved, unsaved, agent }) => {
    if (!saved) return unknown(unsaved);
    const runs = agent.kind === 'running';
    const { own, problems } = await lastingPlan({ config, file }, runs ? PATIENCE_MS : 0);
    return orOk(
      [
        ...listed(own).map(
          (found): Finding => ({
            severity: 'failed',
            found,
            wanted: runs
              ? 'repaired by weftd within a second; another program may undo it'
              : 'repaired by weftd',
            remedy: runs ? 'weftctl events shows repairs, and who undid them' : 'systemctl start weftd',
          }),
        ),
        ...problems.map((found): Finding => ({ severity: 'failed', found })),
      ],
      'devices, routes, neighbours, FDB entries, bridges and rules are as desired',
    );
  },
};
