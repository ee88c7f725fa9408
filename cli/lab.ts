/** `weftctl lab`: a cluster on one machine. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { backendTypes } from '../agent/config/config.ts';
import { familiesOf } from '../lab/families.ts';
import type { Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { type OutputOptions, outputOption, print, withExamples } from './output.ts';
import { withProgress } from './progress.ts';

const examples = `
Examples:
  weftctl lab up                          three nodes, an agent on each
  weftctl lab pod node-1 a                a pod, created as by a container runtime
  weftctl lab pod node-2 b
  weftctl lab ping                        every pod to every pod
  weftctl lab exec node-1 -- ip route     the routes that weft added
  weftctl lab exec a -- ip address show dev eth0
  weftctl lab down                        nothing is left
  weftctl lab up --store kubernetes       a Kubernetes cluster with weft from its manifest (npm run image before)
  weftctl lab kubectl -- get pods -A
`;

/** The options of `lab up`. */
const stores = ['file', 'etcd', 'kubernetes'] as const;

interface UpOptions {
  nodes: number;
  subnets: number;
  backend: string;
  store: (typeof stores)[number];
  etcdMembers: number;
  family: string;
}

export function describeLab(lab: Command): void {
  lab
    .description(
      'Run a cluster on this machine: each node is a network and a mount namespace with the real agent.',
    )
    .option('--name <name>', 'name of the lab; several can be up at once', 'lab')
    .addHelpText('after', examples);
  const name = (): string => lab.opts<{ name: string }>().name;
  const open = async (): Promise<Lab> => (await labModule()).Lab.open(name());

  withExamples(lab.command('up'), 'weftctl lab up', 'weftctl lab up --nodes 5 --store etcd --family dual')
    .description('start nodes node-1 ... node-N on one underlay, with an agent on each')
    .option('--nodes <count>', 'number of nodes', wholeNumber, 3)
    .option(
      '--subnets <count>',
      'number of layer-2 networks for the nodes, joined by a router',
      wholeNumber,
      1,
    )
    .addOption(
      new Option('--backend <type>', 'how packets reach another node').choices(backendTypes).default('vxlan'),
    )
    .addOption(new Option('--store <type>', 'where leases are kept').choices(stores).default('file'))
    .option('--etcd-members <count>', 'members of etcd, with --store etcd', wholeNumber, 1)
    .addOption(
      new Option('--family <family>', 'address family of pods and nodes')
        .choices(Object.keys(familiesOf))
        .default('ipv4'),
    )
    .action(async (options: UpOptions) => {
      const { Lab } = await labModule();
      const { family, ...rest } = options;
      const progress = (step: string) => process.stdout.write(`${step}\n`);
      if (options.store === 'kubernetes') return upKubernetes({ ...options, name: name(), progress });
      const up = await Lab.up({ ...rest, name: name(), families: familiesOf[family] ?? [], progress });
      process.stdout.write(`${up.nodes.map(describeNode).join('\n')}\n`);
    });

  withExamples(lab.command('pod <node> <name>').addOption(outputOption()), 'weftctl lab pod node-1 a')
    .description("create a pod: a namespace, and ADD with the node's CNI configuration")
    .action(async (node: string, podName: string, { output }: OutputOptions) => {
      const pod = await (await open()).pod(node, podName);
      const { addresses } = pod;
      await print(
        output,
        { name: pod.name, node, addresses },
        () => `${pod.name} on ${node}: ${addresses.join(', ')}\n`,
      );
    });

  withExamples(lab.command('rm <pod>'), 'weftctl lab rm a')
    .description('remove a pod: DEL, and its namespace')
    .action(async (podName: string) => (await open()).podNamed(podName).remove());

  withExamples(
    lab.command('exec <place> <command...>'),
    'weftctl lab exec node-1 -- ip route',
    'weftctl lab exec a -- ip address show dev eth0',
  )
    .usage('<node|pod> -- <command...>')
    .description('run a command on a node or in a pod, and exit with its status')
    .passThroughOptions()
    .action(async (place: string, command: string[]) => {
      const argv = command[0] === '--' ? command.slice(1) : command;
      process.exitCode = await find(await open(), place).attach(argv);
    });

  withExamples(lab.command('ping').addOption(outputOption()), 'weftctl lab ping', 'weftctl lab ping -o json')
    .description('ping from every pod to every pod; exit status 1 if one is lost')
    .action(async ({ output }: OutputOptions) => {
      const { formatMatrix, lost } = await import('../lab/ping.ts');
      const opened = await open();
      const results = await withProgress('pinging', () => opened.ping());
      const missing = lost(results);
      await print(output, results, () => {
        const matrix = results.length > 0 ? `${formatMatrix(results)}\n` : '';
        return `${matrix}${results.length - missing.length} of ${results.length} answered\n`;
      });
      if (missing.length > 0) process.exitCode = 1;
    });

  withExamples(lab.command('kubectl [arguments...]'), 'weftctl lab kubectl -- get pods -A')
    .usage('-- <arguments...>')
    .description("run kubectl as the administrator of the lab's cluster (lab up --store kubernetes)")
    .passThroughOptions()
    .allowUnknownOption()
    .action(async (given: string[]) => {
      const { Cluster } = await import('../lab/kubernetes/cluster.ts');
      const { controlPlane } = await Cluster.open(name());
      process.exitCode = await controlPlane.attachKubectl(given[0] === '--' ? given.slice(1) : given);
    });

  withExamples(lab.command('down'), 'weftctl lab down', 'weftctl lab --name other down')
    .description('remove the lab: no namespace, link, process, mount or file is left')
    .action(async () => {
      const { Lab } = await labModule();
      await withProgress('removing the lab', () => Lab.down(name()));
    });

  lab.hook('preAction', () => {
    if (process.geteuid?.() !== 0) lab.error('weftctl: a lab needs root: run it with sudo', { exitCode: 1 });
  });
}

/** A real cluster with weft from its manifest and image. */
async function upKubernetes(
  options: UpOptions & { name: string; progress: (step: string) => void },
): Promise<void> {
  const { Cluster } = await import('../lab/kubernetes/cluster.ts');
  const { applyWeft, familyValues, imageArchive } = await import('../lab/kubernetes/weft.ts');
  const { name, nodes, progress } = options;
  const families = familiesOf[options.family] ?? [];
  const cluster = await Cluster.up({ name, nodes, families, progress, images: [imageArchive()] });
  progress('weft');
  await applyWeft(cluster, { ...familyValues(cluster), 'config.backend': { type: options.backend } });
  const lab = `weftctl lab${name === 'lab' ? '' : ` --name ${name}`}`;
  process.stdout.write(`${cluster.lab.nodes.map(describeNode).join('\n')}
kubeconfig: ${cluster.kubeconfig}
Its server is on the lab's network. From here: ${lab} kubectl -- get pods -A
On a node: ${lab} exec node-1 -- ip route
`);
}

const labModule = () => import('../lab/lab.ts');

/** A node, else a pod; the pod's error names both. */
function find(lab: Lab, place: string): LabNode | LabPod {
  return lab.nodes.find((node) => node.name === place) ?? lab.podNamed(place);
}

const describeNode = (node: LabNode): string => `${node.name} ${node.addresses.join(', ')}`;

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
