/** What pods of ranges of their own send out gets the node's address; the leased subnet is the agent's affair. */
import { protocolOf } from '../../../kernel/nft/field.ts';
import type { Part } from '../../../kernel/nft/part.ts';
import { inetTable } from '../table.ts';
import { atHome, masqueraded, masqueradeSets } from './sets.ts';

const multicast = { ipv4: '224.0.0.0/4', ipv6: 'ff00::/8' } as const;

export const masqueradePart: Part = {
  ...inetTable,
  name: 'pod-masquerade',
  sets: masqueradeSets,
  chains: [
    {
      name: 'pod-masquerade',
      base: 'type nat hook postrouting priority srcnat; policy accept;',
      rules: (['ipv4', 'ipv6'] as const).flatMap((family) => {
        const ip = protocolOf(family);
        return [
          `${ip} daddr ${multicast[family]} return`,
          `${ip} saddr . oifname @${atHome(family).name} return`,
          `${ip} saddr @${masqueraded(family).name} masquerade fully-random`,
        ];
      }),
    },
  ],
};
