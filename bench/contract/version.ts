/** VERSION, which podman calls for every plugin in each of its commands. */
import { call, plain, weft } from '../cni/subjects.ts';
import { atMostOfPeer, type Figure, median, percentile } from '../figure.ts';
import type { ContractEnvironment } from './environment.ts';

const CALLS = 200;

export async function version({ starter, progress }: ContractEnvironment): Promise<Figure[]> {
  progress(`${CALLS} VERSIONs of each`);
  const subjects = [weft, plain];
  const calls = subjects.map((subject) => {
    const process = call(subject, 'ADD', 'dummy');
    return {
      ...process,
      stdin: '{"cniVersion":"1.0.0"}',
      env: { ...process.env, CNI_COMMAND: 'VERSION', CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy' },
    };
  });
  await starter.inTurn(calls, 1);
  const { eachMs } = await starter.inTurn(Array.from({ length: CALLS }, () => calls).flat(), 1);
  const [ours, theirs] = subjects.map((_, which) => eachMs.filter((_, i) => i % subjects.length === which));
  const figure = (label: string, value: (of: readonly number[]) => number): Figure =>
    atMostOfPeer(1, {
      what: `VERSION, ${label}`,
      ours: value(ours ?? []),
      peer: { name: plain.name, value: value(theirs ?? []) },
      unit: 'ms',
    });
  return [figure('p50', median), figure('p99', (of) => percentile(of, 0.99))];
}
