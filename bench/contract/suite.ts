/**
 * What a runtime feels of the contract besides ADD and DEL themselves: addresses that are reused, host ports,
 * bandwidth, VERSION.
 */
import { Starter } from '../cni/starter.ts';
import type { Figure, Suite } from '../figure.ts';
import { withLab } from '../lab.ts';
import { bandwidth } from './bandwidth.ts';
import { hostPorts } from './host-ports.ts';
import { reusedAddress } from './reused-address.ts';
import { version } from './version.ts';

export const suite: Suite = ({ progress }) => {
  progress('a lab of one node');
  return withLab({ name: 'bench-contract', nodes: 1 }, async (lab) => {
    const node = lab.node('node-1');
    const starter = Starter.make(node);
    try {
      const environment = { node, starter, progress };
      const figures: Figure[] = [];
      for (const measure of [version, reusedAddress, hostPorts, bandwidth])
        figures.push(...(await measure(environment)));
      return figures;
    } finally {
      starter.remove();
    }
  });
};
