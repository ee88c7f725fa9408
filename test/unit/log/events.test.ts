import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { events } from '../../../log/events.ts';
import { logsPage } from '../../../log/page.ts';

test('docs/logs.md: is what `npm run logs` writes', () => {
  assert.equal(readFileSync('docs/logs.md', 'utf8'), logsPage());
});

for (const [event, message] of Object.entries(events)) {
  test(`log event ${event}: name is component.event, message is one plain line`, () => {
    assert.match(event, /^[a-z]+\.[a-zA-Z]+$/);
    assert.match(message, /^[a-zA-Z][^\n]{5,80}[^.\n]$/);
  });
}

test('log events: are sorted by name', () => {
  const names = Object.keys(events);
  assert.deepEqual(names, [...names].sort());
});
