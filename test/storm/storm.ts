/**
 * ADDs and DELs at once, and in their midst kills: of the executable, of the process that does the call in the
 * agent's place, and of the agent. After each round no address is in two pods (I5), and once what is there has been
 * taken away, nothing is left (I7).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../unit/protocol/mutate.ts';
import { type PodAddress, StormGround } from './ground.ts';
import { networks, podNames, type Round, roundOf } from './round.ts';

export interface StormReport {
  rounds: number;
  calls: number;
  killedCalls: number;
  killedAgents: number;
  attached: number;
  finding: string | undefined;
}

export async function storm(options: {
  seed: number;
  rounds: number;
  onRound?: (report: StormReport) => void;
}): Promise<StormReport> {
  const report: StormReport = {
    ...{ rounds: 0, calls: 0, killedCalls: 0, killedAgents: 0, attached: 0 },
    finding: undefined,
  };
  const ground = await StormGround.open();
  try {
    while (report.rounds < options.rounds && report.finding === undefined) {
      // Each round has a seed of its own, so that a late one can be looked at without those before it.
      const seed = options.seed + report.rounds;
      const round = roundOf(new Random(seed));
      const amiss = (await burst(ground, round, report)) ?? (await clear(ground, round));
      report.rounds++;
      if (amiss !== undefined) {
        report.finding = `seed ${seed}, ${round.weather}, cleaned by ${round.cleaning}: ${amiss}`;
      }
      options.onRound?.(report);
    }
    return report;
  } finally {
    await ground.close();
  }
}

/** What is amiss after the calls, in words. */
async function burst(ground: StormGround, round: Round, report: StormReport): Promise<string | undefined> {
  const { weather, calls } = round;
  await (weather === 'absent' ? ground.killAgent() : ground.ensureAgent());
  const kill =
    weather === 'killed' ? sleep(round.agentKillAfterMs).then(() => ground.killAgent()) : undefined;
  const exits = await Promise.all(calls.map((call) => ground.call(call)));
  await kill;
  report.calls += exits.length;
  report.killedCalls += exits.filter(({ signal }) => signal !== null).length;
  report.killedAgents += weather === 'killed' ? 1 : 0;
  const wrong = exits.findIndex(({ complaint }) => complaint !== undefined);
  if (wrong >= 0) {
    const { verb, pod, network } = calls[wrong] ?? {};
    const { complaint, stdout, stderr } = exits[wrong] ?? {};
    return `${verb} of ${pod} on network ${network}: ${complaint}: ${stdout}${stderr}`;
  }
  return await amissWithAddresses(ground, report);
}

/** I5, in words: an address of a pod is no other pod's, and is on record as this one's. */
async function amissWithAddresses(ground: StormGround, report: StormReport): Promise<string | undefined> {
  // An agent whose callers were killed may still be at work: what stays meanwhile is compared.
  const before = await ground.addressesInPods();
  const onRecord = await ground.addressesOnRecord();
  const present = intersection(before, await ground.addressesInPods());
  report.attached += present.length;
  const owners = new Map<string, string>();
  for (const { address, owner } of present) {
    const other = owners.get(address);
    if (other !== undefined) return `${address} is in ${other} and in ${owner}`;
    const recorded = onRecord.get(address);
    if (recorded !== owner) return `${address} is in ${owner}, and on record as ${recorded ?? 'nobody'}'s`;
    owners.set(address, owner);
  }
  return undefined;
}

const intersection = (some: readonly PodAddress[], others: readonly PodAddress[]): PodAddress[] =>
  some.filter((one) => others.some(({ address, owner }) => address === one.address && owner === one.owner));

/** What could not be taken away, in words. */
async function clear(ground: StormGround, round: Round): Promise<string | undefined> {
  if (round.cleanedByAgent) await ground.ensureAgent();
  const indexes = networks.keys();
  const exits =
    round.cleaning === 'GC'
      ? await Promise.all([...indexes].map((network) => ground.gc(network)))
      : await deleteAll(ground, [...indexes]);
  const wrong = exits.find(({ complaint }) => complaint !== undefined);
  if (wrong) return `${round.cleaning}: ${wrong.complaint}: ${wrong.stdout}${wrong.stderr}`;
  // DELs that were promised while nobody could do them are an agent's to do.
  await ground.ensureAgent();
  const left = await ground.whatIsLeft();
  return left === '' ? undefined : `left behind:\n${left}`;
}

/** A few at once, as they may be processes of Node.js each. */
async function deleteAll(ground: StormGround, indexes: readonly number[]) {
  const calls = indexes.flatMap((network) =>
    podNames.map((pod) => ({ verb: 'DEL' as const, pod, network, killAfterMs: undefined })),
  );
  const exits = [];
  for (let at = 0; at < calls.length; at += 16) {
    exits.push(...(await Promise.all(calls.slice(at, at + 16).map((call) => ground.call(call)))));
  }
  return exits;
}
