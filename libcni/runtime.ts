/**
 * The runtime's half of CNI (specification 1.1.0, section 3 and 4; `libcni/api.go` of the CNI repository):
 * runs a network's chain of plugins, derives each plugin's input, keeps results.
 */
import { isObject, type Json, parseObject } from '../json/object.ts';
import { checkContainerId, checkInterfaceName } from '../plugin/protocol/names.ts';
import { atLeast } from '../plugin/protocol/version.ts';
import { type CachedAttachment, type CacheKey, ResultCache } from './cache.ts';
import { NetworkError, PluginError } from './errors.ts';
import { executePlugin, type PluginProcess } from './execute.ts';
import type { Network, PluginConfig } from './network.ts';

export interface RuntimeOptions extends Pick<PluginProcess, 'pluginDirs' | 'prefix' | 'signal'> {
  /** As this process sees it. Default: `/var/lib/cni/results`. */
  readonly cacheDir?: string | undefined;
  /** More variables for every plugin. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One interface of one container, as the caller describes it. */
export interface Attachment {
  readonly containerId: string;
  /** Path of the network namespace; empty on DEL if it is gone. */
  readonly netns: string;
  readonly ifname: string;
  /** CNI_ARGS, in this order. */
  readonly args?: readonly (readonly [key: string, value: string])[];
  /** What the caller has for capabilities; a plugin is given those that its configuration declares. */
  readonly capabilityArgs?: Json;
}

type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** Every method throws PluginError for an error of a plugin and NetworkError for an invalid network or request. */
export class CniRuntime {
  readonly cache: ResultCache;
  readonly #options: RuntimeOptions;

  constructor(options: RuntimeOptions) {
    this.#options = options;
    this.cache = new ResultCache(options.cacheDir);
  }

