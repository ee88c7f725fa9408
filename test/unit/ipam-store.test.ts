/** plugin/ipam's store: who has which address, across processes, kills and reboots. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { cidr } from '../../inet/cidr.ts';
import { formatIp, ip } from '../../inet/ip.ts';
import { CniError } from '../../plugin/errors.ts';
import { allocateAddresses } from '../../plugin/ipam/allocate.ts';
import { releaseHostLocal } from '../../plugin/ipam/hostlocal.ts';
import { AddressStore } from '../../plugin/ipam/store.ts';
import type { RangeSet } from '../../plugin/protocol/network.ts';
import { wholeSubnet } from '../../plugin/protocol/ranges.ts';

let runDir: string;
let hostLocalDir: string;
beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'weft-ipam-'));
  hostLocalDir = join(runDir, 'host-local');
});
afterEach(() => rmSync(runDir, { recursive: true }));

const small: RangeSet = [wholeSubnet(cidr('10.1.0.0/29'))];
const five = ['10.1.0.2', '10.1.0.3', '10.1.0.4', '10.1.0.5', '10.1.0.6'];
const pod = (name: string) => ({ containerId: name, ifname: 'eth0' });
const open = (network = 'weft') => new AddressStore({ runDir, network, hostLocalDir });
const take = (store: AddressStore, name: string) => formatIp(store.allocate(small, pod(name)));
const onDisk = (network = 'weft') => readdirSync(join(runDir, 'ipam', network)).sort();
const recordOf = (address: string) => join(runDir, 'ipam/weft', address);

/** What a reboot leaves where /run is an ordinary folder. */
function reboot(): void {
  for (const address of onDisk()) {
    const record = { ...JSON.parse(readFileSync(recordOf(address), 'utf8')), bootId: randomUUID() };
    writeFileSync(recordOf(address), JSON.stringify(record));
  }
  writeFileSync(join(runDir, 'ipam-order/weft/boot'), randomUUID());
}

const refusedWith = (reason: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CniError, String(error));
  assert.equal(error.reason, reason);
  assert.match(error.message, message);
  return true;
};

