import type { Family } from '../inet/ip.ts';

/** The address families of a lab's network, by the name of the option. */
export const familiesOf: Readonly<Record<string, readonly Family[]>> = {
  ipv4: ['ipv4'],
  ipv6: ['ipv6'],
  dual: ['ipv4', 'ipv6'],
};
