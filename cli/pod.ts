/** `weftctl pod`: pods on this host's Docker, without Kubernetes. */
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type PodKey, parseKey } from '../pod/manifest/key.ts';
import { UsageError } from './store-options.ts';
import { table } from './table.ts';

const examples = `
Examples:
  weftctl pod apply -f web.yaml           makes the pods of a manifest, or changes them to what it says
  weftctl pod ls                          how they are
  weftctl pod logs -f web                 what its first container writes
  weftctl pod exec -it web -- sh          a shell in it
  weftctl pod rm web                      preStop, SIGTERM, the grace period, SIGKILL; then its address is free

A manifest is a Kubernetes Pod; docs/pods.md says which of its fields are supported. weftd keeps the pods from then on:
it starts their containers again by restartPolicy and probes, also after a reboot.
`;

interface PlaceOptions {
  readonly config?: string;
}

interface NamedOptions extends PlaceOptions {
  readonly namespace: string;
}

export function describePod(pod: Command): void {
  pod
    .description("Pods on this host's Docker: Kubernetes' Pod manifests, without Kubernetes.")
    .addHelpText('after', examples);

  withPlace(pod.command('apply'))
    .description('makes the pods of a manifest; one that is as it says is left alone')
    .option('-f, --filename <file>', 'YAML or JSON, one or more documents; - is standard input', collect, [])
    .option('--strict', 'refuse fields that weft does not support, in place of a warning', false)
    .option('--pause-image <image>', "holds the pod's network, in place of the image that weft makes")
    .option('--timeout <seconds>', 'how long to wait until they run; 0: not at all', wholeNumber, 120)
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
        env: process.env,
        pauseImage: options.pauseImage,
        timeoutMs: options.timeout * 1000,
        say,
      });
    });

  withPlace(pod.command('ls'))
    .alias('list')
    .description('the pods of this host, and what keeps them from running')
    .option('-n, --namespace <namespace>', 'of this namespace alone')
    .option('-A, --all-namespaces', 'of every namespace, which is what there is without -n', false)
    .addOption(
      new Option('-o, --output <format>', 'for people or for programs')
        .choices(['table', 'json'])
        .default('table'),
    )
    .action(async (options: PlaceOptions & { namespace?: string; output: string }) => {
      const { jsonOf, listPods, tableOf } = await import('../pod/control/list.ts');
      const all = listPods(await placesOf(options));
      const { namespace } = options;
      const pods = all.pods.filter((each) => namespace === undefined || each.pod.namespace === namespace);
      const listing = { ...all, pods };
      if (options.output === 'json') return say(JSON.stringify(jsonOf(listing), null, 2));
      const { rows, notes } = tableOf(listing, Date.now());
      process.stdout.write(pods.length > 0 ? table(rows) : 'no pods\n');
      for (const note of notes) process.stderr.write(`${note}\n`);
    });

  withName(pod.command('logs <pod>'))
    .description('what a container has written')
    .option('-c, --container <name>', 'which container, if not the first')
    .option('-f, --follow', 'go on until it ends', false)
    .option('-p, --previous', 'of the container before the present one', false)
    .option('--tail <lines>', 'no more than the last ones', wholeNumber)
    .option('--since <seconds>', 'no older ones', wholeNumber)
    .option('--timestamps', 'with their times', false)
    .action(async (name: string, options: NamedOptions & LogFlags) => {
      const { showLogs } = await import('../pod/control/logs.ts');
      const { docker, found } = await containerOf(name, options);
      const { follow, timestamps, tail, since } = options;
      const { stdout, stderr } = process;
      await showLogs(docker, { id: found.id, follow, timestamps, tail, sinceSeconds: since, stdout, stderr });
    });

  withName(pod.command('exec <pod> <command...>'))
    .usage('[options] <pod> -- <command...>')
    .description('runs a command in a container; its exit status is ours')
    .option('-c, --container <name>', 'which container, if not the first')
    .option('-i, --stdin', 'hand our standard input on', false)
    .option('-t, --tty', 'on a terminal of its own', false)
    .action(async (name: string, command: string[], options: NamedOptions & ExecFlags) => {
      const { execHere } = await import('../pod/control/exec.ts');
      const { docker, found } = await containerOf(name, options);
      if (!found.isRunning) {
        throw new UsageError(`the container ${found.name} does not run: weftctl pod ls tells why`);
      }
      const argv = command[0] === '--' ? command.slice(1) : command;
      process.exitCode = await execHere(docker, { id: found.id, command: argv, ...options });
    });

  withName(pod.command('rm [pods...]'))
    .alias('delete')
    .description(
      'ends and removes pods: preStop, SIGTERM, the grace period, SIGKILL; then address and volumes go',
    )
    .option('-f, --filename <file>', 'the pods of a manifest', collect, [])
    .option('--grace-period <seconds>', "in place of the manifest's; 0: SIGKILL at once", wholeNumber)
    .option('--timeout <seconds>', 'how long to wait beyond the grace period; 0: not at all', wholeNumber, 60)
    .option('--ignore-not-found', 'fine if there is none', false)
    .action(async (names: string[], options: NamedOptions & RemoveFlags) => {
      const { removePod } = await import('../pod/control/remove.ts');
      const { PodFiles } = await import('../pod/control/files.ts');
      const files = new PodFiles(await placesOf(options));
      const keys = [...names.map((name) => keyNamed(name, options)), ...(await keysOf(options.filename))];
      if (keys.length === 0) throw new UsageError('name a pod, or a manifest with -f');
      const there = options.ignoreNotFound ? keys.filter((key) => files.has(key)) : keys;
      const { gracePeriod: graceSeconds, timeout } = options;
      await Promise.all(
        there.map((key) => removePod({ files, key, graceSeconds, timeoutMs: timeout * 1000, say })),
      );
    });

  pod.hook('preAction', () => {
    endWithClosedPipe();
    if (process.geteuid?.() !== 0) pod.error('weftctl: pods need root: run it with sudo', { exitCode: 1 });
  });
}

