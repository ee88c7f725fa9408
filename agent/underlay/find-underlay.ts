/** The underlay of this host, as it is now: configuration and kernel in, a choice out. */
import { lookup } from 'node:dns/promises';
import { type Ip, parseIp } from '../../inet/ip.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { reasonOf } from '../../problem/reason.ts';
import type { Config, StoreConfig } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import { chooseUnderlay, type Underlay } from './choose.ts';
import { underlayFacts } from './facts.ts';

/** Turns a name into addresses; throws where it cannot. */
export type Resolve = (name: string) => Promise<readonly string[]>;

const systemResolve: Resolve = async (name) =>
  (await lookup(name, { all: true })).map(({ address }) => address);

/**
 * Finds the underlay; `file` is the configuration's name, which messages begin with.
 *
 * @throws AgentError `underlay`, `overlap`; KernelError
 */
export async function findUnderlay(options: {
  readonly config: Config;
  readonly file: string;
  readonly rtnl: Rtnl;
  /** The addresses that were chosen before: another is no reason to leave them. */
  readonly known: readonly Ip[];
  readonly resolve?: Resolve;
}): Promise<Underlay> {
  const { config, file, rtnl } = options;
  const { underlay: choices, networks, publicIps, store } = config;
  try {
    const automatic = choices.some(({ kind }) => kind === 'auto');
    const addresses = automatic ? await storeAddresses(store, options.resolve ?? systemResolve) : [];
    return chooseUnderlay({
      choices,
      networks,
      publicIps,
      storeAddresses: addresses,
      known: options.known,
      facts: underlayFacts(rtnl),
    });
  } catch (error) {
    if (error instanceof AgentError) throw new AgentError(error.code, `${file}: ${error.message}`);
    throw error;
  }
}

/**
 * Where the store is; empty for a store of this machine's.
 *
 * @throws AgentError `underlay` where no endpoint's name can be resolved: to go by the default route until the
 *   name server is back would give the node another address from one start to the next
 */
export async function storeAddresses(store: StoreConfig, resolve: Resolve): Promise<Ip[]> {
  if (store.type === 'file') return [];
  const found: Ip[] = [];
  const failures: string[] = [];
  for (const { host } of store.endpoints) {
    const address = parseIp(host);
    if (address) {
      found.push(address);
      continue;
    }
    try {
      found.push(...(await resolve(host)).flatMap((text) => parseIp(text) ?? []));
    } catch (error) {
      failures.push(reasonOf(error));
    }
  }
  if (found.length > 0 || failures.length === 0) return found;
  throw new AgentError(
    'underlay',
    `underlay: auto goes by the route to the store, whose name cannot be resolved (${failures.join(', ')}); write addresses in store.endpoints, or name the underlay`,
  );
}
