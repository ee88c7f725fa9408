import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Probe, ProbeKind } from '../../../pod/manifest/pod.ts';
import { after, beginning, condemns, isDue, type ProbeState } from '../../../pod/probe/machine.ts';

const probe = (over: Partial<Probe> = {}): Probe => ({
  handler: { kind: 'tcp', host: undefined, port: 80 },
  initialDelaySeconds: 0,
  periodSeconds: 10,
  timeoutSeconds: 1,
  successThreshold: 1,
  failureThreshold: 3,
  graceSeconds: undefined,
  ...over,
});

/** The results after each outcome: `+` success, `-` failure, `?` unknown. */
function results(kind: ProbeKind, outcomes: string, over: Partial<Probe> = {}): string {
  const words = { '+': 'success', '-': 'failure', '?': 'unknown' } as const;
  const signs = { success: '+', failure: '-', unknown: '?' };
  let state: ProbeState = beginning(kind);
  return [...outcomes]
    .map((sign) => {
      state = after(state, words[sign as keyof typeof words], { kind, probe: probe(over) });
      return `${signs[state.result]}${condemns(kind, state) ? '!' : ''}`;
    })
    .join(' ');
}

describe('probe', () => {
  it('liveness, failures in a row reach the threshold: the container is ended and not probed any more', () => {
    assert.equal(results('liveness', '+--+--?-+'), '+ + + + + + + -! -!');
  });

  it('readiness: changes at its thresholds, both ways', () => {
    assert.equal(
      results('readiness', '+++--++', { successThreshold: 2, failureThreshold: 2 }),
      '- + + + - - +',
    );
  });

  it('startup: unknown until its first success, then it ends', () => {
    assert.equal(results('startup', '--+---'), '? ? + + + +');
    assert.equal(results('startup', '---'), '? ? -!');
  });

  it('first probe: after the initial delay, and after startup for liveness and readiness', () => {
    const due = (
      kind: ProbeKind,
      of: { runningMs: number; started: boolean; initialDelaySeconds?: number },
    ) =>
      isDue(beginning(kind), {
        kind,
        probe: probe({ initialDelaySeconds: of.initialDelaySeconds ?? 0 }),
        runningMs: of.runningMs,
        started: of.started,
      });
    assert.equal(due('liveness', { runningMs: 4_999, started: true, initialDelaySeconds: 5 }), false);
    assert.equal(due('liveness', { runningMs: 5_000, started: true, initialDelaySeconds: 5 }), true);
    assert.equal(due('liveness', { runningMs: 0, started: false }), false);
    assert.equal(due('readiness', { runningMs: 0, started: false }), false);
    assert.equal(due('startup', { runningMs: 0, started: false }), true);
    assert.equal(due('startup', { runningMs: 0, started: true }), false);
  });
});
