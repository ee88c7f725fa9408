/**
 * The programs of a real cluster, built with Go from their modules' own source and kept in the user's cache by version.
 * The first build takes some minutes; a program that exists is complete, because it is put there by rename.
 */
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LabError } from '../errors.ts';
import { goModule } from './go-module.ts';

export const kubernetesVersion = 'v1.34.3';
const corednsVersion = 'v1.12.4';
const helmVersion = 'v3.19.0';

export const kubernetesPrograms = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
] as const;

export type KubernetesProgram = (typeof kubernetesPrograms)[number];

/** Path of one of Kubernetes' programs in the folder that `ensureKubernetes` returns. */
export const programPath = (folder: string, program: KubernetesProgram): string => join(folder, program);

/** Folder of Kubernetes' programs. Throws `LabError` with what Go wrote. */
export const ensureKubernetes = (progress: Progress = silent): Promise<string> =>
  ensureFolder({
    name: `kubernetes-${kubernetesVersion}`,
    programs: kubernetesPrograms,
    progress,
    build: async (folder) => {
      const packages = kubernetesPrograms.map((name) => `k8s.io/kubernetes/cmd/${name}`);
      const { module } = await kubernetesModule(folder);
      await go(['build', ...kubernetesFlags(), '-o', `${folder}/`, ...packages], module);
    },
  });

/** Kubernetes' own end-to-end tests (`e2e.test`) and what their pods run: `agnhost`, with its certificate. */
export const ensureConformanceTests = (progress: Progress = silent): Promise<string> =>
  ensureFolder({
    name: `kubernetes-e2e-${kubernetesVersion}`,
    programs: ['e2e.test', 'agnhost', ...agnhostFiles],
    progress,
    build: async (folder) => {
      const { module, source } = await kubernetesModule(folder);
      for (const name of agnhostFiles)
        copyFileSync(join(source, 'test/images/agnhost/porter', name), join(folder, name));
      const test = 'k8s.io/kubernetes/test/e2e';
      await go(['test', '-c', ...kubernetesFlags(), '-o', join(folder, 'e2e.test'), test], module);
      const agnhost = 'k8s.io/kubernetes/test/images/agnhost';
      // Without cgo it is a static program, alone in its image.
      await go(
        ['build', ...kubernetesFlags(), '-o', join(folder, 'agnhost'), agnhost],
        module,
        staticProgram,
      );
    },
  });

/** Path of `coredns`, a static program. */
export const ensureCoredns = (progress: Progress = silent): Promise<string> =>
  ensureInstalled({
    program: 'coredns',
    path: 'github.com/coredns/coredns',
    version: corednsVersion,
    progress,
  });

/** Path of `helm`. */
export const ensureHelm = (progress: Progress = silent): Promise<string> =>
  ensureInstalled({ program: 'helm', path: 'helm.sh/helm/v3/cmd/helm', version: helmVersion, progress });

const agnhostFiles = ['localhost.crt', 'localhost.key'];

/** Called with what is about to be built, where that takes long. */
type Progress = (step: string) => void;
const silent: Progress = () => {};
const staticProgram = { CGO_ENABLED: '0' };

async function ensureInstalled(request: {
  program: string;
  path: string;
  version: string;
  progress: Progress;
}): Promise<string> {
  const { program, path, version, progress } = request;
  const folder = await ensureFolder({
    name: `${program}-${version}`,
    programs: [program],
    progress,
    build: async (target) => {
      await go(['install', '-ldflags', '-s -w', `${path}@${version}`], target, {
        ...staticProgram,
        GOBIN: target,
      });
    },
  });
  return join(folder, program);
}

async function ensureFolder(request: {
  name: string;
  programs: readonly string[];
  progress: Progress;
  build: (folder: string) => Promise<void>;
}): Promise<string> {
  const { name, programs, progress, build } = request;
  const path = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'weft', name);
  if (programs.every((program) => existsSync(join(path, program)))) return path;
  progress(`building ${name} with Go (minutes, once)`);
  mkdirSync(path, { recursive: true });
  const scratch = mkdtempSync(`${path}.`);
  try {
    await build(scratch);
    for (const program of programs) renameSync(join(scratch, program), join(path, program));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return path;
}

const moduleFolder = 'module';

/**
 * Makes the module in which Kubernetes is built, with the sums that Kubernetes' authors recorded. Returns its folder, and
 * that of Kubernetes' source.
 */
async function kubernetesModule(folder: string): Promise<{ module: string; source: string }> {
  const module = join(folder, moduleFolder);
  mkdirSync(module, { recursive: true });
  const name = `k8s.io/kubernetes@${kubernetesVersion}`;
  const { Dir: source } = JSON.parse(await go(['mod', 'download', '-json', name], module)) as { Dir: string };
  const upstream = readFileSync(join(source, 'go.mod'), 'utf8');
  writeFileSync(join(module, 'go.mod'), goModule({ upstream, version: kubernetesVersion }));
  writeFileSync(join(module, 'go.sum'), readFileSync(join(source, 'go.sum')));
  return { module, source };
}

/** Without symbols; with the version, by which the components know what each other can do. */
function kubernetesFlags(): string[] {
  const [major, minor] = kubernetesVersion.slice(1).split('.');
  const variables = {
    gitVersion: kubernetesVersion,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
  };
  const stamps = Object.entries(variables).map(
    ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
  );
  return ['-ldflags', `-s -w ${stamps.join(' ')}`];
}

async function go(args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('go', args, {
      cwd,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, GOFLAGS: '-mod=mod', GOWORK: 'off', ...env },
    });
    return stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new LabError(
        'the program go is not installed: apt-get install golang-go, or see https://go.dev/dl',
      );
    }
    const said = String((error as { stderr?: unknown }).stderr ?? '').trimEnd();
    throw new LabError(`go ${args[0]} failed: ${said.split('\n').slice(-20).join('\n') || String(error)}`);
  }
}
