import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { defaultConfig, readConfig } from '../../../agent/config/read.ts';
import { keysUnder } from '../../../agent/config/schema.ts';

const page = readFileSync('docs/configuration.md', 'utf8');
const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);

describe('docs/configuration.md', () => {
  it('begins with the defaults', () => {
    assert.deepEqual(readConfig('docs/configuration.md', examples[0] ?? ''), defaultConfig());
  });

  for (const text of examples) {
    it(`has an example that is right: ${text.split('\n', 1)[0]}`, () => {
      readConfig('docs/configuration.md', text);
    });
  }

  const keys = [
    ...keysUnder('').filter((key) => keysUnder(key).length === 0 && key !== 'store'),
    ...['backend', 'log'].flatMap((key) => keysUnder(key).map((inner) => `${key}.${inner}`)),
    ...['store:file', 'store:etcd'].flatMap((key) =>
      keysUnder(key).flatMap((inner) => (inner === 'type' ? [] : [`store.${inner}`])),
    ),
    'underlay',
    'masquerade',
  ];
  for (const key of keys) {
    it(`has a row for ${key}`, () => {
      assert.match(page, new RegExp(`^\\| [^|]*\`${key.replace('.', '\\.')}\`[^|]* \\|`, 'm'));
    });
  }
});
