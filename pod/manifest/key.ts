/**
 * A pod's key and uid: the names of its files, containers and volumes. What comes from outside (a file name, a label, a
 * command line) is parsed into these types or refused, so that no text of a stranger becomes part of a path.
 */

declare const key: unique symbol;
declare const uid: unique symbol;

/** `<namespace>_<name>`; neither part can hold an underscore or a slash. */
export type PodKey = string & { readonly [key]: true };

/** New with every manifest that differs from the one before: a UUID. */
export type PodUid = string & { readonly [uid]: true };

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const keyPattern = new RegExp(`^${label}_${label}(?:\\.${label}){0,3}$`);
const uidPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A file name has at most 255 bytes (NAME_MAX); a key is one with a suffix. */
const longestKey = 220;

/** Undefined where the text is not a key. */
export const parseKey = (text: unknown): PodKey | undefined =>
  typeof text === 'string' && text.length <= longestKey && keyPattern.test(text)
    ? (text as PodKey)
    : undefined;

/** Undefined where the text is not a uid. */
export const parseUid = (text: unknown): PodUid | undefined =>
  typeof text === 'string' && uidPattern.test(text) ? (text as PodUid) : undefined;
