import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Order, parseArguments } from '../../../agent/arguments.ts';
import { checkConfig } from '../../../agent/config/check.ts';
import { folderOf } from './folder.ts';

describe("weftd's command line", () => {
  const orders: [args: string[], order: Order][] = [
    [[], { kind: 'run', config: undefined }],
    [['--config', '/x.yaml'], { kind: 'run', config: '/x.yaml' }],
    [['-c', '/x.yaml'], { kind: 'run', config: '/x.yaml' }],
    [['plan'], { kind: 'plan', config: undefined }],
    [['plan', '--config', '/x.yaml'], { kind: 'plan', config: '/x.yaml' }],
    [['--check-config'], { kind: 'check', config: undefined }],
    [['--check-config', '--config=/x.yaml'], { kind: 'check', config: '/x.yaml' }],
    [['--version'], { kind: 'say', text: '1.2.3\n', status: 0 }],
  ];
  for (const [args, order] of orders) {
    it(`weftd ${args.join(' ')}`, () => {
      assert.deepEqual(parseArguments(args, '1.2.3'), order);
    });
  }

  const said: [args: string[], status: number, text: RegExp][] = [
    [
      ['--help'],
      0,
      /Usage: weftd \[options\] \[task\][\s\S]*--config <file>[\s\S]*WEFT_CONFIG[\s\S]*--check-config/,
    ],
    [['--confg'], 1, /unknown option '--confg'\n\(Did you mean --config\?\)/],
    [['--config'], 1, /option '-c, --config <file>' argument missing/],
    [['start'], 1, /'start' is invalid for argument 'task'. Allowed choices are plan/],
    [['plan', 'more'], 1, /too many arguments/],
  ];
  for (const [args, status, text] of said) {
    it(`weftd ${args.join(' ')}: refused with the reason`, () => {
      const order = parseArguments(args, '1.2.3');
      assert.ok(order.kind === 'say');
      assert.equal(order.status, status);
      assert.match(order.text, text);
    });
  }
});

describe('weftd --check-config', () => {
  it('file not found: the defaults are printed, and that it was not found', (t) => {
    const path = join(folderOf(t), 'weft.yaml');
    const { status, stdout, stderr } = checkConfig({ path, named: false });
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, new RegExp(`^# defaults: ${path} not found\nnetwork: 10.244.0.0/16\n`));
  });

  it('file: the effective configuration is printed', (t) => {
    const path = join(folderOf(t), 'weft.yaml');
    writeFileSync(path, 'subnetLength: 26');
    const { status, stdout } = checkConfig({ path, named: true });
    assert.equal(status, 0);
    assert.match(stdout, new RegExp(`^# ${path}\n[\\s\\S]*subnetLength: 26\n`));
  });

  it('file with problems: one line each, status 1', (t) => {
    const path = join(folderOf(t), 'weft.yaml');
    writeFileSync(path, 'network: x\nlisten: y\n');
    const { status, stdout, stderr } = checkConfig({ path, named: true });
    assert.deepEqual([status, stdout], [1, '']);
    assert.deepEqual(
      stderr.split('\n').map((line) => line.split(': ').slice(0, 2).join(': ')),
      [`${path}:1:10: network`, `${path}:2:9: listen`, ''],
    );
  });
});
