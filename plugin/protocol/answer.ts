/**
 * A CNI call from bytes to bytes (CNI specification 1.1.0, sections 2, 4 and 5). The order of the checks
 * is the reference's (`pkg/skel`): verb, variables, stdin, their forms, version, and only then the rest.
 */
import { CniError } from '../errors.ts';
import type { OpenedNames, PluginAnswer, PluginCall } from './call.ts';
import { parseCniArgs } from './cni-args.ts';
import {
  type Environment,
  netnsOverrideOf,
  requireVariables,
  traceOf,
  type Verb,
  validateVariables,
  verbOf,
} from './environment.ts';
import { decodeInput, type Input, versionFor, versionIn } from './input.ts';
import { decodeNetwork } from './network-decode.ts';
import type { AddRequest, AttachmentKey, DelRequest, GcRequest, Verbs } from './request.ts';
import type { CniResult } from './result.ts';
import { decodeResult } from './result-decode.ts';
import { encodeResult } from './result-encode.ts';
import { mergeResults } from './result-merge.ts';
import { validAttachmentsOf } from './valid-attachments.ts';
import { atLeast, type CniVersion, cniVersions, newestCniVersion } from './version.ts';

/** Answers any call, correct or not. Never throws, never rejects. */
export async function answer(call: PluginCall, verbs: Verbs): Promise<PluginAnswer> {
  try {
    const verb = verbOf(call.env);
    if (!verb) return about;
    if (verb === 'VERSION') return success(versionAnswer(call.stdin));
    return await perform(verb, call, verbs);
  } catch (thrown) {
    return refusal(thrown, versionIn(call.stdin));
  }
}

/** The answer that reports a failure, also for one outside a call (stdin that cannot be read). */
export function refusal(thrown: unknown, version: CniVersion = newestCniVersion): PluginAnswer {
  const { code, message, details } = CniError.of(thrown);
  const error = { cniVersion: version, code, msg: message, details: details || undefined };
  return { status: 1, stdout: json(error), stderr: '' };
}

type WorkingVerb = Exclude<Verb, 'VERSION'>;

interface Invocation {
  readonly opened: OpenedNames | undefined;
  readonly env: Environment;
  readonly input: Input;
  readonly verbs: Verbs;
}

const performers: Readonly<Record<WorkingVerb, (invocation: Invocation) => Promise<PluginAnswer>>> = {
  ADD: add,
  DEL: del,
  CHECK: check,
  GC: gc,
  STATUS: status,
};

async function perform(
  verb: WorkingVerb,
  { env, stdin, opened }: PluginCall,
  verbs: Verbs,
): Promise<PluginAnswer> {
  requireVariables(verb, env);
  const { fields, name } = decodeInput(stdin);
  validateVariables(verb, env);
  const version = versionFor(verb, fields);
  return await performers[verb]({ env, verbs, opened, input: { fields, name, version } });
}

async function add(invocation: Invocation): Promise<PluginAnswer> {
  const { input, verbs } = invocation;
  const request = addRequest(invocation);
  const previous = previousResult(input);
  const made = await verbs.add(request);
  try {
    return success(encodeResult(mergeResults(previous, made), input.version));
  } catch (thrown) {
    // What was made cannot be reported, so the runtime would never know of it.
    await verbs.del(delRequest(invocation));
    throw thrown;
  }
}

async function del(invocation: Invocation): Promise<PluginAnswer> {
  await invocation.verbs.del(delRequest(invocation));
  return silentSuccess;
}

async function check(invocation: Invocation): Promise<PluginAnswer> {
  const { input, verbs } = invocation;
  const prevResult = previousResult(input);
  if (!prevResult) throw new CniError('invalid-config', 'Required prevResult missing');
  await verbs.check({ ...addRequest(invocation), prevResult });
  return silentSuccess;
}

async function gc({ env, input, verbs }: Invocation): Promise<PluginAnswer> {
  const validAttachments = validAttachmentsOf(input.fields);
  // A wipe because of a key that somebody forgot could never be undone.
  if (!validAttachments) {
    return { ...silentSuccess, stderr: 'GC: no cni.dev/valid-attachments given, nothing is removed\n' };
  }
  const request: GcRequest = { network: input.name, validAttachments, trace: traceOf(env) };
  await verbs.gc(request);
  return silentSuccess;
}

async function status({ env, input, verbs }: Invocation): Promise<PluginAnswer> {
  await verbs.status({ config: decodeNetwork(input, {}), trace: traceOf(env) });
  return silentSuccess;
}

function addRequest({ env, input, opened }: Invocation): AddRequest {
  const args = parseCniArgs(env.CNI_ARGS ?? '');
  return {
    attachment: attachmentOf(env, input),
    netns: env.CNI_NETNS ?? '',
    opened,
    netnsOverride: netnsOverrideOf(env),
    config: decodeNetwork(input, args),
    pod: {
      namespace: args.K8S_POD_NAMESPACE,
      name: args.K8S_POD_NAME,
      uid: args.K8S_POD_UID,
      infraContainerId: args.K8S_POD_INFRA_CONTAINER_ID,
    },
    trace: traceOf(env),
  };
}

/** Decodes no more than it must: a DEL works whatever has become of the configuration. */
function delRequest({ env, input, opened }: Invocation): DelRequest {
  return {
    attachment: attachmentOf(env, input),
    netns: env.CNI_NETNS || undefined,
    hostLocalDir: readableDataDir(input),
    opened,
    prevResult: understoodPreviousResult(input),
    trace: traceOf(env),
  };
}

const attachmentOf = (env: Environment, { name }: Input): AttachmentKey => ({
  network: name,
  containerId: env.CNI_CONTAINERID ?? '',
  ifname: env.CNI_IFNAME ?? '',
});

/** prevResult exists since 0.3.0; the first plugin of a chain gets none on ADD. */
function previousResult({ fields, version }: Input): CniResult | undefined {
  const value = fields.raw('prevResult');
  if (value === undefined || !atLeast(version, '0.3.0')) return undefined;
  return decodeResult(value, 'prevResult');
}

function readableDataDir({ fields }: Input): string | undefined {
  try {
    return fields.object('ipam')?.string('dataDir');
  } catch {
    return undefined; // DEL never fails for it
  }
}

function understoodPreviousResult(input: Input): CniResult | undefined {
  try {
    return previousResult(input);
  } catch {
    return undefined; // DEL never fails for it: the attachment's own record says more
  }
}

const versionAnswer = (stdin: Uint8Array): object => ({
  cniVersion: requestedVersion(stdin) ?? newestCniVersion,
  supportedVersions: cniVersions,
});

/** VERSION needs no stdin; what is there is used if it says something. */
const requestedVersion = (stdin: Uint8Array): CniVersion | undefined =>
  stdin.length === 0 ? undefined : versionIn(stdin);

const json = (value: object): string => `${JSON.stringify(value)}\n`;

const success = (value: object): PluginAnswer => ({ status: 0, stdout: json(value), stderr: '' });

const silentSuccess: PluginAnswer = { status: 0, stdout: '', stderr: '' };

/** CNI_COMMAND is not set: a person called, not a runtime. */
const about: PluginAnswer = {
  status: 0,
  stdout: '',
  stderr: `CNI weft plugin\nCNI protocol versions supported: ${cniVersions.join(', ')}\n`,
};
