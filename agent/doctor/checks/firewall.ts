/** Other firewalls: chains that drop what pods and the tunnel need, and rules that drop the tunnel's port by name. */

import { runNft } from '../../../kernel/nft/run.ts';
import { chains } from '../../../kernel/nft/state.ts';
import { inetTable } from '../../../plugin/attach/table.ts';
import { chainsOf, planForeign } from '../../firewall/foreign.ts';
import { planLegacyRules } from '../../firewall/legacy/legacy.ts';
import { surveyForeign } from '../../firewall/survey.ts';
import { hostPartsOf, passagesFor } from '../desired-firewall.ts';
import { type Check, type Finding, orOk } from '../finding.ts';
import { dropsOfPort } from '../port-drops.ts';

export const firewall: Check = {
  name: 'firewall',
  title: 'Other firewalls',
  look: (host) => {
    const passages = passagesFor(host);
    const survey = surveyForeign(host.nfnl);
    const closed = [...planForeign(passages, survey)].map(
      ([chain]): Finding => ({
        severity: host.agent.kind === 'running' ? 'failed' : host.saved ? 'failed' : 'warning',
        subject: chain,
        found: "drops or rejects what it does not know, and no rule lets weft's packets pass before that",
        wanted: "weft's rule in this chain, which weftd adds and restores",
        remedy: 'systemctl start weftd, or accept packets with mark 0x1000/0x1000 there',
      }),
    );
    const legacy = planLegacyRules(passages).map(
      (text): Finding => ({
        severity: host.saved ? 'failed' : 'warning',
        subject: 'iptables-legacy',
        found: text,
        wanted: "weft's rule, which weftd adds and restores",
        remedy: 'systemctl start weftd',
      }),
    );
    const seen = survey.flatMap(chainsOf).length;
    return orOk(
      [...closed, ...legacy, ...portDrops(host)],
      `${seen} chains of others, all let weft's packets pass`,
    );
  },
};

/** A rule that names the port is an operator's decision, and weft leaves it in force. */
function portDrops({ config: { backend }, saved }: Parameters<Check['look']>[0]): Finding[] {
  if (!hostPartsOf(saved).hasTunnel) return [];
  return dropsOfPort(JSON.parse(runNft(['-j', 'list', 'ruleset'])), {
    port: backend.port,
    except: inetTable.table,
  }).map(
    ({ chain, handle, hook }): Finding => ({
      severity: 'failed',
      subject: chain,
      found: `drops UDP port ${backend.port} ${hook === 'output' ? 'to peers' : 'from peers'}, which cuts the tunnel`,
      wanted: `UDP port ${backend.port} open between the nodes`,
      remedy: `nft delete rule ${chain} handle ${handle}`,
    }),
  );
}

/** Which other firewalls there are, by the tables that they make. */
export const firewallPrograms: Check = {
  name: 'firewall-programs',
  title: 'Firewall programs',
  look: ({ nfnl }) => {
    const tables = new Set(chains(nfnl).map(({ table, name }) => `${table} ${name}`));
    const has = (pattern: RegExp): boolean => [...tables].some((each) => pattern.test(each));
    const found = [
      ...(has(/^firewalld /) ? ['firewalld'] : []),
      ...(has(/ ufw-/) ? ['ufw'] : []),
      ...(has(/ DOCKER/) ? ['Docker'] : []),
      ...(has(/ KUBE-| kube-proxy|^kube-proxy /) ? ['kube-proxy'] : []),
    ];
    return orOk([], found.length ? `${found.join(', ')}: weft's rules are let past them` : 'none known');
  },
};
