/**
 * The part of etcd's protocol definitions that weft uses, as data. They are read out of the npm package `etcd3`,
 * of which weft uses nothing else. A bundle has this module's result inside in place of it
 * (scripts/build/bundle.ts): reading definitions costs an agent 60 ms and 5 MB, the result next to nothing.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import protobuf from 'protobufjs';
import type { Definitions, FieldShape } from './wire.ts';

const methods = [
  ...['KV.Range', 'KV.Txn', 'Watch.Watch', 'Auth.Authenticate'],
  ...['Lease.LeaseGrant', 'Lease.LeaseRevoke', 'Lease.LeaseKeepAlive', 'Lease.LeaseTimeToLive'],
];

export const definitions: Definitions = readDefinitions();

function readDefinitions(): Definitions {
  const { resolve } = createRequire(import.meta.url);
  const root = new protobuf.Root();
  // In the order in which they import each other.
  for (const name of ['kv', 'auth', 'rpc']) {
    protobuf.parse(readFileSync(resolve(`etcd3/proto/${name}.proto`), 'utf8'), root, { keepCase: false });
  }
  root.resolveAll();
  const messages: Record<string, readonly FieldShape[]> = {};
  const include = (type: protobuf.Type): string => {
    if (!messages[type.name]) {
      // Before its fields: a message may contain itself.
      messages[type.name] = [];
      messages[type.name] = type.fieldsArray.map((field) => ({
        id: field.id,
        name: field.name,
        type: typeOf(field),
        repeated: field.repeated,
      }));
    }
    return type.name;
  };
  const typeOf = ({ type, resolvedType }: protobuf.Field): string => {
    if (resolvedType instanceof protobuf.Type) return include(resolvedType);
    return resolvedType ? 'enum' : type;
  };
  const named = methods.map((name) => {
    const [service = '', method = ''] = name.split('.');
    const found = root.lookupService(`etcdserverpb.${service}`).methods[method];
    if (!found) throw new Error(`etcd's definitions have no ${name}`);
    const [request, response] = [found.requestType, found.responseType].map((type) =>
      include(root.lookupType(`etcdserverpb.${type}`)),
    );
    return [name, { request, response }];
  });
  return { methods: Object.fromEntries(named), messages };
}
