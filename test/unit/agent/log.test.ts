import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from '../../../agent/log/log.ts';
import { KernelError } from '../../../kernel/errors.ts';

function logged(level: 'info' | 'debug', write: (log: ReturnType<typeof createLog>) => void) {
  const lines: string[] = [];
  write(createLog({ level, to: { write: (line: string) => void lines.push(line) } }));
  return lines.map((line): Record<string, unknown> => JSON.parse(line));
}

describe('the log', () => {
  it('is JSON with level, time and event', () => {
    const [line = {}] = logged('info', (log) => log.info({ subnet: '10.244.1.0/24' }, 'lease acquired'));
    assert.equal(line.level, 'info');
    assert.equal(line.msg, 'lease acquired');
    assert.equal(line.subnet, '10.244.1.0/24');
    assert.ok(!Number.isNaN(Date.parse(String(line.time))));
  });

  it('leaves out what its level leaves out', () => {
    assert.equal(logged('info', (log) => log.debug({}, 'x')).length, 0);
    assert.equal(logged('debug', (log) => log.debug({}, 'x')).length, 1);
  });

  it('keeps what an error says, and its code', () => {
    const err = new KernelError({ errno: 101, attempted: 'add route' });
    const [line = {}] = logged('info', (log) => log.error({ err }, 'pass failed'));
    const { message, code, stack } = line.err as Record<string, unknown>;
    assert.deepEqual([message, code], ['add route: ENETUNREACH', 'ENETUNREACH']);
    assert.equal(typeof stack, 'string');
  });

  it('takes addresses as they are', () => {
    const [line = {}] = logged('info', (log) => log.info({ address: { family: 'ipv4', value: 1n } }, 'x'));
    assert.deepEqual(line.address, { family: 'ipv4', value: 1 });
  });

  it('never shows a secret', () => {
    const [line = {}] = logged('info', (log) =>
      log.info(
        { password: 'hunter2', login: { username: 'weft', password: 'hunter2', token: 'hunter2' } },
        'x',
      ),
    );
    assert.doesNotMatch(JSON.stringify(line), /hunter2/);
    assert.deepEqual(line.login, { username: 'weft', password: '[secret]', token: '[secret]' });
  });
});
