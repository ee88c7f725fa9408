/** The status page in Chromium, on a node of a lab. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { Lab } from '../../lab/lab.ts';
import { labName, leftovers } from '../lab/ground.ts';
import { browserOn } from './browser.ts';

const name = labName('page');
const url = 'http://127.0.0.1:9472/';
const screenshot = join(fileURLToPath(new URL('../../../', import.meta.url)), 'docs/page.png');

let lab: Lab;
let browser: Browser;
let folder: string;

/** A page of its own, whose errors and requests to elsewhere fail the test. */
async function open(
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<{ page: Page; faults: string[] }> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) faults.push(request.url());
  });
  await page.goto(url);
  await page.locator('#peers tbody tr').first().waitFor();
  return { page, faults };
}

/** Status and headers of one request on the node. */
const curl = (...args: string[]): Promise<string> =>
  lab.node('node-1').mustExec([process.execPath, '-e', asking, ...args]);

const asking = `
const [path, host, site] = process.argv.slice(1);
const headers = { host, ...(site ? { 'sec-fetch-site': site } : {}) };
require('node:http').get({ host: '127.0.0.1', port: 9472, path, headers }, (response) => {
  console.log(response.statusCode, JSON.stringify(response.headers));
  response.destroy();
});`;

/** Opens streams until one is refused, closes the first, and waits until another is served. */
const askingForMore = `
const http = require('node:http');
const open = () => new Promise((done) => {
  http.get('${url}stream', { agent: false }, (response) => {
    response.resume();
    response.on('error', () => {});
    done(response);
  });
});
(async () => {
  const all = [];
  while (all.at(-1)?.statusCode !== 503 && all.length < 20) all.push(await open());
  all[0].destroy();
  let again = 503;
  while (again === 503) {
    const response = await open();
    again = response.statusCode;
    response.destroy();
  }
  console.log(all.length, all.at(-1).statusCode, again);
  process.exit();
})();`;

/** A state of the page in which all text is `text`. */
const stateOf = (text: string): object => ({
  ready: true,
  events: [{ time: '2026-12-01T00:00:00Z', level: 'info', event: text, msg: text, detail: text }],
  problems: [{ severity: 'error', code: text, text }],
  status: {
    node: text,
    agent: { version: text },
    lease: { subnets: [text], state: text },
    store: text,
    backend: { type: text, devices: [text] },
    pods: { running: 0 },
    otherVersions: [text],
    peers: [{ name: text, subnet: text, address: text, path: text, state: text, reason: text }],
  },
});

describe('status page', () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weft-page-'));
    lab = await Lab.up({ name, nodes: 4, configuration: { probes: { period: '1s', failureThreshold: 2 } } });
    await lab.pod('node-1', 'a');
    browser = await browserOn(lab.node('node-1'), folder);
  });
  after(async () => {
    await browser?.close();
    await Lab.down(name);
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(await leftovers(name), []);
  });

  it('healthy cluster: this node, a green line per peer with its path, no error, nothing from elsewhere', async () => {
    const { page, faults } = await open({ viewport: { width: 1000, height: 1150 } });
    await page.locator('#topology line.ok').nth(2).waitFor();
    assert.equal(await page.locator('#node').textContent(), 'node-1');
    assert.equal(await page.locator('#ready').textContent(), 'ready');
    assert.match(
      (await page.locator('#topology text.path').first().textContent()) ?? '',
      /^vxlan, [\d.]+ ms$/,
    );
    assert.match((await page.locator('#facts').textContent()) ?? '', /10\.244\.\d+\.0\/24/);
    assert.deepEqual(faults, []);
    if (process.env.WEFT_SCREENSHOT) await page.screenshot({ path: screenshot, fullPage: false });
  });

  it('peer whose agent is killed: the line turns red without a reload, and green again', async () => {
    const { page, faults } = await open();
    const { agent } = lab.node('node-2');
    await agent.stop('SIGKILL');
    try {
      await page.locator('#topology line.unreachable').waitFor();
      assert.match((await page.locator('#peers').textContent()) ?? '', /unreachable: does not answer probes/);
    } finally {
      await agent.start();
    }
    await page.locator('#topology line.unreachable').waitFor({ state: 'detached' });
    assert.deepEqual(faults, []);
  });

  it('repair: a removed route appears under the events', async () => {
    const { page } = await open();
    await lab.node('node-1').mustExec(['ip', 'link', 'del', 'weft.1']);
    await page.locator('#events li', { hasText: 'reconcile.changed' }).first().waitFor();
  });

  it('phone in the dark: fits the width, on a dark ground', async () => {
    const { page } = await open({ viewport: { width: 360, height: 740 }, colorScheme: 'dark' });
    const wide = await page.evaluate('document.documentElement.scrollWidth');
    assert.equal(wide, 360);
    const ground = await page.evaluate('getComputedStyle(document.body).backgroundColor');
    assert.equal(ground, 'rgb(13, 17, 23)');
  });

  it('name of a peer that is HTML: shown as text', async () => {
    const { page, faults } = await open();
    const evil = '<img src=x onerror=alert(1)>';
    await page.evaluate(`source.close(); show(${JSON.stringify(stateOf(evil))})`);
    assert.equal(await page.locator('img').count(), 0);
    assert.equal(await page.locator('#peers tbody td').first().textContent(), evil);
    assert.deepEqual(faults, []);
  });

  it('Host header that is a name: refused; an address and localhost are not', async () => {
    for (const path of ['/', '/stream', '/status', '/events']) {
      assert.match(await curl(path, 'evil.example:9472'), /^421 /);
      assert.match(await curl(path, '127.0.0.1:9472'), /^200 /);
    }
    assert.match(await curl('/', 'localhost:9472'), /^200 .*default-src 'none'/);
    assert.match(await curl('/readyz', 'node-1.example:9472'), /^200 /);
  });

  it('stream asked for by a page of another site: refused', async () => {
    assert.match(await curl('/stream', '127.0.0.1:9472', 'cross-site'), /^403 /);
  });

  it('more browsers than the bound: the next is refused, and served once another has gone', async () => {
    const refused = await lab.node('node-1').mustExec([process.execPath, '-e', askingForMore]);
    const [asked, status, again] = refused.trim().split(' ').map(Number);
    assert.ok(Number(asked) <= 9);
    assert.equal(status, 503);
    assert.equal(again, 200);
  });
});
