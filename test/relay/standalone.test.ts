/** The standalone plugin starts from compiled code where that is its own, and without it anywhere else. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const weft = fileURLToPath(new URL('../../../dist/cni/weft', import.meta.url));

/** Runs a script where /run is empty and the network is nobody's; `add` and `del` there are calls of
 * the relay. */
function inside(script: string): string {
  const prologue = `set -e; mount --make-rprivate /; mount -t tmpfs none /run; compiled=/run/weft/compiled/DEL
    del() { echo '{"cniVersion":"1.0.0","name":"weft"}' |
      CNI_COMMAND=DEL CNI_CONTAINERID=c1 CNI_IFNAME=eth0 ${weft}; }
    add() { ip netns add $1; echo '{"cniVersion":"1.0.0","name":"weft","type":"weft","ipspoofchk":true,
      "ipam":{"type":"host-local","ranges":[[{"subnet":"10.99.0.0/24"}]]}}' |
      CNI_COMMAND=ADD CNI_CONTAINERID=$1 CNI_IFNAME=eth0 CNI_NETNS=/run/netns/$1 ${weft}; }
    inode() { stat -c %i $compiled; }\n`;
  const run = spawnSync('unshare', ['-n', '-m', 'sh', '-c', prologue + script], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout.trim();
}

describe('the code compiled for the standalone plugin', () => {
  it('is kept from the first call on, for its owner only', () => {
    assert.equal(inside('del; stat -c %a $compiled'), '600');
  });

  it('is kept as it is while it serves', () => {
    assert.equal(inside('del; before=$(inode); del; [ $before = $(inode) ] && echo same'), 'same');
  });

  const unusable: Readonly<Record<string, string>> = {
    "is another bundle's": 'sed -i "1s/^.../xyz/" $compiled',
    'is of another boot': 'sed -i "1s/-/+/" $compiled',
    'is torn': 'truncate -s 500 $compiled',
    'is empty': ': > $compiled',
    'may be written by others': 'chmod 666 $compiled',
    'belongs to somebody else': 'chown 65534 $compiled',
  };
  for (const [what, spoil] of Object.entries(unusable)) {
    it(`is learned again if it ${what}`, () => {
      assert.equal(
        inside(`del; ${spoil}; before=$(inode); del; [ $before != $(inode) ] && echo anew`),
        'anew',
      );
    });
  }

  it('is done without where it cannot be kept', () => {
    assert.equal(inside('del; rm -r /run/weft/compiled; : > /run/weft/compiled; del; echo done'), 'done');
  });
});

/** What takes longer to load than a call takes. */
const heavy = ['child_process', 'crypto', 'module', 'net', 'perf_hooks', 'stream', 'timers/promises'];

describe('what node loads for one call', () => {
  const listing = `cat > /run/list.cjs <<'END'
process.on('exit', () => require('node:fs').writeFileSync('/run/loaded', process.moduleLoadList.join('\\n')));
END
`;
  const calls: Readonly<Record<string, string>> = {
    DEL: `NODE_OPTIONS='--require /run/list.cjs' del >&2; cat /run/loaded`,
    // The first on a host is longer: it runs nft for the rules that look at pods' addresses.
    'ADD of a pod whose addresses are checked': `add p1 >&2
NODE_OPTIONS='--require /run/list.cjs' add p2 >&2; cat /run/loaded`,
  };
  for (const [call, script] of Object.entries(calls)) {
    it(`is none of what takes longer to load than the call takes: ${call}`, () => {
      const loaded = new Set(inside(listing + script).split('\n'));
      assert.ok(loaded.has('NativeModule vm'), 'the standalone plugin has not run');
      assert.deepEqual(
        heavy.filter((module) => loaded.has(`NativeModule ${module}`)),
        [],
      );
    });
  }
});
