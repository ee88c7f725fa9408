/** What the checks look at: a host with weft or before it, with an agent or without. */
import type { Cidr } from '../../inet/cidr.ts';
import { openRtnl, type Rtnl } from '../../kernel/netlink/rtnl.ts';
import { type Nfnl, openNfnl } from '../../kernel/nft/nfnetlink.ts';
import { silentLog } from '../../log/log.ts';
import type { Attachment } from '../../plugin/attach/attachment.ts';
import type { Config } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import { PodRecords } from '../records.ts';
import { type SavedHost, withSavedHost } from '../saved-host.ts';
import { type Answer, askStatus } from '../status/ask-agent.ts';
import type { LiveStatus } from '../status/live.ts';
import { HostUnderlay } from '../underlay/host-underlay.ts';
import type { StoreLook } from './store-look.ts';
import { StoreReader } from './store-reader.ts';

export interface DoctorHost {
  readonly config: Config;
  /** The configuration's name, for messages. */
  readonly file: string;
  readonly agent: Answer<LiveStatus>;
  /** Lease, peers and identity, as an agent saved them; undefined before the first lease. */
  readonly saved: SavedHost | undefined;
  /** Why there is none. */
  readonly unsaved: string;
  readonly underlay: HostUnderlay;
  readonly pods: readonly Attachment[];
  readonly rtnl: Rtnl;
  readonly nfnl: Nfnl;
  /** Asked once, at the first call. */
  store(): Promise<StoreLook>;
  readonly signal: AbortSignal;
}

/** This node's subnets; empty before the first lease. */
export const subnetsOf = ({ saved }: Pick<DoctorHost, 'saved'>): readonly Cidr[] =>
  saved?.saved.lease.subnets ?? [];

/** Hands the host to a block, and closes what was opened. */
export async function withDoctorHost<T>(
  given: { readonly config: Config; readonly file: string },
  block: (host: DoctorHost) => Promise<T>,
): Promise<T> {
  let reached = false;
  try {
    return await withSavedHost(given, (saved) => {
      reached = true;
      return examined(given, { saved, unsaved: '', underlay: saved.underlay, signal: saved.signal }, block);
    });
  } catch (error) {
    if (reached || !(error instanceof AgentError)) throw error;
    return withoutLease(given, error.message, block);
  }
}

async function withoutLease<T>(
  given: { readonly config: Config; readonly file: string },
  unsaved: string,
  block: (host: DoctorHost) => Promise<T>,
): Promise<T> {
  const end = new AbortController();
  const { signal } = end;
  const { config, file } = given;
  try {
    const underlay = await HostUnderlay.find({
      config: () => config,
      file,
      announced: [],
      readOnly: true,
      log: silentLog,
      signal,
    });
    return await examined(given, { saved: undefined, unsaved, underlay, signal }, block);
  } finally {
    end.abort();
  }
}

async function examined<T>(
  { config, file }: { readonly config: Config; readonly file: string },
  known: Pick<DoctorHost, 'saved' | 'unsaved' | 'underlay' | 'signal'>,
  block: (host: DoctorHost) => Promise<T>,
): Promise<T> {
  const rtnl = openRtnl();
  const nfnl = openNfnl();
  const store = new StoreReader(config, known.signal);
  try {
    return await block({
      ...known,
      config,
      file,
      agent: await askStatus(config.listen),
      pods: new PodRecords(config.runDir).attachments,
      rtnl,
      nfnl,
      store: () => store.look(),
    });
  } finally {
    store.close();
    nfnl.close();
    rtnl.close();
  }
}
