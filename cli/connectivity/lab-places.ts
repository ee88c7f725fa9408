/** Pods on the nodes of a lab. */
import { Lab } from '../../lab/lab.ts';
import { linkCommand, mtuIn, type Place } from './place.ts';

/** One per node; `pod` is the start of their names. */
export async function placesInLab(name: string, pod: string): Promise<(() => Promise<Place>)[]> {
  const lab = await Lab.open(name);
  return lab.nodes.map((node) => async () => {
    const made = await lab.pod(node.name, `${pod}-${node.name}`);
    const { stdout } = await made.exec(linkCommand);
    return {
      node: node.name,
      addresses: made.addresses,
      mtuBytes: mtuIn(stdout),
      exec: (argv) => made.exec(argv),
      remove: () => made.remove().catch(() => undefined),
    };
  });
}
