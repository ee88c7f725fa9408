/** The actions that concern a pod's containers: start, with its hook; end, with its hook. */

import { hostname } from 'node:os';
import { deadlineSignal } from '../../clock/after.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Order } from '../control/files.ts';
import { withoutLength } from '../control/status.ts';
import { createContainer } from '../docker/containers.ts';
import { DockerUnreachable, isAbort } from '../docker/daemon.ts';
import { ensureImage } from '../docker/image.ts';
import { stopContainer } from '../docker/stop.ts';
import { PodError, type PodErrorCode } from '../errors.ts';
import type { PodFacts } from '../manifest/fields.ts';
import { gatewayOf } from '../network/gateway.ts';
import { afterRestart, firstDelayMs, longestDelayMs } from '../plan/backoff.ts';
import { fresh } from '../plan/memory.ts';
import type { Action } from '../plan/situation.ts';
import { ask } from '../probe/ask.ts';
import type { Desk } from './desk.ts';

const patience = { leastMs: firstDelayMs, mostMs: longestDelayMs };

const titles = { init: 'init container', sidecar: 'sidecar', app: 'container' } as const;

/** In the kubelet's words. */
const reasons: Readonly<Partial<Record<PodErrorCode, string>>> = {
  image: 'ErrImagePull',
  config: 'CreateContainerConfigError',
};
const otherReason = 'CreateContainerError';

/** The exit status of a container that could not be started, as in the kubelet. */
const CANNOT_RUN = 128;

export async function startContainer(
  desk: Desk,
  order: Order,
  action: Extract<Action, { kind: 'start' }>,
  interrupt: AbortSignal,
): Promise<void> {
  const { container, role, sandbox, attempt, again } = action;
  const { docker } = desk;
  const known = desk.container(container.name);
  const backoff = again ? afterRestart(known?.backoff, Date.now()) : known?.backoff;
  const making = fresh({ attempt, sandboxId: sandbox.id, backoff });
  desk.setContainer(container.name, { ...making, trouble: known?.trouble });
  let id: string;
  try {
    const progress = (text: string) => desk.tell(text);
    await ensureImage(docker, {
      image: container.image,
      policy: container.pullPolicy,
      progress,
      signal: interrupt,
    });
    const { volumesDir, subpathsDir } = desk.files;
    id = await createContainer(docker, {
      facts: factsOf(desk, order),
      container,
      role,
      sandbox,
      attempt,
      volumesDir,
      subpathsDir,
    });
  } catch (error) {
    if (error instanceof DockerUnreachable || isAbort(error)) throw error;
    const reason = error instanceof PodError ? (reasons[error.code] ?? otherReason) : otherReason;
    const trouble = desk.trouble(reason, error, known?.trouble, patience);
    desk.setContainer(container.name, { ...making, trouble });
    return;
  }
  const made = { ...making, id };
  desk.setContainer(container.name, made);
  try {
    await docker.askIfThere(`start the container ${container.name}`, (api) => api.getContainer(id).start());
  } catch (error) {
    if (error instanceof DockerUnreachable) throw error;
    const message = reasonOf(error);
    desk.tell(message);
    const exit = { code: CANNOT_RUN, atMs: Date.now(), reason: 'StartError', message };
    desk.setContainer(container.name, { ...made, exit });
    return;
  }
  desk.tell(`${titles[role]} ${container.name} started`);
  const started = container.probes.startup === undefined;
  const ready = started && container.probes.readiness === undefined;
  if (container.postStart) {
    const { address } = addressOf(desk);
    const asked = {
      docker,
      id,
      address,
      handler: container.postStart,
      timeoutMs: undefined,
      signal: interrupt,
    };
    try {
      await ask(asked);
    } catch (error) {
      if (error instanceof DockerUnreachable || interrupt.aborted) throw error;
      const reason = `postStart hook failed: ${reasonOf(error)}`;
      desk.tell(`ending container ${container.name}: ${reason}`);
      desk.setContainer(container.name, { ...made, condemned: { reason, graceSeconds: undefined } });
      return;
    }
  }
  desk.setContainer(container.name, { ...made, started, ready });
}

function addressOf(desk: Desk): { address: string; addresses: string[] } {
  const attachment = desk.memory.attachments.find(({ complete }) => complete);
  const addresses = attachment?.addresses.map(withoutLength) ?? [];
  return { address: addresses[0] ?? '', addresses };
}

export function factsOf(desk: Desk, { pod, uid }: Order): PodFacts {
  const { address, addresses } = addressOf(desk);
  return { pod, uid, addresses, nodeName: hostname(), hostAddress: gatewayOf(address) };
}

/** A hook may use all of the grace period; the container still has this much. */
const leastGraceMs = 2_000;

/**
 * preStop, the signal, SIGKILL when the grace period has expired; a container that is already being ended has the
 * rest of it.
 *
 * @throws what `interrupt` says, when it fires
 */
export async function endContainer(
  desk: Desk,
  action: Extract<Action, { kind: 'stop' }>,
  interrupt: AbortSignal,
): Promise<void> {
  const { container, graceSeconds, reason } = action;
  const { id, name, stop } = container;
  const known = desk.container(name);
  if (known?.id === id && !known.condemned) {
    desk.setContainer(name, { ...known, condemned: { reason, graceSeconds: undefined }, ready: false });
  }
  const { stopping } = desk.memory;
  const begun = stopping[id];
  const sinceMs = Math.min(begun ?? Date.now(), Date.now());
  const graceMs = graceSeconds * 1000;
  const leftMs = () => sinceMs + graceMs - Date.now();
  if (begun === undefined) {
    desk.tell(`ending container ${name}: ${reason}`);
    desk.memory = { ...desk.memory, stopping: { ...stopping, [id]: sinceMs } };
    if (stop.preStop && graceMs > 0) await runPreStop(desk, action, { timeoutMs: leftMs(), interrupt });
  }
  const patienceMs = graceMs === 0 ? 0 : Math.max(leftMs(), leastGraceMs);
  await stopContainer(desk.docker, { id, graceMs: patienceMs, interrupt });
}

/** Its failure does not keep the container. */
async function runPreStop(
  desk: Desk,
  { container }: Extract<Action, { kind: 'stop' }>,
  of: { timeoutMs: number; interrupt: AbortSignal },
): Promise<void> {
  const { id, name, stop } = container;
  if (!stop.preStop) return;
  const over = AbortSignal.any([of.interrupt, deadlineSignal(of.timeoutMs)]);
  try {
    await ask({
      docker: desk.docker,
      id,
      address: addressOf(desk).address,
      handler: stop.preStop,
      timeoutMs: of.timeoutMs,
      signal: over,
    });
  } catch (error) {
    of.interrupt.throwIfAborted();
    if (error instanceof DockerUnreachable) throw error;
    desk.tell(
      `preStop hook of container ${name} failed: ${over.aborted ? 'grace period expired' : reasonOf(error)}`,
    );
  }
}
