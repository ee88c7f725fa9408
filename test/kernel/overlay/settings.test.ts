/** The host's settings that pods' packets depend on: set, kept, and reported where they cannot be. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { everything } from '../../../agent/reconcile/trigger.ts';
import { desiredSettings } from '../../../agent/sysctl/desired-settings.ts';
import { SettingsPart, type SettingsPartOptions } from '../../../agent/sysctl/settings-part.ts';
import { within } from '../../../kernel/netns.ts';
import { ensureSysctl } from '../../../kernel/sysctl.ts';
import { families, Ground, run } from './ground.ts';
import { listen } from './listen.ts';

for (const family of ['ipv4', 'ipv6'] as const) {
  describe(`settings of a node with ${family}`, () => {
    let ground: Ground;
    beforeEach(() => {
      ground = new Ground(family);
      ground.ip('link', 'add', families[family].device, 'type', 'bridge');
      ground.ip('link', 'add', 'cni0', 'type', 'bridge');
    });
    afterEach(() => ground.close());

    const inside = (...command: string[]) => run('ip', 'netns', 'exec', ground.name, ...command).trim();
    const set = (key: string, value: string) => inside('sysctl', '-qw', `${key}=${value}`);
    const get = (key: string) => inside('sysctl', '-n', key);

    function partWith(change: Partial<SettingsPartOptions> = {}): SettingsPart {
      return new SettingsPart({
        rtnl: ground.rtnl,
        set: ensureSysctl,
        links: () => ({ bridges: ['cni0'], egress: ['eth0'] }),
        unmasqueraded: () => false,
        ...change,
      });
    }

    const pass = { reasons: [], failed: [], ...everything };
    const reconcile = (part: SettingsPart, type: 'vxlan' | 'auto' = 'vxlan') => {
      const backend = { type, vni: 1, port: 8472, mtuBytes: undefined };
      const host = { families: [ground.state([], { backend })], underlayProblems: [] };
      return within(ground.netns, () => part.reconcile(host, pass));
    };

    it('nothing to change: nothing is done', () => {
      const part = partWith();
      reconcile(part);
      assert.deepEqual(reconcile(part), { done: [], problems: [], retryInMs: undefined });
    });

    if (family === 'ipv4') {
      for (const link of ['eth0', 'weft/1', 'cni0']) {
        it(`forwarding off on ${link}: switched on, and after it was switched off again`, () => {
          const key = `net.ipv4.conf.${link}.forwarding`;
          const part = partWith();
          for (let i = 0; i < 3; i++) {
            set(key, '0');
            assert.equal(reconcile(part).done.length, 1);
            assert.equal(get(key), '1');
          }
        });
      }

      const strict: [
        what: string,
        key: string,
        part: Partial<SettingsPartOptions>,
        type: 'vxlan' | 'auto',
        loose: string[],
      ][] = [
        ['of all interfaces, masquerade on', 'all', {}, 'vxlan', ['weft/1']],
        [
          'of all interfaces, masquerade off',
          'all',
          { unmasqueraded: () => true },
          'vxlan',
          ['weft/1', 'eth0'],
        ],
        ['of eth0, masquerade off', 'eth0', { unmasqueraded: () => true }, 'vxlan', ['eth0']],
        ['of eth0, backend auto', 'eth0', {}, 'auto', ['eth0']],
        ['of the tunnel, masquerade on', 'weft/1', {}, 'vxlan', ['weft/1']],
      ];
      for (const [what, key, options, type, loose] of strict) {
        it(`strict rp_filter ${what}: loose on ${loose.join(' and ')} only`, () => {
          set(`net.ipv4.conf.${key}.rp_filter`, '1');
          reconcile(partWith(options), type);
          const found = ['eth0', 'weft/1', 'cni0'].filter(
            (link) => get(`net.ipv4.conf.${link}.rp_filter`) === '2',
          );
          assert.deepEqual(found.toSorted(), loose.toSorted());
        });
      }
    } else {
      it('IPv6 off on the bridge: switched on', () => {
        set('net.ipv6.conf.cni0.disable_ipv6', '1');
        reconcile(partWith());
        assert.equal(get('net.ipv6.conf.cni0.disable_ipv6'), '0');
      });

      it('default route from router advertisements: accept_ra is 2 before forwarding is on', () => {
        ground.ip('link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'wire1');
        ground.ip('link', 'set', 'eth1', 'up');
        ground.ip('-6', 'route', 'add', 'default', 'via', 'fe80::1', 'dev', 'eth1', 'proto', 'ra');
        const { done } = reconcile(partWith());
        assert.equal(get('net.ipv6.conf.eth1.accept_ra'), '2');
        const order = done.map((line) => line.split(':')[0]);
        assert.ok(
          order.indexOf('net/ipv6/conf/eth1/accept_ra') < order.indexOf('net/ipv6/conf/all/forwarding'),
        );
        assert.match(ground.ip('-6', 'route', 'show', 'default'), /proto ra/);
      });
    }

    it('setting that cannot be written: named with what fails and the remedy, the others are set', () => {
      const forwarding = family === 'ipv4' ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding';
      const part = partWith({
        set: (key, value) => {
          if (key === forwarding) throw new Error('EROFS: read-only file system');
          return ensureSysctl(key, value);
        },
      });
      set(forwarding.replaceAll('/', '.'), '0');
      const { problems, retryInMs } = reconcile(part);
      assert.equal(problems.length, 1);
      assert.match(
        problems[0] ?? '',
        /=1 is needed: pods are not routed \(EROFS.*; set it on the host \(\/etc\/sysctl\.d\)/,
      );
      assert.ok(retryInMs);
      if (family === 'ipv4') assert.equal(get('net.ipv4.conf.cni0.forwarding'), '1');
    });

    it('forwarding switched off: the notification makes a pass due, and that pass switches it on', async () => {
      const key = families[family].forwarding;
      const part = partWith();
      reconcile(part);
      const listening = listen(ground, (message) => part.observe(message));
      try {
        set(key, '0');
        assert.ok((await listening.told()).includes('forwarding off'));
        reconcile(part);
        assert.equal(get(key), '1');
        await listening.told();
        assert.deepEqual(reconcile(part).done, []);
      } finally {
        await listening.stop();
      }
    });

    it('setting that another program keeps changing: set ever more slowly, and named', () => {
      const key = families[family].forwarding;
      const part = partWith();
      let repairs = 0;
      let problems: readonly string[] = [];
      for (let i = 0; i < 30; i++) {
        set(key, '0');
        const outcome = reconcile(part);
        problems = outcome.problems;
        if (get(key) === '1') repairs++;
      }
      assert.ok(repairs < 15, `${repairs} repairs`);
      assert.match(
        problems.join(),
        /another program keeps changing it from 1, and without it pods are not routed/,
      );
    });
  });
}

describe('desired settings', () => {
  it('interfaces that a packet passes: each once, in both roles', () => {
    const ground = new Ground('ipv4');
    try {
      const state = ground.state([]);
      const input = {
        families: [state],
        bridges: ['cni0'],
        egress: ['eth0', 'eth1'],
        advertised: [],
        unmasqueraded: false,
      };
      const forwarded = within(ground.netns, () => desiredSettings(input))
        .map(({ key }) => key)
        .filter((key) => key.endsWith('/forwarding'));
      assert.deepEqual(
        forwarded,
        ['eth0', 'weft.1', 'cni0', 'eth1'].map((link) => `net/ipv4/conf/${link}/forwarding`),
      );
    } finally {
      ground.close();
    }
  });
});
