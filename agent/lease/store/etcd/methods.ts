/** The ten methods of etcd's API that weft calls, with the part of their messages that it uses. */
import { definitions } from './definitions.ts';
import { Codec } from './wire.ts';

export interface Method<Request extends object, Response> {
  /** `/etcdserverpb.KV/Range` */
  readonly path: string;
  readonly encode: (request: Request) => Buffer;
  readonly decode: (bytes: Buffer) => Response;
}

export interface Header {
  readonly revision: string;
}

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  /** int64 as decimal text, here and elsewhere. */
  readonly modRevision: string;
  readonly lease: string;
}

interface RangeRequest {
  readonly key: Buffer;
  readonly rangeEnd?: Buffer;
  /** At most this many keys. */
  readonly limit?: string;
  /** As of this revision. */
  readonly revision?: string;
}

export interface RangeResponse {
  readonly header: Header;
  readonly kvs: readonly KeyValue[];
  /** The limit left out some. */
  readonly more: boolean;
}

export const compareEqual = 0;
export const compareModRevision = 2;

export interface TxnRequest {
  readonly compare: readonly {
    /** By number: the package spells etcd's names in a way of its own. */
    readonly result: number;
    readonly target: number;
    readonly key: Buffer;
    readonly modRevision: string;
  }[];
  readonly success: readonly (
    | { readonly requestRange: RangeRequest }
    | { readonly requestPut: { readonly key: Buffer; readonly value: Buffer; readonly lease: string } }
    | { readonly requestDeleteRange: { readonly key: Buffer } }
  )[];
}

export interface TxnResponse {
  readonly header: Header;
  readonly succeeded: boolean;
  readonly responses: readonly { readonly responseRange?: RangeResponse }[];
}

export interface WatchEvent {
  /** 0: put, 1: delete. */
  readonly type: number;
  readonly kv: KeyValue;
}

export interface WatchResponse {
  readonly header: Header;
  readonly watchId: string;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compactRevision: string;
  readonly cancelReason: string;
  readonly fragment: boolean;
  readonly events: readonly WatchEvent[];
}

export type WatchRequest =
  | {
      readonly createRequest: {
        readonly key: Buffer;
        readonly rangeEnd: Buffer;
        readonly startRevision: string;
        readonly progressNotify: boolean;
        readonly fragment: boolean;
      };
    }
  | { readonly progressRequest: Record<string, never> };

interface LeaseId {
  readonly ID: string;
}

const codec = new Codec(definitions);

function method<Request extends object, Response>(name: string): Method<Request, Response> {
  const types = definitions.methods[name];
  if (!types) throw new Error(`etcd's definitions have no ${name}`);
  return {
    path: `/etcdserverpb.${name.replace('.', '/')}`,
    encode: (value) => codec.encode(types.request, value),
    decode: (bytes) => codec.decode(types.response, bytes) as Response,
  };
}

export const range = method<RangeRequest, RangeResponse>('KV.Range');
export const txn = method<TxnRequest, TxnResponse>('KV.Txn');
export const watch = method<WatchRequest, WatchResponse>('Watch.Watch');
export const leaseGrant = method<{ readonly TTL: string }, LeaseId & { readonly TTL: string }>(
  'Lease.LeaseGrant',
);
export const leaseRevoke = method<LeaseId, object>('Lease.LeaseRevoke');
export const leaseKeepAlive = method<LeaseId, LeaseId & { readonly TTL: string }>('Lease.LeaseKeepAlive');
export const leaseTimeToLive = method<LeaseId, { readonly TTL: string; readonly grantedTTL: string }>(
  'Lease.LeaseTimeToLive',
);
export const authenticate = method<
  { readonly name: string; readonly password: string },
  { readonly token: string }
>('Auth.Authenticate');
