/** The underlay of this host as it is now: configuration and kernel in, a choice out. */
import type { Ip } from '../../inet/ip.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import type { Config } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import { chooseUnderlay, type Underlay, type UnderlayWish } from './choose.ts';
import { underlayFacts } from './facts.ts';

export interface FindOptions extends Pick<UnderlayWish, 'known' | 'stays' | 'storeProblem'> {
  readonly config: Pick<Config, 'underlay' | 'networks' | 'publicIps'>;
  /** The configuration's name, for messages. */
  readonly file: string;
  /** Used by nobody else meanwhile. */
  readonly rtnl: Rtnl;
  readonly storeAddresses: readonly Ip[];
  readonly inUse?: (address: Ip) => string | undefined;
}

/**
 * Reads the host and chooses.
 *
 * @throws AgentError `underlay`, `overlap`; KernelError
 */
export async function findUnderlay(options: FindOptions): Promise<Underlay> {
  const { config, file, rtnl, ...wish } = options;
  const { underlay: choices, networks, publicIps } = config;
  try {
    const reached = choices.flatMap((choice) => (choice.kind === 'reach' ? [choice.address] : []));
    const facts = await underlayFacts(rtnl, [...wish.storeAddresses, ...reached]);
    return chooseUnderlay({ ...wish, choices, networks, publicIps, facts });
  } catch (error) {
    if (error instanceof AgentError) throw new AgentError(error.code, `${file}: ${error.message}`);
    throw error;
  }
}

/** What a choice depends on besides the host: another text means that what was chosen before does not bind. */
export const choiceKey = ({
  underlay,
  networks,
  publicIps,
  store,
}: Pick<Config, 'underlay' | 'networks' | 'publicIps' | 'store'>): string =>
  JSON.stringify(
    [underlay, networks, publicIps, store.type === 'etcd' ? store.endpoints.map(({ host }) => host) : 'file'],
    (_, value) => (typeof value === 'bigint' ? value.toString() : value),
  );