/** As a shell shows a process that SIGPIPE has ended. */
const CLOSED_PIPE = 141;

/** `weftctl pod logs web | head`: the reader has read enough. */
function endWithClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(CLOSED_PIPE);
      throw error;
    });
  }
}

interface ApplyFlags {
  readonly filename: readonly string[];
  readonly strict: boolean;
  readonly pauseImage?: string;
  readonly timeout: number;
}

interface LogFlags {
  readonly container?: string;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly tail?: number;
  readonly since?: number;
  readonly timestamps: boolean;
}

interface ExecFlags {
  readonly container?: string;
  readonly stdin: boolean;
  readonly tty: boolean;
}

interface RemoveFlags {
  readonly filename: readonly string[];
  readonly gracePeriod?: number;
  readonly timeout: number;
  readonly ignoreNotFound: boolean;
}

const withPlace = (command: Command): Command =>
  command.option('--config <file>', "weft.yaml, for weftd's folders (WEFT_CONFIG, /etc/weft/weft.yaml)");

const withName = (command: Command): Command =>
  withPlace(command).option('-n, --namespace <namespace>', 'of the pod', 'default');

async function placesOf({ config }: PlaceOptions) {
  const { configSource, loadConfig } = await import('../agent/config/load.ts');
  return loadConfig(configSource({ flag: config, env: process.env })).config;
}

async function containerOf(name: string, options: NamedOptions & { container?: string; previous?: boolean }) {
  const { PodFiles } = await import('../pod/control/files.ts');
  const { containerNameOf, findContainer } = await import('../pod/control/find.ts');
  const { Docker, socketOf } = await import('../pod/docker/daemon.ts');
  const { recordedOf } = await import('../pod/plan/recorded.ts');
  const key = keyNamed(name, options);
  const files = new PodFiles(await placesOf(options));
  const order = files.order(key);
  if (!order) throw new UsageError(`there is no pod ${name}: weftctl pod ls lists all`);
  const { pod } = order;
  const container = containerNameOf(pod, options.container);
  if (options.container === undefined && pod.containers.length > 1) {
    const others = pod.containers.map((each) => each.name).join(', ');
    process.stderr.write(`the container ${container} (of ${others}; -c chooses another)\n`);
  }
  const docker = new Docker(socketOf(process.env));
  const recorded = recordedOf(key, order.uid, files.memory(key));
  const previous = options.previous ?? false;
  const found = await findContainer(docker, { pod, recorded, name: container, previous });
  return { docker, found };
}

/** `name`, or `namespace/name`. */
function keyNamed(name: string, { namespace }: NamedOptions): PodKey {
  const key = parseKey(name.includes('/') ? name.replace('/', '_') : `${namespace}_${name}`);
  if (key === undefined)
    throw new UsageError(`invalid pod name ${JSON.stringify(name)}; give NAME or NAMESPACE/NAME`);
  return key;
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
    throw new UsageError(`${file} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

function warn(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const collect = (file: string, before: readonly string[]): string[] => [...before, file];

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
