/** Packets with a wrong checksum in /proc/net/snmp and snmp6 (net/ipv4/proc.c, net/ipv6/proc.c). Pure. */

/** TCP's and UDP's; both families count TCP in `snmp`. */
export function checksumErrorsIn(snmp: string, snmp6: string): number {
  const lines = snmp.split('\n').map((line) => line.split(' '));
  let errors = 0;
  // Two lines a protocol: the counters' names, then their values.
  lines.forEach(([protocol, ...names], i) => {
    if (protocol !== 'Tcp:' && protocol !== 'Udp:') return;
    const at = names.indexOf('InCsumErrors');
    const [, ...values] = lines[i + 1] ?? [];
    if (at >= 0 && lines[i + 1]?.[0] === protocol) errors += Number(values[at]) || 0;
  });
  return errors + (Number(/^Udp6InCsumErrors\s+(\d+)$/m.exec(snmp6)?.[1]) || 0);
}
