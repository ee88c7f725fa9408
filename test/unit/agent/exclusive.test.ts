import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { holdExclusively } from '../../../agent/exclusive.ts';
import { folderOf } from './folder.ts';

test('directory held by another process: refused with its name; free again when that process ends', async (t) => {
  const [runDir, stateDir] = [join(folderOf(t), 'run'), join(folderOf(t), 'state')];
  for (const directory of [runDir, stateDir]) mkdirSync(directory);
  const other = spawn('flock', [stateDir, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(other.stdout, 'data');
  await assert.rejects(holdExclusively([runDir, stateDir]), {
    code: 'listen',
    message: `another weftd uses ${stateDir}: stop it, or set another directory`,
  });
  other.stdin.end();
  await once(other, 'exit');
  await holdExclusively([stateDir]);
  assert.throws(() => execFileSync('flock', ['--nonblock', stateDir, 'true']));
});

test('runDir and stateDir are one directory: held once', async (t) => {
  const directory = folderOf(t);
  await holdExclusively([directory, directory]);
});
