import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KernelError } from '../../../kernel/errors.ts';
import { createLog } from '../../../log/create-log.ts';

function logged(level: 'info' | 'debug', write: (log: ReturnType<typeof createLog>) => void) {
  const lines: string[] = [];
  write(createLog({ level, to: { write: (line: string) => void lines.push(line) } }));
  return lines.map((line): Record<string, unknown> => JSON.parse(line));
}

describe('log', () => {
  it('event: the line is JSON with level, time, event and its message', () => {
    const [line = {}] = logged('info', (log) => log.info('lease.acquired', { subnet: '10.244.1.0/24' }));
    assert.equal(line.level, 'info');
    assert.equal(line.event, 'lease.acquired');
    assert.equal(line.msg, 'subnet lease acquired');
    assert.equal(line.subnet, '10.244.1.0/24');
    assert.ok(!Number.isNaN(Date.parse(String(line.time))));
  });

  it('event below the level: no line', () => {
    assert.equal(logged('info', (log) => log.debug('store.requestFailed')).length, 0);
    assert.equal(logged('debug', (log) => log.debug('store.requestFailed')).length, 1);
  });

  it('error under err: message, code and stack are in the line', () => {
    const err = new KernelError({ errno: 101, attempted: 'add route' });
    const [line = {}] = logged('info', (log) => log.error('reconcile.passFailed', { err }));
    const { message, code, stack } = line.err as Record<string, unknown>;
    assert.deepEqual([message, code], ['add route: ENETUNREACH', 'ENETUNREACH']);
    assert.equal(typeof stack, 'string');
  });

  it('error under err of a warning: message and code are in the line, and no stack', () => {
    const err = new KernelError({ errno: 2, attempted: 'send to /run/notify' });
    const [line = {}] = logged('info', (log) => log.warn('notify.failed', { err }));
    assert.deepEqual(line.err, {
      type: 'KernelError',
      message: 'send to /run/notify: ENOENT',
      code: 'ENOENT',
    });
  });

  it('address as a field: the bigint is a number', () => {
    const [line = {}] = logged('info', (log) =>
      log.info('agent.subnets', { address: { family: 'ipv4', value: 1n } }),
    );
    assert.deepEqual(line.address, { family: 'ipv4', value: 1 });
  });

  it('field named password or token: the value is replaced', () => {
    const [line = {}] = logged('info', (log) =>
      log.info('lease.acquired', {
        password: 'hunter2',
        login: { username: 'weft', password: 'hunter2', token: 'hunter2' },
      }),
    );
    assert.doesNotMatch(JSON.stringify(line), /hunter2/);
    assert.deepEqual(line.login, { username: 'weft', password: '[secret]', token: '[secret]' });
  });
});
