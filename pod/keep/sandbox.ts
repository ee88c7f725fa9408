/** The actions that concern a pod's sandbox: the pause container and its network. */
import { randomBytes } from 'node:crypto';
import { reasonOf } from '../../problem/reason.ts';
import type { Order } from '../control/files.ts';
import { withoutLength } from '../control/status.ts';
import { DockerUnreachable } from '../docker/daemon.ts';
import { ensureImage, ensurePauseImage } from '../docker/image.ts';
import { startSandbox } from '../docker/sandbox.ts';
import { PodError } from '../errors.ts';
import { attach, detach, networkName } from '../network/attach.ts';
import { writeNames } from '../network/names.ts';
import type { AttachmentMemory, TroubleReason } from '../plan/memory.ts';
import type { Observed } from '../plan/observed.ts';
import type { Desk } from './desk.ts';

const patience = { leastMs: 1_000, mostMs: 30_000 };

/** What came of an action: after a failure the pass ends, and the pod is planned again once `trouble` allows it. */
export type Outcome = 'done' | 'failed';

/** Does it; a failure is recorded as the pod's trouble. */
async function attempt(desk: Desk, reason: TroubleReason, work: () => Promise<void>): Promise<Outcome> {
  const before = desk.memory.trouble?.reason === reason ? desk.memory.trouble : undefined;
  try {
    await work();
    return 'done';
  } catch (error) {
    if (error instanceof DockerUnreachable) throw error;
    desk.memory = { ...desk.memory, trouble: desk.trouble(reason, error, before, patience) };
    return 'failed';
  }
}

/** The trouble stays until the pod is on its network: a sandbox that was made may still not be attached. */
export const makeSandbox = (desk: Desk, { pod, uid, pauseImage }: Order): Promise<Outcome> =>
  attempt(desk, 'SandboxFailed', async () => {
    const { docker } = desk;
    if (pauseImage !== undefined) await ensureImage(docker, { image: pauseImage, policy: 'IfNotPresent' });
    const image = pauseImage ?? (await ensurePauseImage(docker));
    await startSandbox(docker, { pod, uid, image, attempt: randomBytes(4).toString('hex') });
    desk.tell('pause container started');
  });

/** What an ADD of the past may have left is deleted first. */
export const attachSandbox = (desk: Desk, { pod, uid }: Order, sandbox: Observed): Promise<Outcome> =>
  attempt(desk, 'NetworkNotReady', async () => {
    const { docker, env } = desk;
    for (const attachment of desk.memory.attachments) await undo(desk, attachment, sandbox);
    const attachment: AttachmentMemory = {
      sandboxId: sandbox.id,
      startedAt: sandbox.startedAt,
      network: await networkName(env),
      complete: false,
      addresses: [],
    };
    desk.memory = { ...desk.memory, attachments: [attachment] };
    try {
      const addresses = await attach({ pod, uid, sandbox, addresses: desk.memory.addresses, env });
      await writeNames(docker, { pod, sandbox, addresses: addresses.map(withoutLength) });
      desk.memory = {
        ...desk.memory,
        attachments: [{ ...attachment, complete: true, addresses }],
        addresses,
        trouble: undefined,
      };
      desk.tell(`on the network ${attachment.network}: ${addresses.map(withoutLength).join(', ')}`);
    } catch (error) {
      await undo(desk, attachment, sandbox).catch((failure: unknown) => {
        throw failure instanceof DockerUnreachable ? failure : bothOf(error, failure);
      });
      throw error;
    }
  });

/** The ADD's failure is what an operator has to know first. */
const bothOf = (error: unknown, failure: unknown): PodError =>
  new PodError('network', `${reasonOf(error)}; rollback failed: ${reasonOf(failure)}`, { cause: error });

export const detachSandbox = (
  desk: Desk,
  attachment: AttachmentMemory,
  sandbox: Observed | undefined,
): Promise<Outcome> =>
  attempt(desk, 'NetworkNotReleased', async () => {
    await undo(desk, attachment, sandbox);
    const { trouble } = desk.memory;
    if (trouble?.reason === 'NetworkNotReleased') desk.memory = { ...desk.memory, trouble: undefined };
    desk.tell('off the network');
  });

async function undo(desk: Desk, attachment: AttachmentMemory, sandbox: Observed | undefined): Promise<void> {
  await detach({ attachment, sandbox, env: desk.env });
  const attachments = desk.memory.attachments.filter(({ sandboxId }) => sandboxId !== attachment.sandboxId);
  desk.memory = { ...desk.memory, attachments };
}