  /**
   * Runs the chain; each plugin is given the result of the one before. Returns the last one's result, in
   * the network's version, and keeps it. After a failure the caller owes a `del`.
   */
  async add(network: Network, attachment: Attachment): Promise<Json> {
    validate(attachment);
    let result: Json | undefined;
    for (const plugin of network.plugins) {
      const stdin = inputOf({ network, plugin, prevResult: result, attachment });
      result = resultIn(await this.#run('ADD', plugin, stdin, attachment), network, plugin);
    }
    if (!result) throw new NetworkError(`network ${network.name} has no plugins`);
    await this.cache.write(cachedAttachment(network, attachment, result));
    return result;
  }

  /** Runs the chain backwards, each plugin with ADD's final result (from 0.4.0 on), and forgets that result. */
  async del(network: Network, attachment: Attachment): Promise<void> {
    validate(attachment);
    const key = keyOf(network, attachment);
    const prevResult = atLeast(network.cniVersion, '0.4.0')
      ? (await this.cache.read(key))?.result
      : undefined;
    for (const plugin of network.plugins.toReversed()) {
      await this.#run('DEL', plugin, inputOf({ network, plugin, prevResult, attachment }), attachment);
    }
    await this.cache.remove(key);
  }

  /** Runs the chain with ADD's final result; does nothing if the network says `disableCheck`. */
  async check(network: Network, attachment: Attachment): Promise<void> {
    validate(attachment);
    if (!atLeast(network.cniVersion, '0.4.0')) {
      throw new NetworkError(
        `network ${network.name} is of version ${network.cniVersion}, which has no CHECK`,
      );
    }
    if (network.disableCheck) return;
    const cached = await this.cache.read(keyOf(network, attachment));
    if (!cached) {
      throw new NetworkError(`no result of an ADD is kept for ${attachment.containerId} on ${network.name}`);
    }
    for (const plugin of network.plugins) {
      const stdin = inputOf({ network, plugin, prevResult: cached.result, attachment });
      await this.#run('CHECK', plugin, stdin, attachment);
    }
  }

  /**
   * DEL for every kept result that is not among the valid ones, then GC along the chain (from 1.1.0 on).
   * Goes on after a failure; throws an AggregateError in the end.
   */
  async gc(network: Network, valid: readonly Omit<CacheKey, 'network'>[]): Promise<void> {
    if (network.disableGC) return;
    const isValid = (each: CachedAttachment) =>
      valid.some((one) => one.containerId === each.containerId && one.ifname === each.ifname);
    const stale = (await this.cache.list(network.name)).filter((each) => !isValid(each));
    const failures: unknown[] = [];
    for (const each of stale) {
      await this.del(network, { ...each, args: each.cniArgs }).catch((error) => failures.push(error));
    }
    const attachments = valid.map(({ containerId, ifname }) => ({ containerID: containerId, ifname }));
    // libcni sends the list under an earlier spelling of the specification as well.
    const lists = { 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments };
    for (const plugin of atLeast(network.cniVersion, '1.1.0') ? network.plugins : []) {
      const stdin = { ...inputOf({ network, plugin }), ...lists };
      await this.#run('GC', plugin, stdin).catch((error) => failures.push(error));
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map(textOf).join('; '));
  }

  /** Resolves if every plugin is ready for an ADD; networks before 1.1.0 have no STATUS and count as ready. */
  async status(network: Network): Promise<void> {
    if (!atLeast(network.cniVersion, '1.1.0')) return;
    for (const plugin of network.plugins) await this.#run('STATUS', plugin, inputOf({ network, plugin }));
  }

  /** The versions that a plugin supports: 0.1.0 for a plugin without VERSION. */
  async versions(plugin: Pick<PluginConfig, 'type'>): Promise<string[]> {
    const dummy = { containerId: '', netns: 'dummy', ifname: 'dummy' };
    let output: Json | undefined;
    try {
      output = parseObject(await this.#run('VERSION', plugin, { cniVersion: '1.1.0' }, dummy));
    } catch (error) {
      if (error instanceof PluginError && error.msg === 'unknown CNI_COMMAND: VERSION') return ['0.1.0'];
      throw error;
    }
    const supported = output?.supportedVersions;
    if (Array.isArray(supported)) return supported.map(String);
    if (output?.cniVersion === '0.2.0') return ['0.1.0', '0.2.0'];
    throw new NetworkError(`plugin ${plugin.type} answers VERSION with what is no list of versions`);
  }

  /** Resolves if every plugin exists and supports the network's version; podman's first request. */
  async validate(network: Network): Promise<void> {
    for (const plugin of network.plugins) {
      const versions = await this.versions(plugin);
      if (!versions.includes(network.cniVersion)) {
        throw new NetworkError(
          `plugin ${plugin.type} does not support version ${network.cniVersion} of network ` +
            `${network.name}; supported: ${versions.join(', ')}`,
        );
      }
    }
  }

  async #run(
    verb: Verb,
    { type }: Pick<PluginConfig, 'type'>,
    stdin: Json,
    attachment?: Attachment,
  ): Promise<string> {
    const env = { ...this.#options.env, CNI_COMMAND: verb, ...(attachment && variablesOf(attachment)) };
    const exit = await executePlugin({ ...this.#options, type, env, stdin: JSON.stringify(stdin) });
    if (exit.status === 0) return exit.stdout;
    throw new PluginError({ plugin: type, verb, stderr: exit.stderr, ...failureIn(exit) });
  }
}

function variablesOf({ containerId, netns, ifname, args = [] }: Attachment): Record<string, string> {
  return {
    CNI_CONTAINERID: containerId,
    CNI_NETNS: netns,
    CNI_IFNAME: ifname,
    CNI_ARGS: args.map((pair) => pair.join('=')).join(';'),
  };
}

/** An error object on stdout; where there is none, what the plugin says on stderr. */
function failureIn(exit: { status: number; stdout: string; stderr: string }) {
  const error = parseObject(exit.stdout);
  if (error && typeof error.msg === 'string') {
    const details = typeof error.details === 'string' ? error.details : undefined;
    return { code: Number(error.code ?? 0), msg: error.msg, details };
  }
  const words = (exit.stdout || exit.stderr).trim();
  const said = words === '' ? 'no error message' : JSON.stringify(words);
  return { code: 0, msg: `netplugin failed with exit status ${exit.status} and ${said}` };
}

interface Derivation {
  readonly network: Network;
  readonly plugin: PluginConfig;
  readonly prevResult?: Json | undefined;
  readonly attachment?: Attachment | undefined;
}

/**
 * A plugin's configuration out of the list's (specification, section 3 "Deriving execution configuration").
 * `capabilities` should not be passed on, but libcni does, so plugins meet it.
 */
function inputOf({ network, plugin, prevResult, attachment }: Derivation): Json {
  const offered = Object.entries(attachment?.capabilityArgs ?? {});
  const granted = offered.filter(([name]) => plugin.capabilities.has(name));
  return {
    ...plugin.config,
    name: network.name,
    cniVersion: network.cniVersion,
    ...(granted.length > 0 && { runtimeConfig: Object.fromEntries(granted) }),
    ...(prevResult && { prevResult }),
  };
}

/** A result without a version is of the configuration's. */
function resultIn(stdout: string, network: Network, plugin: PluginConfig): Json {
  const result = parseObject(stdout);
  if (!isObject(result)) throw new NetworkError(`ADD by plugin ${plugin.type} answers no JSON object`);
  return { ...result, cniVersion: result.cniVersion || network.cniVersion };
}

const keyOf = ({ name }: Network, { containerId, ifname }: Attachment): CacheKey => ({
  network: name,
  containerId,
  ifname,
});

const cachedAttachment = (network: Network, attachment: Attachment, result: Json): CachedAttachment => ({
  ...keyOf(network, attachment),
  netns: attachment.netns,
  source: network.source,
  cniArgs: attachment.args ?? [],
  capabilityArgs: attachment.capabilityArgs ?? {},
  result,
});

function validate({ containerId, ifname }: Attachment): void {
  checkContainerId(containerId);
  checkInterfaceName(ifname);
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
