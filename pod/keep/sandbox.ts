/** The actions that concern a pod's sandbox: the pause container and its network. */
import { randomBytes } from 'node:crypto';
import type { Order } from '../control/files.ts';
import { withoutLength } from '../control/status.ts';
import { startSandbox } from '../docker/containers.ts';
import { DockerAway } from '../docker/daemon.ts';
import { ensureImage, ensurePauseImage } from '../docker/image.ts';
import { attach, detach, networkName } from '../network/attach.ts';
import { writeNames } from '../network/names.ts';
import type { AttachmentMemory } from '../plan/memory.ts';
import type { Observed } from '../plan/observed.ts';
import type { Desk } from './desk.ts';

const patience = { leastMs: 1_000, mostMs: 30_000 };

/** Does it, and takes down what keeps it from being done. */
async function attempt(desk: Desk, reason: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
    desk.memory = { ...desk.memory, trouble: undefined };
  } catch (error) {
    if (error instanceof DockerAway) throw error;
    const { memory } = desk;
    desk.memory = { ...memory, trouble: desk.trouble(reason, error, memory.trouble, patience) };
  }
}

/** `trouble` stays until the pod is on its network. */
export async function makeSandbox(desk: Desk, { pod, uid, pauseImage }: Order): Promise<void> {
  const { docker, memory } = desk;
  try {
    if (pauseImage !== undefined) await ensureImage(docker, { image: pauseImage, policy: 'IfNotPresent' });
    const image = pauseImage ?? (await ensurePauseImage(docker));
    await startSandbox(docker, { pod, uid, image, attempt: randomBytes(4).toString('hex') });
    desk.tell('pause container started');
  } catch (error) {
    if (error instanceof DockerAway) throw error;
    desk.memory = { ...memory, trouble: desk.trouble('SandboxFailed', error, memory.trouble, patience) };
  }
}

/** What an ADD may have left that was not heard of any more is taken away first. */
export const attachSandbox = (desk: Desk, { pod, uid }: Order, sandbox: Observed): Promise<void> =>
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
      };
      desk.tell(`on the network ${attachment.network}: ${addresses.map(withoutLength).join(', ')}`);
    } catch (error) {
      await undo(desk, attachment, sandbox);
      throw error;
    }
  });

export const detachSandbox = (
  desk: Desk,
  attachment: AttachmentMemory,
  sandbox: Observed | undefined,
): Promise<void> =>
  attempt(desk, 'NetworkNotReleased', async () => {
    await undo(desk, attachment, sandbox);
    desk.tell('off the network');
  });

async function undo(desk: Desk, attachment: AttachmentMemory, sandbox: Observed | undefined): Promise<void> {
  await detach({ attachment, sandbox, env: desk.env });
  const attachments = desk.memory.attachments.filter(({ sandboxId }) => sandboxId !== attachment.sandboxId);
  desk.memory = { ...desk.memory, attachments };
}
