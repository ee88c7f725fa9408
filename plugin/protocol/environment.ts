/** The parameters of a call (CNI specification, section 2): which verb needs which variable, and what it may hold. */
import { CniError } from '../errors.ts';
import { checkContainerId, checkInterfaceName } from './names.ts';

export const cniVerbs = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;

export type Verb = (typeof cniVerbs)[number];

type Variable = 'CNI_CONTAINERID' | 'CNI_NETNS' | 'CNI_IFNAME';

/**
 * In the order in which the reference reports them. CNI_PATH is required by no verb: it names the
 * directories of plugins to delegate to, and weft delegates to nobody.
 */
const requiredBy: Readonly<Record<Variable, readonly Verb[]>> = {
  CNI_CONTAINERID: ['ADD', 'DEL', 'CHECK'],
  CNI_NETNS: ['ADD', 'CHECK'],
  CNI_IFNAME: ['ADD', 'DEL', 'CHECK'],
};

/** Checked only for the verbs that require the variable: GC must pass with anything in them. */
const validOnlyIf: Readonly<Partial<Record<Variable, (value: string) => void>>> = {
  CNI_CONTAINERID: checkContainerId,
  CNI_IFNAME: checkInterfaceName,
};

const traceVariables = ['TRACEPARENT', 'TRACESTATE', 'BAGGAGE'] as const;

const variables = Object.keys(requiredBy) as Variable[];

export type Environment = Readonly<Record<string, string>>;

/** The verb; undefined if CNI_COMMAND is absent or empty; CniError (code 4) if there is no such verb. */
export function verbOf(env: Environment): Verb | undefined {
  const command = env.CNI_COMMAND ?? '';
  if (command === '') return undefined;
  const verb = cniVerbs.find((each) => each === command);
  if (!verb) throw new CniError('invalid-environment', `unknown CNI_COMMAND: ${command}`);
  return verb;
}

/** Refuses (code 4) a call that lacks variables, naming all of them at once. */
export function requireVariables(verb: Verb, env: Environment): void {
  const missing = variables.filter((name) => requiredBy[name].includes(verb) && !env[name]);
  if (missing.length > 0) {
    throw new CniError('invalid-environment', `required env variables [${missing.join(',')}] missing`);
  }
}

/** Refuses (code 4) a container id or an interface name of a form that is not allowed. */
export function validateVariables(verb: Verb, env: Environment): void {
  for (const name of variables) {
    if (requiredBy[name].includes(verb)) validOnlyIf[name]?.(env[name] ?? '');
  }
}

/** CNI_NETNS_OVERRIDE as Go's boolean parser reads it in the reference: `1` or `true`. */
export const netnsOverrideOf = (env: Environment): boolean =>
  ['1', 'true'].includes((env.CNI_NETNS_OVERRIDE ?? '').toLowerCase());

export function traceOf(env: Environment): Record<string, string> {
  const present = traceVariables.filter((name) => env[name]);
  return Object.fromEntries(present.map((name) => [name.toLowerCase(), env[name] ?? '']));
}
