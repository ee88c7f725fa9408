/** The verbs, for whoever answers calls: the long-lived agent, or a process that answers one. */
import type { Verbs } from '../protocol/request.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { del } from './del.ts';
import { gc } from './gc.ts';
import { Host, type HostOptions } from './host.ts';
import { status } from './status.ts';
import { sweep } from './sweep.ts';

export interface AttachVerbs extends Verbs {
  /** Frees what attachments hold whose namespace is gone: to be called now and then, see `sweep.ts`. */
  sweep(): Promise<void>;
  /** Closes what was kept open. No call may be running. */
  close(): void;
}

/** Nothing is opened before the first call. */
export function createVerbs(options: HostOptions): AttachVerbs {
  const host = new Host(options);
  return {
    add: (request) => add(host, request),
    del: ({ attachment, hostLocalDir: dataDir, opened }) =>
      del(host, attachment, { dataDir, opened: opened?.dataDir }),
    check: (request) => check(host, request),
    gc: (request) => gc(host, request),
    status: (request) => status(host, request),
    sweep: () => sweep(host),
    close: () => host.close(),
  };
}
