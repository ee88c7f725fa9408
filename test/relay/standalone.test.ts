/** The standalone plugin starts from compiled code where that is its own, and without it anywhere else. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const weft = fileURLToPath(new URL('../../../dist/cni/weft', import.meta.url));

/** Runs a script where /run is empty and the network is nobody's; `del` there is a DEL by the relay. */
function inside(script: string): string {
  const prologue = `set -e; mount --make-rprivate /; mount -t tmpfs none /run; compiled=/run/weft/compiled/DEL
    del() { echo '{"cniVersion":"1.0.0","name":"weft"}' |
      CNI_COMMAND=DEL CNI_CONTAINERID=c1 CNI_IFNAME=eth0 ${weft}; }
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

describe('what node loads for one call', () => {
  it('is none of what takes longer to load than the call takes', () => {
    const script = `cat > /run/list.cjs <<'END'
process.on('exit', () => require('node:fs').writeFileSync('/run/loaded', process.moduleLoadList.join('\\n')));
END
NODE_OPTIONS='--require /run/list.cjs' del; cat /run/loaded`;
    const loaded = new Set(inside(script).split('\n'));
    assert.ok(loaded.has('NativeModule vm'), 'the standalone plugin has not run');
    for (const module of [
      'child_process',
      'crypto',
      'module',
      'net',
      'perf_hooks',
      'stream',
      'timers/promises',
    ])
      assert.ok(!loaded.has(`NativeModule ${module}`), `${module} is loaded`);
  });
});
