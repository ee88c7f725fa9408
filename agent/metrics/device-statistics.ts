/** What the kernel counts of a network device (/proc/net/dev, proc(5)). */
import { readFileSync } from 'node:fs';

export interface DeviceStatistics {
  readonly receivedPackets: number;
  readonly receiveErrors: number;
  readonly receiveDrops: number;
  readonly sentPackets: number;
  readonly sendErrors: number;
  readonly sendDrops: number;
}

/** By device name, in this process's network namespace; devices that do not exist are left out. */
export function deviceStatistics(names: readonly string[]): Map<string, DeviceStatistics> {
  return parseDeviceStatistics(readFileSync('/proc/self/net/dev', 'utf8'), names);
}

export function parseDeviceStatistics(text: string, names: readonly string[]): Map<string, DeviceStatistics> {
  const found = new Map<string, DeviceStatistics>();
  for (const line of text.split('\n')) {
    const [name = '', counts = ''] = line.trim().split(/:\s*/, 2);
    if (!names.includes(name)) continue;
    const [, rxPackets, rxErrors, rxDrops, , , , , , txPackets, txErrors, txDrops] = counts
      .split(/\s+/)
      .map(Number);
    found.set(name, {
      receivedPackets: rxPackets ?? 0,
      receiveErrors: rxErrors ?? 0,
      receiveDrops: rxDrops ?? 0,
      sentPackets: txPackets ?? 0,
      sendErrors: txErrors ?? 0,
      sendDrops: txDrops ?? 0,
    });
  }
  return found;
}
