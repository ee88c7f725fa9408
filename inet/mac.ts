/** Ethernet addresses, in the text form `c6:d2:32:6f:8f:44` (lower case) everywhere outside netlink. */

const pattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

/** Normalises to lower case with colons; undefined if it is not an Ethernet address. */
export function parseMac(text: string): string | undefined {
  const lower = text.toLowerCase().replaceAll('-', ':');
  return pattern.test(lower) ? lower : undefined;
}

/** Whether one device may have it: not a group's (IEEE 802, bit 0 of the first octet), and not all zero. */
export const isUnicastMac = (mac: string): boolean =>
  (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0 && mac !== '00:00:00:00:00:00';

const octets = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function formatMac(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += text === '' ? octets[byte] : `:${octets[byte]}`;
  return text;
}

export const bytesOfMac = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');

/** Its bytes as a string of as many characters, to be looked up by. */
export const keyOfMac = (mac: string): string => bytesOfMac(mac).toString('latin1');

/** Makes a locally administered unicast address (IEEE 802, bits 1 and 0 of the first octet) of six bytes. */
export function localUnicastMac(bytes: Uint8Array): string {
  const mac = Uint8Array.from(bytes.subarray(0, 6));
  mac[0] = ((mac[0] ?? 0) & 0xfe) | 0x02;
  return formatMac(mac);
}
