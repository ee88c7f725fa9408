/** What the disk does to an agent: written when it can be, and no healing stops for it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse, stringify } from 'yaml';
import type { LabNode } from '../../lab/node.ts';
import { findProduct } from '../../lab/product.ts';
import { eventually, labName, withLab } from './ground.ts';

const limit = { timeout: 120_000 };
const conflist = '/etc/cni/net.d/10-weft.conflist';

async function readyz(node: LabNode): Promise<{ ready: boolean; reasons: { code: string; text: string }[] }> {
  const ask = 'fetch("http://127.0.0.1:9472/readyz").then(async (r) => console.log(await r.text()))';
  return JSON.parse(await node.mustExec([process.execPath, '-e', ask]));
}

/** The directory stays as it is and takes no writes. */
async function readOnly(node: LabNode, directory: string, use: () => Promise<void>): Promise<void> {
  await node.mustExec(['mount', '--rbind', directory, directory]);
  try {
    await node.mustExec(['mount', '-o', 'remount,ro,bind', directory]);
    await use();
  } finally {
    await node.mustExec(['umount', '-l', directory]);
  }
}

const ready = async (node: LabNode) =>
  eventually(async () => assert.equal((await readyz(node)).ready, true), 60_000);

describe('disk of a node', () => {
  it(
    '/etc/cni/net.d is read-only at start, writable later: not ready with the reason, then ready',
    limit,
    async () => {
      await withLab({ name: labName('conflist'), nodes: 1, withoutAgents: true }, async (lab) => {
        const node = lab.node('node-1');
        await node.mustExec(['mkdir', '-p', '/etc/cni/net.d']);
        rmSync(node.path(conflist), { force: true });
        let starting: Promise<void> | undefined;
        await readOnly(node, '/etc/cni/net.d', async () => {
          starting = node.agent.start();
          await eventually(async () => {
            const { ready: isReady, reasons } = await readyz(node);
            assert.equal(isReady, false);
            assert.deepEqual(
              reasons.map(({ code }) => code),
              ['conflist'],
            );
            assert.match(reasons[0]?.text ?? '', /failed to write .*10-weft\.conflist.*(EROFS|read-only)/);
          });
        });
        await starting;
        assert.equal((await readyz(node)).ready, true);
        assert.ok(existsSync(node.path(conflist)));
        rmSync(node.path(conflist));
        await eventually(() => assert.ok(existsSync(node.path(conflist))), 60_000);
      });
    },
  );

  it('stateDir is read-only: the agent starts, and heals device, setting and firewall', limit, async () => {
    await withLab({ name: labName('readonly'), nodes: 2 }, async (lab) => {
      const node = lab.node('node-1');
      await readOnly(node, '/var/lib/weft', async () => {
        await node.agent.stop();
        rmSync(node.path('/var/lib/weft/sysctl.json'), { force: true });
        await node.agent.start();
        await node.mustExec(['ip', 'link', 'del', 'weft.1']);
        await node.mustExec(['nft', 'delete', 'table', 'inet', 'weft']);
        await node.mustExec(['sysctl', '-qw', 'net.ipv4.ip_forward=0']);
        await eventually(async () => {
          await node.mustExec(['ip', 'link', 'show', 'weft.1']);
          await node.mustExec(['nft', 'list', 'table', 'inet', 'weft']);
          assert.equal((await node.mustExec(['sysctl', '-n', 'net.ipv4.ip_forward'])).trim(), '1');
        }, 60_000);
        await ready(node);
      });
    });
  });

  it(
    'second agent on one runDir, listen off: ends with one line; the first one keeps its lease',
    limit,
    async () => {
      await withLab({ name: labName('twice'), nodes: 1 }, async (lab) => {
        const node = lab.node('node-1');
        const yaml = node.path('/etc/weft/weft.yaml');
        const other = { ...parse(readFileSync(yaml, 'utf8')), listen: 'off', stateDir: '/var/lib/other' };
        writeFileSync(node.path('/etc/weft/other.yaml'), stringify(other));
        rmSync(node.path('/run/weft/cni.sock'));
        const first = node.agent.running()?.pid;
        const { weftd } = findProduct();
        const { status, stderr } = await node.exec([
          process.execPath,
          weftd,
          '--config',
          '/etc/weft/other.yaml',
        ]);
        assert.equal(status, 1);
        assert.match(stderr, /^weftd: another weftd uses \/run\/weft: stop it, or set another directory\n$/);
        assert.equal(node.agent.running()?.pid, first);
        assert.equal((await readyz(node)).ready, true);
      });
    },
  );
});
