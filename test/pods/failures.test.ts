/** Failed attempts, with a real dockerd on two nodes of a lab. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { manifest } from '../runtimes/pods.ts';
import { podsFixture } from './fixture.ts';

/** An archive of no file: two blocks of zeros. */
const emptyArchive = Buffer.alloc(1024);

async function finished(stream: NodeJS.ReadableStream): Promise<void> {
  stream.resume();
  await once(stream, 'end');
}

describe('failed attempts', () => {
  const fixture = podsFixture('failures');

  it('pause image without a command: the pod is removed and changed like any other', async () => {
    const empty = 'localhost/weft/empty:1';
    const made = await fixture.docker.api.importImage(Readable.from([emptyArchive]), {
      repo: 'localhost/weft/empty',
      tag: '1',
    });
    await finished(made);
    const apply = (...flags: string[]) =>
      fixture.near.ctl(['apply', '-f', '-', ...flags], manifest('sandbox'));
    const failed = await apply('--pause-image', empty, '--timeout', '0');
    assert.equal(failed.status, 0, failed.stderr);
    await fixture.near.until('sandbox', ({ reason }) => reason === 'SandboxFailed');
    const changed = await apply();
    assert.equal(changed.status, 0, changed.stderr);
    await fixture.near.remove('sandbox');
    await apply('--pause-image', empty, '--timeout', '0');
    await fixture.near.until('sandbox', ({ reason }) => reason === 'SandboxFailed');
    await fixture.near.remove('sandbox');
  });

  it('chain whose second plugin fails: the pod is removed', async () => {
    const conflist = fixture.near.node.path('/etc/cni/net.d/10-weft.conflist');
    const before = readFileSync(conflist, 'utf8');
    const network = JSON.parse(before);
    try {
      writeFileSync(
        conflist,
        JSON.stringify({ ...network, plugins: [...network.plugins, { type: 'no-such-plugin' }] }),
      );
      await fixture.near.ctl(['apply', '-f', '-', '--timeout', '0'], manifest('chain'));
      await fixture.near.until('chain', ({ reason }) => reason === 'NetworkNotReady');
      writeFileSync(conflist, before);
      await fixture.near.remove('chain');
    } finally {
      writeFileSync(conflist, before);
    }
  });

  it('Docker is stopped when the pod is removed: it is removed once Docker is back', async () => {
    await fixture.near.apply(manifest('waits'));
    await fixture.docker.halt('SIGTERM');
    const { status, stderr } = await fixture.near.ctl(['rm', 'waits']);
    assert.equal(status, 1);
    assert.match(stderr, /Docker is unreachable/);
    await fixture.docker.resume();
    await fixture.near.remove('waits', '--ignore-not-found');
    assert.deepEqual(await fixture.near.list(), []);
  });
});
