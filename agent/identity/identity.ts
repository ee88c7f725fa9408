/**
 * Who this node is, whatever its addresses are: an id drawn once and kept in stateDir. Peers and the store know
 * it by this id, so a changed address, or one that another node had before, is never mistaken for another node.
 *
 * The VXLAN devices' MACs follow from the id and are kept beside it: systemd (MACAddressPolicy=persistent) and
 * NetworkManager change MACs that nobody set, and peers send to the one they were told.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createFile } from '../../disk/replace-file.ts';
import type { Family } from '../../inet/ip.ts';
import { localUnicastMac, parseMac } from '../../inet/mac.ts';
import { isErrno } from '../../kernel/errno.ts';
import { reasonOf } from '../../problem/reason.ts';
import { AgentError } from '../errors.ts';
import { nodeNameOf } from '../lease/node-name.ts';

export interface Identity {
  /** A UUID. */
  readonly nodeId: string;
  /** Of the VXLAN device of each family. */
  readonly vtepMacs: Readonly<Record<Family, string>>;
}

export const identityPath = (stateDir: string): string => join(stateDir, 'node.json');

/** The node's name, for people: nothing depends on its being unique. */
export const nodeName = (): string => nodeNameOf(hostname());

/**
 * Reads the identity, or draws it where there is none; on disk before it is returned. `announced`: MACs that peers have
 * of this node already, for a new identity to go on with.
 *
 * @throws AgentError `state` where the file cannot be read or written, or is not ours
 */
export function ensureIdentity(stateDir: string, announced: Partial<Identity['vtepMacs']> = {}): Identity {
  const path = identityPath(stateDir);
  const known = readIdentity(path);
  if (known) return known;
  const identity = identityOf(randomUUID());
  const drawn = { ...identity, vtepMacs: { ...identity.vtepMacs, ...announced } };
  if (createFile({ path, content: formatIdentity(drawn) })) return drawn;
  const other = readIdentity(path);
  if (other) return other;
  throw new AgentError(
    'state',
    `failed to create ${path}: another program creates and removes it; stop that program, then start weftd`,
  );
}

/** The identity that follows from a node's id. */
export const identityOf = (nodeId: string): Identity => ({
  nodeId,
  vtepMacs: { ipv4: vtepMac(nodeId, 'ipv4'), ipv6: vtepMac(nodeId, 'ipv6') },
});

const vtepMac = (nodeId: string, family: Family): string =>
  localUnicastMac(createHash('sha256').update(`weft vtep ${family} ${nodeId}`).digest());

const formatIdentity = (identity: Identity): string => `${JSON.stringify(identity)}\n`;

/** Undefined where there is none; throws as `ensureIdentity`. */
export function readIdentity(path: string): Identity | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw new AgentError('state', `failed to read ${path}: ${reasonOf(error)}`, { cause: error });
  }
  const identity = parseIdentity(text);
  if (identity) return identity;
  throw new AgentError(
    'state',
    `failed to parse ${path}: not a node identity; restore it, or remove it to join as a new node with another subnet`,
  );
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function parseIdentity(text: string): Identity | undefined {
  let found: Partial<Identity>;
  try {
    found = JSON.parse(text) ?? {};
  } catch {
    return undefined;
  }
  const { nodeId, vtepMacs } = found;
  const [ipv4, ipv6] = [vtepMacs?.ipv4, vtepMacs?.ipv6].map((mac) =>
    typeof mac === 'string' ? parseMac(mac) : undefined,
  );
  if (typeof nodeId !== 'string' || !uuid.test(nodeId) || !ipv4 || !ipv6) return undefined;
  return { nodeId, vtepMacs: { ipv4, ipv6 } };
}
