/** What it costs to look: `weftctl status`, `/metrics`, the status page. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { labFolder } from '../../lab/names.ts';
import type { LabNode } from '../../lab/node.ts';
import { findProgram } from '../../scripts/needs.ts';
import { atMost, type Figure, median, percentile, plain, type Suite, type SuiteContext } from '../figure.ts';
import { withLab } from '../lab.ts';
import { residentMb } from '../process.ts';
import { network, putPeers } from './peers.ts';

const weftctl = fileURLToPath(new URL('../../../dist/bin/weftctl', import.meta.url));
const scrapes = fileURLToPath(new URL('./scrapes.js', import.meta.url));

const FEW = 255;
const MANY = 5000;
const ROUNDS = 15;
const SCRAPES = 1000;
/** Of the whole process; Node.js itself takes more of it before version 24. */
const MOST_STATUS_MS = Number(process.versions.node.split('.')[0]) >= 24 ? 150 : 220;

export const suite: Suite = async (context) => {
  const configuration = { network, probes: false };
  return withLab({ name: 'bench-operate', nodes: 2, configuration }, async ({ name, nodes: [node] }) => {
    if (!node) throw new Error('the lab has no node');
    const store = join(labFolder(name), 'store');
    context.progress(`${FEW} peers`);
    await putPeers(store, 0, FEW - 1);
    await programmed(node, FEW);
    const status = await statusMs(node);
    const paint = await firstPaintMs(node, context);
    context.progress(`${MANY} peers`);
    await putPeers(store, FEW - 1, MANY - 1);
    await programmed(node, MANY);
    return [...status, ...paint, ...(await scraped(node, context))];
  });
};

/** Resolves once the kernel has a route for each. */
async function programmed(node: LabNode, peers: number): Promise<void> {
  for (;;) {
    const routes = await node.mustExec(['sh', '-c', 'ip route show dev weft.1 | wc -l']);
    if (Number(routes) >= peers) return;
    await pause(100);
  }
}

async function statusMs(node: LabNode): Promise<Figure[]> {
  const times: number[] = [];
  for (let n = 0; n < ROUNDS; n++) {
    const since = performance.now();
    await node.exec([weftctl, 'status', '-o', 'json']);
    times.push(performance.now() - since);
  }
  const what = `weftctl status at ${FEW} peers, whole process`;
  return [atMost(MOST_STATUS_MS, { what, ours: median(times), peer: undefined, unit: 'ms' })];
}

async function firstPaintMs(node: LabNode, { progress }: SuiteContext): Promise<Figure[]> {
  if (findProgram('chromium') === undefined) {
    progress('no chromium here: the page is left out');
    return [];
  }
  const { browserOn } = await import('../../test/page/browser.ts');
  const folder = mkdtempSync(join(tmpdir(), 'weft-bench-page-'));
  const browser = await browserOn(node, folder);
  try {
    const page = await browser.newPage();
    await page.goto('http://127.0.0.1:9472/');
    await page
      .locator('#peers tbody tr')
      .nth(FEW - 2)
      .waitFor();
    const [paint, drawn] = (await page.evaluate(
      "[performance.getEntriesByName('first-contentful-paint')[0].startTime, performance.now()]",
    )) as [number, number];
    return [
      atMost(1000, { what: `page at ${FEW} peers, first paint`, ours: paint, peer: undefined, unit: 'ms' }),
      plain({ what: `page at ${FEW} peers, all of them drawn`, ours: drawn, peer: undefined, unit: 'ms' }),
    ];
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function scraped(node: LabNode, { progress }: SuiteContext): Promise<Figure[]> {
  progress(`${SCRAPES} scrapes`);
  const scrape = async (count: number): Promise<number[]> =>
    JSON.parse(await node.mustExec([process.execPath, scrapes, String(count)]));
  const unseenMb = residentMb(node);
  const times = await scrape(SCRAPES);
  // The heap has its size only after a while.
  await scrape(SCRAPES);
  const onceMb = residentMb(node);
  await scrape(SCRAPES);
  const twiceMb = residentMb(node);
  const at = `/metrics at ${MANY} peers`;
  return [
    atMost(50, { what: `${at}, p50`, ours: median(times), peer: undefined, unit: 'ms' }),
    plain({ what: `${at}, p99`, ours: percentile(times, 0.99), peer: undefined, unit: 'ms' }),
    plain({ what: `agent at ${MANY} peers, nobody looks`, ours: unseenMb, peer: undefined, unit: 'MB' }),
    plain({ what: `the same, after ${2 * SCRAPES} scrapes`, ours: onceMb, peer: undefined, unit: 'MB' }),
    atMost(2, {
      what: `growth over the next ${SCRAPES} scrapes`,
      ours: Math.max(0, twiceMb - onceMb),
      peer: undefined,
      unit: 'MB',
    }),
  ];
}
