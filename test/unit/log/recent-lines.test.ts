import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from '../../../log/create-log.ts';
import { KEPT_LINES, RecentLines } from '../../../log/recent-lines.ts';

const lineOf = (i: number): string => `{"event":"e${i}"}`;

describe('recent lines of the log', () => {
  it('more lines than are kept: the newest, in order, with their sequence numbers', () => {
    const recent = new RecentLines();
    for (let i = 1; i <= KEPT_LINES + 3; i++) recent.add(lineOf(i));
    const kept = recent.after(0);
    assert.equal(kept.length, KEPT_LINES);
    assert.deepEqual(kept[0], { sequence: 4, line: lineOf(4) });
    assert.deepEqual(kept.at(-1), { sequence: KEPT_LINES + 3, line: lineOf(KEPT_LINES + 3) });
  });

  it('lines after a sequence number: only those; after the newest: none', () => {
    const recent = new RecentLines();
    for (let i = 1; i <= 5; i++) recent.add(lineOf(i));
    assert.deepEqual(
      recent.after(3).map(({ sequence }) => sequence),
      [4, 5],
    );
    assert.deepEqual(recent.after(5), []);
  });

  it('sequence number of an earlier process: all lines', () => {
    const recent = new RecentLines();
    recent.add(lineOf(1));
    assert.equal(recent.after(900).length, 1);
  });

  it('line that lists hundreds of changes: its event and message are kept', () => {
    const recent = new RecentLines();
    const line = {
      level: 'info',
      time: 't',
      pid: 1,
      event: 'overlay.reconciled',
      done: 'x'.repeat(9000),
      msg: 'm',
    };
    recent.add(JSON.stringify(line));
    const { done, ...rest } = line;
    assert.equal(done.length, 9000);
    assert.deepEqual(JSON.parse(recent.after(0)[0]?.line ?? ''), { ...rest, shortened: true });
  });

  it('log level warn: info lines are recorded and not written, and a lower level later writes them', () => {
    const written: string[] = [];
    const recent = new RecentLines();
    const log = createLog({ level: 'warn', recent, to: { write: (line) => void written.push(line) } });
    log.info('lease.acquired', { token: 'hunter2' });
    log.warn('store.unreachable');
    log.debug('store.requestFailed');
    assert.equal(written.length, 1);
    assert.equal(recent.after(0).length, 2);
    assert.match(recent.after(0)[0]?.line ?? '', /"event":"lease\.acquired".*"token":"\[secret\]"/);
    log.setLevel('debug');
    log.debug('store.requestFailed');
    log.info('lease.released');
    assert.equal(written.length, 3);
    assert.equal(recent.after(0).length, 3);
  });
});
