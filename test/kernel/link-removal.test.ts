/** Links go, one or many, with whoever else is removing; and nobody is told so before it is true. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import * as link from '../../kernel/link.ts';
import { GatheringRemover, type LinkRemover, waitingRemover } from '../../kernel/link-removal.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { type Netns, openNetns, within } from '../../kernel/netns.ts';
import * as newLink from '../../kernel/new-link.ts';

const names = { host: `weft-t-${process.pid}-rm`, pod: `weft-t-${process.pid}-rp` };
const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8' });

let host: Netns;
let pod: Netns;
let rtnl: Rtnl;
let podRtnl: Rtnl;
let gathering: GatheringRemover;

before(() => {
  for (const name of Object.values(names)) run('ip', 'netns', 'add', name);
  host = openNetns(`/run/netns/${names.host}`);
  pod = openNetns(`/run/netns/${names.pod}`);
  rtnl = within(host, openRtnl);
  podRtnl = within(pod, openRtnl);
  gathering = within(host, GatheringRemover.open);
  rtnl.execute([newLink.bridge({ name: 'br', mac: '02:00:00:00:00:01', index: 1000, up: true })]);
});

after(async () => {
  await gathering?.close();
  for (const closable of [rtnl, podRtnl, host, pod]) closable?.close();
  for (const name of Object.values(names)) run('ip', 'netns', 'del', name);
});

/** Veth pairs on the bridge, with their other ends in the pod; returns the host ends' indexes. */
function pairs(count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    const index = newLink.chooseIndex();
    const mac = (end: number) => `02:00:00:0${end}:00:${i.toString(16).padStart(2, '0')}`;
    const peer = { name: `p${i}`, mac: mac(1), mtuBytes: 1500, netnsFd: pod.fd };
    rtnl.execute([
      newLink.veth({ name: `h${i}`, mac: mac(2), mtuBytes: 1500, index, master: 1000, up: true, peer }),
    ]);
    return index;
  });
}

const inPod = (): string[] => link.links(podRtnl).map(({ name }) => name);

function behavesAsRemover(name: string, remover: () => LinkRemover): void {
  describe(name, () => {
    it('removes a link, and its other end is gone with it', async () => {
      await remover().remove(pairs(1));
      assert.deepEqual(inPod(), ['lo']);
    });

    it('removes many at once', async () => {
      await remover().remove(pairs(20));
      assert.deepEqual(inPod(), ['lo']);
    });

    it('is content with what is gone already', async () => {
      const [first = 0, ...others] = pairs(3);
      rtnl.execute([link.remove({ index: first })]);
      await remover().remove([first, ...others]);
      await remover().remove([first]);
      await remover().remove([]);
      assert.deepEqual(inPod(), ['lo']);
    });

    it('tells of a link that the kernel does not remove', async () => {
      await assert.rejects(remover().remove([1]), { code: 'ENOTSUP' });
      await remover().remove(pairs(1));
    });
  });
}

behavesAsRemover('a waiting remover', () => waitingRemover(rtnl));
behavesAsRemover('a gathering remover', () => gathering);

describe('a gathering remover, asked by many', () => {
  it('answers each when its own link is gone', async () => {
    const indexes = pairs(50);
    const present = (index: number) => link.linkByIndex(rtnl, index) !== undefined;
    const outlived = await Promise.all(
      indexes.map(async (index) => {
        await gathering.remove([index]);
        return present(index);
      }),
    );
    assert.deepEqual(
      outlived,
      indexes.map(() => false),
    );
    assert.deepEqual(inPod(), ['lo']);
  });

  it('refuses one and not the others', async () => {
    const [first = 0, second = 0, third = 0] = pairs(3);
    const asked = [[first], [second], [1], [third], []];
    const outcomes = await Promise.allSettled(asked.map((indexes) => gathering.remove(indexes)));
    const refused = outcomes.map(({ status }) => status === 'rejected');
    assert.deepEqual(refused, [false, false, true, false, false]);
    assert.deepEqual(inPod(), ['lo']);
  });
});
