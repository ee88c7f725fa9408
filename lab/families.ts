import type { Family } from '../inet/ip.ts';

/** What a lab's network can speak, by the name it is asked for. */
export const familiesOf: Readonly<Record<string, readonly Family[]>> = {
  ipv4: ['ipv4'],
  ipv6: ['ipv6'],
  dual: ['ipv4', 'ipv6'],
};
