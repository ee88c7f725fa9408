/** Names of nodes: what a record or the host says, as a type that is safe to print. */

declare const parsed: unique symbol;
/** A host name: letters, digits, `.`, `_`, `-`; at most 253 characters. */
export type NodeName = string & { readonly [parsed]: true };

const pattern = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;

/** Undefined if it is not a host name. */
export const parseNodeName = (text: string): NodeName | undefined =>
  pattern.test(text) ? (text as NodeName) : undefined;

/** The name of this host for other nodes: what a host name may not have becomes `-`. */
export function nodeNameOf(hostname: string): NodeName {
  const text = hostname.replaceAll(/[^A-Za-z0-9._-]/g, '-').replaceAll(/^[._-]+|[._-]+$/g, '');
  return parseNodeName(text.slice(0, 253).replace(/[._-]+$/, '')) ?? ('node' as NodeName);
}