describe('an address', () => {
  it('is a file that says who has it, in which boot, since when', () => {
    const address = take(open(), 'c1');
    const record = JSON.parse(readFileSync(recordOf(address), 'utf8'));
    assert.equal(record.containerId, 'c1');
    assert.equal(record.ifname, 'eth0');
    assert.equal(record.bootId, readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
    assert.ok(Date.parse(record.since) <= Date.now());
    assert.deepEqual(onDisk(), [address]);
  });

  it('is refused, with the range and a remedy, when none is left', () => {
    const store = open();
    for (const expected of five) assert.equal(take(store, expected), expected);
    assert.throws(
      () => take(store, 'one more'),
      refusedWith('addresses-exhausted', /no IP addresses available in range set: 10\.1\.0\.1-10\.1\.0\.6/),
    );
    assert.equal(store.hasFree(small), false);
    store.release(ip('10.1.0.4'), pod('10.1.0.4'));
    assert.equal(store.hasFree(small), true);
    assert.equal(take(store, 'one more'), '10.1.0.4');
  });

  it('is released by its owner alone, and any number of times', () => {
    const store = open();
    const address = ip(take(store, 'c1'));
    assert.equal(store.release(address, pod('c2')), false);
    assert.equal(store.release(address, { containerId: 'c1', ifname: 'net1' }), false);
    assert.equal(store.release(address, pod('c1')), true);
    assert.equal(store.release(address, pod('c1')), false);
    assert.deepEqual(onDisk(), []);
  });

  it('just freed is the last to be handed out again, also by a process that starts afresh', () => {
    for (const expected of five) {
      const store = open();
      assert.equal(take(store, 'c'), expected);
      store.release(ip(expected), pod('c'));
    }
    assert.equal(take(open(), 'c'), '10.1.0.2');
  });

  it('is freed by its owner also when nothing else remembers which it is', () => {
    const store = open();
    const address = take(store, 'c1');
    take(store, 'c2');
    assert.deepEqual(open().releaseAll(pod('c3')), []);
    assert.deepEqual(open().releaseAll(pod('c1')).map(formatIp), [address]);
    assert.equal(onDisk().length, 1);
  });

  it('belongs to one network: names as long as one likes, nothing shared', () => {
    const long = 'n'.repeat(400);
    assert.equal(take(open(long), 'c1'), '10.1.0.2');
    assert.equal(take(open(`${long}x`), 'c1'), '10.1.0.2');
    assert.equal(take(open(long), 'c2'), '10.1.0.3');
  });
});

describe('a long-lived process and others beside it', () => {
  it('sees what another process has taken', () => {
    const [agent, standalone] = [open(), open()];
    assert.equal(take(agent, 'c1'), '10.1.0.2');
    assert.equal(take(standalone, 'c2'), '10.1.0.3');
    assert.equal(take(agent, 'c3'), '10.1.0.4');
  });

  it('keeps the order when another process takes and frees', () => {
    const [agent, standalone] = [open(), open()];
    assert.equal(take(agent, 'c1'), '10.1.0.2');
    const freed = take(standalone, 'c2');
    standalone.release(ip(freed), pod('c2'));
    assert.deepEqual(
      [1, 2, 3, 4].map((i) => take(agent, `more${i}`)),
      ['10.1.0.4', '10.1.0.5', '10.1.0.6', freed],
    );
  });

  it('finds what another process has freed before it says that none is left', () => {
    const [agent, standalone] = [open(), open()];
    for (const expected of five) take(agent, expected);
    standalone.release(ip('10.1.0.5'), pod('10.1.0.5'));
    assert.equal(take(agent, 'c'), '10.1.0.5');
  });

  it('goes on when its directories are removed', () => {
    const store = open();
    take(store, 'c1');
    rmSync(join(runDir, 'ipam'), { recursive: true });
    rmSync(join(runDir, 'ipam-order'), { recursive: true });
    assert.ok(take(store, 'c2'));
    assert.equal(onDisk().length, 1);
  });

  it('never gives an address to two, however many ask at once', async () => {
    const workers = 4;
    const ranges: RangeSet = [wholeSubnet(cidr('10.7.0.0/25'))];
    const code = `
      const { workerData, parentPort } = require('node:worker_threads');
      import(workerData.module).then(({ AddressStore }) => {
        const store = new AddressStore(workerData.options);
        const held = [];
        for (let i = 0; i < 120; i++) {
          const owner = { containerId: workerData.name + '-' + i, ifname: 'eth0' };
          held.push({ address: store.allocate(workerData.ranges, owner), owner });
          if (held.length > 25) { const { address, owner } = held.shift(); store.release(address, owner); }
        }
        parentPort.postMessage(held.map(({ address }) => address.value));
      });`;
    const module = new URL('../../plugin/ipam/store.js', import.meta.url).href;
    const options = { runDir, network: 'weft', hostLocalDir };
    const results = await Promise.all(
      Array.from({ length: workers }, (_, i) => {
        const worker = new Worker(code, {
          eval: true,
          workerData: { module, options, ranges, name: `w${i}` },
        });
        return new Promise<bigint[]>((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        });
      }),
    );
    const all = results.flat();
    assert.equal(all.length, workers * 25);
    assert.equal(new Set(all).size, all.length);
    assert.equal(onDisk().length, all.length);
    assert.deepEqual(readdirSync(join(runDir, 'ipam-order/weft/new')), []);
  });
});

describe('after a reboot', () => {
  it('every address is free', () => {
    const store = open();
    for (const expected of five) take(store, expected);
    reboot();
    assert.deepEqual(
      five.map(() => take(open(), 'new')),
      five,
    );
  });

  it('a single record of another boot is free before the range counts as exhausted', () => {
    const store = open();
    for (const expected of five) take(store, expected);
    const record = JSON.parse(readFileSync(recordOf('10.1.0.3'), 'utf8'));
    writeFileSync(recordOf('10.1.0.3'), JSON.stringify({ ...record, bootId: randomUUID() }));
    assert.equal(take(store, 'new'), '10.1.0.3');
  });

  it('a file that the power loss emptied is free', () => {
    const store = open();
    for (const expected of five) take(store, expected);
    reboot();
    writeFileSync(recordOf('10.1.0.2'), '');
    utimesSync(recordOf('10.1.0.2'), 1_000_000, 1_000_000);
    assert.equal(take(open(), 'new'), '10.1.0.2');
  });
});

describe('a damaged record', () => {
  for (const [what, content] of [
    ['empty', ''],
    ['truncated', '{"containerId":"c1","ifna'],
    ['of another shape', '[1, 2]'],
    ['binary', '\u0000\u0001\u0002'],
  ] as const) {
    it(`that is ${what} keeps its address from others`, () => {
      const store = open();
      const address = take(store, 'c1');
      writeFileSync(recordOf(address), content);
      assert.notEqual(take(open(), 'c2'), address);
      assert.equal(store.ownerOf(ip(address)), 'unreadable');
    });

    it(`that is ${what} goes with its owner's release, or with a sweep that nobody claims it in`, () => {
      const store = open();
      const [first, second] = [take(store, 'c1'), take(store, 'c2')];
      for (const address of [first, second]) writeFileSync(recordOf(address), content);
      assert.equal(store.release(ip(first), pod('c1')), true);
      assert.deepEqual(store.sweep((owner) => owner !== 'unreadable').map(formatIp), [second]);
      assert.deepEqual(onDisk(), []);
    });
  }
});

describe('a sweep', () => {
  it('frees what nobody owns any more, and nothing else', () => {
    const store = open();
    const live = take(store, 'live');
    const gone = take(store, 'gone');
    const freed = store.sweep((owner) => owner !== 'unreadable' && owner.containerId === 'live');
    assert.deepEqual(freed.map(formatIp), [gone]);
    assert.deepEqual(onDisk(), [live]);
  });
});

describe('host-local’s allocations', () => {
  const record = (network: string, address: string, content: string) => {
    mkdirSync(join(hostLocalDir, network), { recursive: true });
    writeFileSync(join(hostLocalDir, network, address), content);
  };

  it('are taken, whichever network they belong to, but for files older than this boot', () => {
    record('cbr0', '10.1.0.2', 'old\r\neth0');
    record('cbr0', '10.1.0.3', 'stale\r\neth0');
    record('cbr0', 'last_reserved_ip.0', '10.1.0.3');
    record('cbr0', 'lock', '');
    utimesSync(join(hostLocalDir, 'cbr0/10.1.0.3'), 1_000_000, 1_000_000);
    assert.equal(take(open(), 'new'), '10.1.0.3');
  });

  it('end with the DEL of the container that they were made for', () => {
    record('cbr0', '10.1.0.2', 'old\r\neth0');
    releaseHostLocal(hostLocalDir, { containerId: 'old', ifname: 'net1' });
    releaseHostLocal(hostLocalDir, { containerId: 'other', ifname: 'eth0' });
    assert.ok(existsSync(join(hostLocalDir, 'cbr0/10.1.0.2')));
    releaseHostLocal(hostLocalDir, { containerId: 'old', ifname: 'eth0' });
    assert.equal(take(open(), 'new'), '10.1.0.2');
  });

  for (const [what, content] of [
    ['no interface, as of older versions', 'old'],
    ['white space', ' old\r\neth0 \n'],
  ] as const) {
    it(`end also where the file holds ${what}`, () => {
      record('cbr0', '10.1.0.2', content);
      releaseHostLocal(hostLocalDir, { containerId: 'old', ifname: 'eth0' });
      assert.equal(take(open(), 'new'), '10.1.0.2');
    });
  }
});

describe('the addresses of an attachment', () => {
  const six: RangeSet = [wholeSubnet(cidr('fd00::/120'))];
  const allocate = (store: AddressStore, requested: string[], sets = [small, six]) =>
    allocateAddresses({ store, sets, requested: requested.map(ip), owner: pod('c1') }).map(
      ({ address, length, gateway }) => `${formatIp(address)}/${length} via ${formatIp(gateway)}`,
    );

  it('are one out of each range set', () => {
    assert.deepEqual(allocate(open(), []), ['10.1.0.2/29 via 10.1.0.1', 'fd00::2/120 via fd00::1']);
  });

  it('are the requested ones where there are any', () => {
    assert.deepEqual(allocate(open(), ['fd00::77']), [
      '10.1.0.2/29 via 10.1.0.1',
      'fd00::77/120 via fd00::1',
    ]);
    assert.deepEqual(allocate(open(), ['fd00::78', '10.1.0.5']), [
      '10.1.0.5/29 via 10.1.0.1',
      'fd00::78/120 via fd00::1',
    ]);
  });

  for (const [requested, message] of [
    [['10.1.0.1'], /^requested ip 10\.1\.0\.1 is subnet's gateway$/],
    [['10.9.0.9'], /^failed to allocate all requested IPs: 10\.9\.0\.9$/],
    [['10.1.0.3', '10.1.0.4'], /^failed to allocate all requested IPs: 10\.1\.0\.4$/],
    [['fd00::99'], /^requested IP address fd00::99 is not available in range set fd00::1-fd00::ff/],
  ] as const) {
    it(`are all refused where ${requested.join(' and ')} cannot be had, and nothing is kept`, () => {
      const store = open();
      store.allocateRequested(six, { address: ip('fd00::99'), owner: pod('other') });
      assert.throws(() => allocate(store, [...requested]), refusedWith('address-not-available', message));
      assert.deepEqual(onDisk(), ['fd00::99']);
    });
  }

  it('name directory and remedy where they cannot be kept', () => {
    writeFileSync(join(runDir, 'ipam'), 'a file where a directory should be');
    assert.throws(
      () => allocate(open(), []),
      refusedWith('input-output', /cannot keep the addresses.*ENOTDIR|EEXIST/),
    );
  });
});
