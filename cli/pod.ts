/** `weftctl pod`: pods on this host's Docker, without Kubernetes. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { PodKey } from '../pod/manifest/key.ts';
import { type OutputOptions, outputOption, print, withExamples } from './output.ts';
import {
  type ApplyFlags,
  collect,
  type ExecFlags,
  keyNamed,
  type LogFlags,
  type NamedOptions,
  type PlaceOptions,
  placesOf,
  type RemoveFlags,
  wholeNumber,
  withName,
  withPlace,
} from './pod-options.ts';
import { table, terminalWidth } from './table.ts';
import { UsageError } from './usage-error.ts';

const examples = `
Examples:
  weftctl pod apply -f web.yaml           create the pods of a manifest, or change them
  weftctl pod ls                          list the pods
  weftctl pod logs -f web                 follow the log of the first container
  weftctl pod exec -it web -- sh          start a shell in it
  weftctl pod rm web                      remove the pod: preStop, SIGTERM, grace period, SIGKILL

A manifest is a Kubernetes Pod; docs/pods.md lists the supported fields. weft-podd runs the pods, also after a
reboot; it is started by the first apply and ends with the last pod.
`;

export function describePod(pod: Command): void {
  pod.description("Run Kubernetes Pod manifests on this host's Docker").addHelpText('after', examples);

  withExamples(
    withPlace(pod.command('apply')),
    'weftctl pod apply -f web.yaml',
    'weftctl pod apply -f - <web.yaml',
  )
    .description('Create or change the pods of a manifest; an unchanged pod is left alone')
    .option(
      '-f, --filename <file>',
      'manifest in YAML or JSON, one or more documents; - reads standard input',
      collect,
      [],
    )
    .option('--strict', 'treat warnings as errors', false)
    .option('--pause-image <image>', 'image of the pause container (default: made by weft)')
    .option('--timeout <seconds>', 'wait this long until the pods run; 0: do not wait', wholeNumber, 120)
    .action(async (options: PlaceOptions & ApplyFlags) => {
      if (options.filename.length === 0) throw new UsageError('give a manifest with -f FILE');
      const { ManifestError, readManifest } = await import('../pod/manifest/read.ts');
      const manifests = options.filename.map((file) => {
        try {
          return readManifest(file === '-' ? 'stdin' : file, textOf(file));
        } catch (error) {
          if (error instanceof ManifestError) warn(error.warnings);
          throw error;
        }
      });
      const warnings = manifests.flatMap((manifest) => manifest.warnings);
      if (options.strict && warnings.length > 0) throw new UsageError(warnings.join('\n'));
      warn(warnings);
      const { applyPods } = await import('../pod/control/apply.ts');
      await applyPods({
        pods: manifests.flatMap(({ pods }) => pods),
        places: await placesOf(options),
        config: options.config,
        env: process.env,
        pauseImage: options.pauseImage,
        timeoutMs: options.timeout * 1000,
        say,
      });
    });

  withExamples(withPlace(pod.command('ls')), 'weftctl pod ls', 'weftctl pod ls -n default -o json')
    .alias('list')
    .description('List the pods of this host')
    .option('-n, --namespace <namespace>', 'only this namespace')
    .option('-A, --all-namespaces', 'all namespaces (default without -n)', false)
    .addOption(outputOption())
    .action(async (options: PlaceOptions & OutputOptions & { namespace?: string }) => {
      const { jsonOf, listPods, tableOf } = await import('../pod/control/list.ts');
      const all = listPods(await placesOf(options));
      const { namespace } = options;
      const pods = all.pods.filter((each) => namespace === undefined || each.pod.namespace === namespace);
      const listing = { ...all, pods };
      await print(options.output, jsonOf(listing), () => {
        const { rows, notes } = tableOf(listing, Date.now());
        for (const note of notes) process.stderr.write(`${note}\n`);
        return pods.length > 0 ? table(rows, { width: terminalWidth() }) : 'no pods\n';
      });
    });

  withExamples(
    withName(pod.command('logs <pod>')),
    'weftctl pod logs -f web',
    'weftctl pod logs --tail 20 -c app web',
  )
    .description('Print the log of a container')
    .option('-c, --container <name>', 'container name (default: the first)')
    .option('-f, --follow', 'follow the log until the container ends', false)
    .option('-p, --previous', 'print the log of the previous container', false)
    .option('--tail <lines>', 'print only the last lines', wholeNumber)
    .option('--since <seconds>', 'print only lines that are not older', wholeNumber)
    .option('--timestamps', 'print the time of each line', false)
    .action(async (name: string, options: NamedOptions & LogFlags) => {
      const { showLogs } = await import('../pod/control/logs.ts');
      const { docker, found } = await containerOf(name, options);
      const { follow, timestamps, tail, since } = options;
      const { stdout, stderr } = process;
      await showLogs(docker, { id: found.id, follow, timestamps, tail, sinceSeconds: since, stdout, stderr });
    });

  withExamples(
    withName(pod.command('exec <pod> <command...>')),
    'weftctl pod exec web -- ls /',
    'weftctl pod exec -it web -- sh',
  )
    .usage('[options] <pod> -- <command...>')
    .description('Run a command in a container, and exit with its status')
    .option('-c, --container <name>', 'container name (default: the first)')
    .option('-i, --stdin', 'pass standard input to the command', false)
    .option('-t, --tty', 'allocate a terminal', false)
    .action(async (name: string, command: string[], options: NamedOptions & ExecFlags) => {
      const { execHere } = await import('../pod/control/exec.ts');
      const { docker, found } = await containerOf(name, options);
      if (!found.isRunning) {
        throw new UsageError(`container ${found.name} is not running; run weftctl pod ls for the reason`);
      }
      const argv = command[0] === '--' ? command.slice(1) : command;
      process.exitCode = await execHere(docker, { id: found.id, command: argv, ...options });
    });

  withExamples(withName(pod.command('rm [pods...]')), 'weftctl pod rm web', 'weftctl pod rm -f web.yaml')
    .alias('delete')
    .description(
      'Remove pods: preStop, SIGTERM, grace period, SIGKILL; then release the address and the volumes',
    )
    .option('-f, --filename <file>', 'remove the pods of this manifest', collect, [])
    .option(
      '--grace-period <seconds>',
      "override the manifest's grace period; 0: SIGKILL at once",
      wholeNumber,
    )
    .option('--timeout <seconds>', 'wait this long beyond the grace period; 0: do not wait', wholeNumber, 60)
    .option('--all', 'remove all pods of this host', false)
    .option('--ignore-not-found', 'succeed if a pod does not exist', false)
    .action(async (names: string[], options: NamedOptions & RemoveFlags) => {
      const { removePod } = await import('../pod/control/remove.ts');
      const { PodFiles } = await import('../pod/control/files.ts');
      const files = new PodFiles(await placesOf(options));
      const keys = [
        ...names.map((name) => keyNamed(name, options)),
        ...(await keysOf(options.filename)),
        ...(options.all ? files.orderKeys() : []),
      ];
      if (keys.length === 0 && !options.all)
        throw new UsageError('give a pod name, or a manifest with -f FILE, or --all');
      const there = options.ignoreNotFound ? keys.filter((key) => files.has(key)) : keys;
      const { gracePeriod: graceSeconds, timeout } = options;
      await Promise.all(
        there.map((key) =>
          removePod({ files, config: options.config, key, graceSeconds, timeoutMs: timeout * 1000, say }),
        ),
      );
    });

  pod.hook('preAction', () => {
    if (process.geteuid?.() !== 0)
      pod.error('weftctl: pod commands need root; run weftctl with sudo', { exitCode: 1 });
  });
}

async function containerOf(name: string, options: NamedOptions & { container?: string; previous?: boolean }) {
  const { PodFiles } = await import('../pod/control/files.ts');
  const { containerNameOf, findContainer } = await import('../pod/control/find.ts');
  const { Docker, socketOf } = await import('../pod/docker/daemon.ts');
  const { recordedOf } = await import('../pod/plan/recorded.ts');
  const key = keyNamed(name, options);
  const files = new PodFiles(await placesOf(options));
  const order = files.order(key);
  if (!order) throw new UsageError(`pod ${name} not found; run weftctl pod ls for all pods`);
  const { pod } = order;
  const container = containerNameOf(pod, options.container);
  if (options.container === undefined && pod.containers.length > 1) {
    const others = pod.containers.map((each) => each.name).join(', ');
    process.stderr.write(`using container ${container} (containers: ${others}; select one with -c)\n`);
  }
  const docker = new Docker(socketOf(process.env));
  const recorded = recordedOf(key, order.uid, files.memory(key));
  const previous = options.previous ?? false;
  const found = await findContainer(docker, { pod, recorded, name: container, previous });
  return { docker, found };
}

async function keysOf(manifests: readonly string[]): Promise<PodKey[]> {
  const { readManifest } = await import('../pod/manifest/read.ts');
  const { keyOf } = await import('../pod/manifest/pod.ts');
  return manifests.flatMap((file) => readManifest(file, textOf(file)).pods.map(keyOf));
}

function textOf(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new UsageError(`failed to read ${file}: ${error instanceof Error ? error.message : error}`);
  }
}

function warn(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
