/** A result of any version → `CniResult`. Both shapes are told apart by their keys, not by the version they claim. */
import { CniError } from '../errors.ts';
import { asString, Fields } from './fields.ts';
import type { CniAddress, CniInterface, CniResult } from './result.ts';
import { decodeDns, decodeRoute } from './routes.ts';
import { asInterfaceAddress, asIp } from './scalars.ts';

/** `path` is for messages. CniError (6, 7) for what is no result. */
export function decodeResult(value: unknown, path: string): CniResult {
  const fields = Fields.of(value, path);
  const dns = decodeDns(fields.object('dns'));
  const families = [fields.object('ip4'), fields.object('ip6')].flatMap((each) => each ?? []);
  if (families.length > 0) {
    return {
      interfaces: [],
      ips: families.map(decodeOldAddress),
      routes: families.flatMap((each) => each.list('routes', decodeRoute)),
      dns,
    };
  }
  return {
    interfaces: fields.list('interfaces', decodeInterface),
    ips: fields.list('ips', decodeAddress),
    routes: fields.list('routes', decodeRoute),
    dns,
  };
}

function decodeInterface(value: unknown, path: string): CniInterface {
  const fields = Fields.of(value, path);
  return {
    name: asString(fields.raw('name') ?? '', fields.at('name')),
    mac: fields.string('mac'),
    mtu: fields.integer('mtu'),
    sandbox: fields.string('sandbox'),
    socketPath: fields.string('socketPath'),
    pciId: fields.string('pciID'),
  };
}

function decodeAddress(value: unknown, path: string): CniAddress {
  const fields = Fields.of(value, path);
  const index = fields.integer('interface');
  if (index !== undefined && index < 0) {
    throw new CniError('invalid-config', `${fields.at('interface')} must not be negative, as ${index} is`);
  }
  return { ...addressIn(fields, 'address'), interface: index };
}

const decodeOldAddress = (fields: Fields): CniAddress => addressIn(fields, 'ip');

function addressIn(fields: Fields, key: string): Omit<CniAddress, 'interface'> {
  const gateway = fields.string('gateway');
  return {
    address: asInterfaceAddress(fields.raw(key) ?? '', fields.at(key)),
    gateway: gateway === undefined ? undefined : asIp(gateway, fields.at('gateway')),
  };
}
