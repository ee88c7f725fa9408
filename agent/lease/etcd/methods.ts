/** The ten methods of etcd's API that weft calls, with the part of their messages that it uses. */
import protobuf from 'protobufjs';
import { protoFiles } from './proto-files.ts';

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
}

export interface RangeResponse {
  readonly header: Header;
  readonly kvs: readonly KeyValue[];
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

const root = new protobuf.Root();
for (const text of protoFiles) protobuf.parse(text, root, { keepCase: false });
root.resolveAll();

const shape: protobuf.IConversionOptions = {
  longs: String,
  enums: Number,
  bytes: Buffer,
  defaults: true,
  arrays: true,
  objects: true,
};

function method<Request extends object, Response>(service: string, name: string): Method<Request, Response> {
  const { requestType, responseType } = root.lookupService(`etcdserverpb.${service}`).methods[name] ?? {};
  if (requestType === undefined || responseType === undefined) {
    throw new Error(`etcd's definitions have no ${service}.${name}`);
  }
  const request = root.lookupType(`etcdserverpb.${requestType}`);
  const response = root.lookupType(`etcdserverpb.${responseType}`);
  return {
    path: `/etcdserverpb.${service}/${name}`,
    encode: (value) => Buffer.from(request.encode(request.fromObject(value)).finish()),
    decode: (bytes) => response.toObject(response.decode(bytes), shape) as Response,
  };
}

export const range = method<RangeRequest, RangeResponse>('KV', 'Range');
export const txn = method<TxnRequest, TxnResponse>('KV', 'Txn');
export const watch = method<WatchRequest, WatchResponse>('Watch', 'Watch');
export const leaseGrant = method<{ readonly TTL: string }, LeaseId & { readonly TTL: string }>(
  'Lease',
  'LeaseGrant',
);
export const leaseRevoke = method<LeaseId, object>('Lease', 'LeaseRevoke');
export const leaseKeepAlive = method<LeaseId, LeaseId & { readonly TTL: string }>('Lease', 'LeaseKeepAlive');
export const leaseTimeToLive = method<LeaseId, { readonly TTL: string; readonly grantedTTL: string }>(
  'Lease',
  'LeaseTimeToLive',
);
export const authenticate = method<
  { readonly name: string; readonly password: string },
  { readonly token: string }
>('Auth', 'Authenticate');
