/** Weftctl pod, with a real dockerd on two nodes of a lab. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { packageRoot } from '../../lab/product.ts';
import { idleScript, manifest } from '../runtimes/pods.ts';
import { podsFixture, shell } from './fixture.ts';

describe('weftctl pod', () => {
  const fixture = podsFixture('commands');

  it('exec: passes status, input and output', async () => {
    await fixture.near.apply(manifest('x'));
    const out = await fixture.near.ctl(
      ['exec', '-i', 'x', '--', 'sh', '-c', 'cat; echo err >&2; exit 7'],
      'given',
    );
    assert.deepEqual(out, { status: 7, stdout: 'given', stderr: 'err\n' });
    const unknown = await fixture.near.ctl(['exec', 'x', '-c', 'other', '--', 'true']);
    assert.match(unknown.stderr, /container other not found \(containers: main\)/);
  });

  it('log of 20 000 lines: printed whole, with bounded memory', async () => {
    const script =
      `i=0; while [ $i -lt 20000 ]; do echo "line $i of a log that is long"; i=$((i+1)); ` +
      `done; ${idleScript}`;
    await fixture.near.apply(manifest('long', { containers: [shell('main', script)] }));
    const last = () => fixture.lines('long', '--tail', '1');
    for (const since = Date.now(); (await last())[0] !== 'line 19999 of a log that is long'; ) {
      if (Date.now() - since > 60_000) throw new Error(`the log ends with ${await last()}`);
    }
    const weftctl = `${packageRoot()}/dist/bin/weftctl`;
    const limit = ['sh', '-c', 'ulimit -d 400000; exec "$@"', 'sh'];
    const whole = await fixture.near.node.exec([...limit, process.execPath, weftctl, 'pod', 'logs', 'long']);
    assert.equal(whole.status, 0, whole.stderr);
    assert.equal(whole.stdout.split('\n').length, 20_001);
    const head = await fixture.near.node.exec([
      'bash',
      '-c',
      `${process.execPath} ${weftctl} pod logs long | head -1; echo \${PIPESTATUS[0]}`,
    ]);
    assert.deepEqual([head.stdout, head.stderr], ['line 0 of a log that is long\n141\n', '']);
    const exec = await fixture.near.node.exec([
      'bash',
      '-c',
      `${process.execPath} ${weftctl} pod exec long -- sh -c 'while echo y; do :; done' | head -1`,
    ]);
    assert.deepEqual([exec.stdout, exec.stderr], ['y\n', '']);
  });

  it('apply without -f: refused', async () => {
    const { status, stderr } = await fixture.near.ctl(['apply']);
    assert.deepEqual([status, stderr], [1, 'weftctl: give a manifest with -f FILE\n']);
  });
});
