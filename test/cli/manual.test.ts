/** The manual pages that the package has. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { weftctl } from '../../cli/program.ts';
import { manualPages } from '../../scripts/manual/pages.ts';
import { leaves } from './ground.ts';

const overstruck = new RegExp(`.${String.fromCharCode(8)}`, 'g');
const pages = manualPages('1.2.3');
const shown = (page: string): string =>
  spawnSync('mandoc', ['-T', 'utf8'], {
    input: page,
    encoding: 'utf8',
    env: { ...process.env, MANWIDTH: '80' },
  })
    // Bold and underlined, as a teletype does it.
    .stdout.replace(overstruck, '');

for (const [name, page] of Object.entries(pages)) {
  test(`${name}: mandoc finds no error`, () => {
    const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning'], {
      input: page,
      encoding: 'utf8',
    });
    assert.deepEqual(
      stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date')),
      [],
    );
  });
}

test('weftctl(8): every command with its examples, and the exit statuses', () => {
  const text = shown(pages['weftctl.8'] ?? '');
  for (const name of leaves(weftctl()).keys()) assert.ok(text.includes(`   ${name}`), name);
  assert.match(text, /EXIT STATUS\n +0 +done/);
});

test('weft.yaml(5): keys by their whole paths, with defaults', () => {
  const text = shown(pages['weft.yaml.5'] ?? '');
  assert.match(text, /backend\.port\n +UDP port of VXLAN \(8472\)/);
  assert.match(text, /store\.endpoints/);
});
