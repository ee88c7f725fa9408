import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentError } from '../../../agent/errors.ts';
import type { Underlay } from '../../../agent/underlay/choose.ts';
import { FollowedUnderlay } from '../../../agent/underlay/follow.ts';
import { formatIp, type Ip, ip } from '../../../inet/ip.ts';

const at = (address: string): Underlay => ({
  name: 'eth0',
  index: 2,
  mtuBytes: 1500,
  addresses: [{ address: ip(address), length: 24 }],
  sources: [ip(address)],
  publicIps: [ip(address)],
  egress: [],
  warnings: [],
});

/** A host whose underlay a test sets; what was asked for is recorded. */
async function followed(first: string | Error, known: string[] = []) {
  const host = { now: 0, found: first as string | Error, asked: [] as string[][], chosen: [] as string[] };
  const underlay = await FollowedUnderlay.start({
    find: async (addresses: readonly Ip[]) => {
      host.asked.push(addresses.map(formatIp));
      if (host.found instanceof Error) throw host.found;
      return at(host.found);
    },
    known: known.map(ip),
    onChosen: ({ publicIps }) => host.chosen.push(publicIps.map(formatIp).join()),
    onWarnings: () => {},
    now: () => host.now,
  });
  return { host, underlay, current: () => underlay.current?.publicIps.map(formatIp).join() };
}

describe('underlay that is followed', () => {
  it('address goes: the last good one stays, with the problem', async () => {
    const { host, underlay, current } = await followed('192.168.1.9');
    host.found = new AgentError('underlay', 'eth0 has no address');
    assert.equal(await underlay.refresh(), undefined);
    assert.deepEqual([current(), underlay.problems], ['192.168.1.9', ['eth0 has no address']]);
    host.found = '192.168.1.9';
    assert.equal(await underlay.refresh(), undefined, 'the same address again is no change');
    assert.deepEqual(underlay.problems, []);
  });

  it('none at the start: undefined until there is one', async () => {
    const { host, underlay, current } = await followed(new Error('no interface'));
    assert.deepEqual([current(), underlay.problems], [undefined, ['no interface']]);
    host.found = '192.168.1.9';
    await underlay.refresh();
    assert.deepEqual([current(), underlay.problems, host.chosen], ['192.168.1.9', [], ['192.168.1.9']]);
  });

  it('another address: the change is described, and asked for is what was used before, the longest first', async () => {
    const { host, underlay } = await followed('192.168.1.9', ['192.168.1.7']);
    host.found = '192.168.1.200';
    assert.match((await underlay.refresh()) ?? '', /192\.168\.1\.9\/24.* -> .*192\.168\.1\.200\/24/);
    await underlay.refresh();
    assert.deepEqual(host.asked.at(-1), ['192.168.1.7', '192.168.1.9', '192.168.1.200']);
  });

  it('address lost ten minutes ago: not preferred any more', async () => {
    const { host, underlay } = await followed('192.168.1.9');
    host.found = '192.168.1.200';
    await underlay.refresh();
    host.now = 600_001;
    await underlay.refresh();
    await underlay.refresh();
    assert.deepEqual(host.asked.at(-1), ['192.168.1.200']);
  });

  it('choice that cannot be kept on disk: in use, a problem, and tried again', async () => {
    let fails = true;
    let kept = 0;
    const underlay = await FollowedUnderlay.start({
      find: async () => at('192.168.1.9'),
      known: [],
      onChosen: () => {
        if (fails) throw new Error('EROFS: read-only file system');
        kept++;
      },
      onWarnings: () => {},
    });
    assert.equal(underlay.current?.name, 'eth0');
    assert.match(underlay.problems.join(), /EROFS/);
    fails = false;
    await underlay.refresh();
    await underlay.refresh();
    assert.deepEqual([underlay.problems, kept], [[], 1]);
  });
});
