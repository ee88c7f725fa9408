/**
 * The part that runs on a lab node, in its namespaces: makes and removes attachments in this process and as whole
 * processes, and prints the samples as JSON, in milliseconds.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createVerbs } from '../../plugin/attach/verbs.ts';
import { answer } from '../../plugin/protocol/answer.ts';
import type { PluginAnswer } from '../../plugin/protocol/call.ts';

export interface InsideRequest {
  readonly standalone: string;
  /** The folder of the reference plugins. */
  readonly reference: string;
  readonly inProcessRounds: number;
  readonly processRounds: number;
}

export interface InsideSamples {
  readonly inProcessAdd: number[];
  readonly standaloneAdd: number[];
  readonly standaloneDel: number[];
  readonly referenceAdd: number[];
  readonly referenceDel: number[];
}

const weft = { cniVersion: '1.0.0', name: 'bench', type: 'weft', bridge: 'bench0' };
const bridge = {
  cniVersion: '1.0.0',
  name: 'bench-reference',
  type: 'bridge',
  bridge: 'bench1',
  isDefaultGateway: true,
  hairpinMode: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/16' }]] },
};

interface Call {
  readonly verb: string;
  readonly containerId: string;
  readonly netns: string;
  readonly cniPath: string;
}

const environment = ({ verb, containerId, netns, cniPath }: Call): Record<string, string> => ({
  CNI_COMMAND: verb,
  CNI_CONTAINERID: containerId,
  CNI_NETNS: netns,
  CNI_IFNAME: 'eth0',
  CNI_PATH: cniPath,
  PATH: process.env.PATH ?? '',
});

/** Runs the block with a fresh namespace's path. */
async function inSandbox(block: (netns: string) => unknown): Promise<void> {
  execFileSync('ip', ['netns', 'add', 'bench']);
  try {
    await block('/run/netns/bench');
  } finally {
    execFileSync('ip', ['netns', 'del', 'bench']);
  }
}

async function timed(into: number[], block: () => unknown): Promise<void> {
  const begun = performance.now();
  await block();
  into.push(performance.now() - begun);
}

function mustRun(program: string, call: Call, config: object): void {
  const { status, stdout } = spawnSync(program, { env: environment(call), input: JSON.stringify(config) });
  if (status !== 0) throw new Error(`${call.verb} by ${program}: ${stdout}`);
}

async function measureInProcess(rounds: number): Promise<number[]> {
  const verbs = createVerbs({ runDir: '/run/weft' });
  const samples: number[] = [];
  const stdin = Buffer.from(JSON.stringify(weft));
  const must = async (verb: string, containerId: string, netns: string): Promise<PluginAnswer> => {
    const reply = await answer(
      { env: environment({ verb, containerId, netns, cniPath: '/' }), stdin },
      verbs,
    );
    if (reply.status !== 0) throw new Error(`${verb}: ${reply.stdout}`);
    return reply;
  };
  for (let i = 0; i < rounds; i++) {
    await inSandbox(async (netns) => {
      await timed(samples, () => must('ADD', `c${i}`, netns));
      await must('DEL', `c${i}`, netns);
    });
  }
  verbs.close();
  // The first ones make the bridge and warm the code.
  return samples.slice(10);
}

async function main(request: InsideRequest): Promise<void> {
  const { standalone, reference } = request;
  const samples: InsideSamples = {
    inProcessAdd: await measureInProcess(request.inProcessRounds),
    standaloneAdd: [],
    standaloneDel: [],
    referenceAdd: [],
    referenceDel: [],
  };
  for (let i = 0; i < request.processRounds; i++) {
    await inSandbox(async (netns) => {
      const call = { containerId: `s${i}`, netns, cniPath: reference };
      await timed(samples.standaloneAdd, () => mustRun(standalone, { ...call, verb: 'ADD' }, weft));
      await timed(samples.standaloneDel, () => mustRun(standalone, { ...call, verb: 'DEL' }, weft));
    });
    await inSandbox(async (netns) => {
      const call = { containerId: `r${i}`, netns, cniPath: reference };
      const program = `${reference}/bridge`;
      await timed(samples.referenceAdd, () => mustRun(program, { ...call, verb: 'ADD' }, bridge));
      await timed(samples.referenceDel, () => mustRun(program, { ...call, verb: 'DEL' }, bridge));
    });
  }
  process.stdout.write(JSON.stringify(samples));
}

await main(JSON.parse(process.argv[2] ?? '{}'));
