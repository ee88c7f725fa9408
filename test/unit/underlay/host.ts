/** Hosts as tests need them: `host('eth0 10.0.2.15/24 via 10.0.2.2', 'eth1 192.168.188.101/24')`. */
import type { UnderlayFacts } from '../../../agent/underlay/facts.ts';
import { cidr, everything, networkOf, parseInterfaceAddress } from '../../../inet/cidr.ts';
import { ip } from '../../../inet/ip.ts';

/**
 * Each line is an interface: its name, its addresses, then words. `via GATEWAY` is a default route, `via
 * GATEWAY metric N` one of that metric, `to NETWORK` a route; `down`, `loopback`, `kind KIND`, `mtu N`;
 * after an address: `link` (scope), `tentative`, `deprecated`, `temporary`, `secondary`, `dynamic`.
 */
export function host(...lines: readonly string[]): UnderlayFacts {
  const all = ['lo 127.0.0.1/8 ::1/128 loopback', ...lines];
  return all.reduce<UnderlayFacts>(
    (facts, line, n) => {
      const one = linkFrom(line, n + 1);
      return {
        links: [...facts.links, ...one.links],
        addresses: [...facts.addresses, ...one.addresses],
        routes: [...facts.routes, ...one.routes],
      };
    },
    { links: [], addresses: [], routes: [] },
  );
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function linkFrom(line: string, index: number): UnderlayFacts {
  const [name = '', ...words] = line.split(' ');
  const link: Mutable<UnderlayFacts['links'][number]> = {
    index,
    name,
    kind: undefined,
    mtuBytes: 1500,
    up: true,
    loopback: false,
  };
  const addresses: Mutable<UnderlayFacts['addresses'][number]>[] = [];
  const routes: Mutable<UnderlayFacts['routes'][number]>[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const parsed = parseInterfaceAddress(word);
    const last = addresses.at(-1);
    const next = () => words.shift() ?? '';
    if (parsed) {
      addresses.push({
        ...parsed,
        index,
        scope: word.startsWith('fe80') ? 253 : 0,
        tentative: false,
        duplicate: false,
        deprecated: false,
        permanent: true,
        temporary: false,
        secondary: false,
      });
      routes.push({ destination: networkOf(parsed.address, parsed.length), index, source: parsed.address });
    } else if (word === 'via') {
      const gateway = ip(next());
      routes.push({ destination: everything(gateway.family), index, gateway });
    } else if (word === 'to') routes.push({ destination: cidr(next()), index });
    else if (word === 'metric') {
      const route = routes.at(-1);
      if (route) route.priority = Number(next());
    } else if (word === 'down') link.up = false;
    else if (word === 'loopback') link.loopback = true;
    else if (word === 'kind') link.kind = next();
    else if (word === 'mtu') link.mtuBytes = Number(next());
    else if (last && word === 'link') last.scope = 253;
    else if (last && word === 'dynamic') last.permanent = false;
    else if (last && ['tentative', 'deprecated', 'temporary', 'secondary'].includes(word))
      last[word as 'tentative' | 'deprecated' | 'temporary' | 'secondary'] = true;
    else throw new Error(`host(): ${word}?`);
  }
  return { links: [link], addresses, routes };
}
