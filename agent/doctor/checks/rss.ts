/** Whether the network card spreads tunnel packets over its queues: by address alone all of one peer share a queue. */
import { spawnSync } from 'node:child_process';
import { isErrno } from '../../../kernel/errno.ts';
import { type Check, ok, unknown } from '../finding.ts';

export const receiveHash: Check = {
  name: 'receive-hash',
  title: 'Receive queues (RSS)',
  look: ({ underlay: { current } }) => {
    if (!current) return unknown('not known without an underlay');
    const { name } = current;
    const child = spawnSync('ethtool', ['-n', name, 'rx-flow-hash', 'udp4'], {
      encoding: 'utf8',
      env: { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' },
    });
    if (isErrno(child.error, 'ENOENT')) return unknown('ethtool is not installed');
    if (child.status !== 0) return unknown(`the driver of ${name} does not say`);
    if (/L4 bytes [01]/.test(child.stdout)) return ok(`${name} hashes UDP by address and port`);
    return {
      severity: 'warning',
      subject: name,
      found: 'UDP is hashed by address alone, so that all packets of one peer are handled by one CPU',
      wanted: 'a hash over addresses and ports',
      remedy: `ethtool -N ${name} rx-flow-hash udp4 sdfn`,
    };
  },
};
