/** Debian's Chromium in a node of a lab: the page is on the node's loopback. */
import { chmodSync, writeFileSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import type { LabNode } from '../../lab/node.ts';
import { findProgram } from '../../scripts/needs.ts';

/** `folder`: where the program that enters the node is written. */
export async function browserOn(node: LabNode, folder: string): Promise<Browser> {
  const program = findProgram('chromium');
  if (program === undefined) throw new Error('chromium is missing: apt-get install chromium');
  const entering = `${folder}/chromium-on-node`;
  const words = node.command([program]).map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  writeFileSync(entering, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`);
  chmodSync(entering, 0o755);
  return await chromium.launch({
    executablePath: entering,
    // As root there is no sandbox to be had; what it shows is ours.
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    env: { ...process.env, HOME: folder },
  });
}
