/** The underlay of before, kept in stateDir: what a start goes by while the host or the name server is not ready. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../../disk/replace-file.ts';
import { formatInterfaceAddress, type InterfaceAddress, parseInterfaceAddress } from '../../inet/cidr.ts';
import type { Underlay } from './choose.ts';
import type { KnownNames } from './store-addresses.ts';

export interface SavedUnderlay {
  /** The configuration that it was chosen by: another one chooses again. */
  readonly chosenBy: string;
  readonly name: string;
  readonly mtuBytes: number;
  readonly addresses: readonly InterfaceAddress[];
  /** Addresses of the store, by name. */
  readonly names: KnownNames;
}

const pathOf = (stateDir: string): string => join(stateDir, 'underlay.json');

/** Undefined where there is none, or none that can be read: it is a hint, and nothing is lost without it. */
export function readSavedUnderlay(stateDir: string): SavedUnderlay | undefined {
  let object: unknown;
  try {
    object = JSON.parse(readFileSync(pathOf(stateDir), 'utf8'));
  } catch {
    return undefined;
  }
  if (!isRecord(object)) return undefined;
  const { chosenBy, name, mtuBytes, addresses, names } = object;
  if (typeof chosenBy !== 'string' || typeof name !== 'string' || !Number.isSafeInteger(mtuBytes)) {
    return undefined;
  }
  return {
    chosenBy,
    name,
    mtuBytes: Number(mtuBytes),
    addresses: textsOf(addresses).flatMap((text) => parseInterfaceAddress(text) ?? []),
    names: isRecord(names)
      ? Object.fromEntries(Object.entries(names).map(([host, found]) => [host, textsOf(found)]))
      : {},
  };
}

/** @throws AgentError `state` */
export function writeSavedUnderlay(
  stateDir: string,
  saved: { readonly underlay: Underlay; readonly chosenBy: string; readonly names: KnownNames },
): void {
  const { underlay, chosenBy, names } = saved;
  const { name, mtuBytes } = underlay;
  const addresses = underlay.addresses.map(formatInterfaceAddress);
  const content = `${JSON.stringify({ chosenBy, name, mtuBytes, addresses, names })}\n`;
  replaceFile({ path: pathOf(stateDir), content });
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((text) => typeof text === 'string') : [];
