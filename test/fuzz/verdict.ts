/** What any answer to any call must be like, whatever was asked: the contract that fuzzing holds weft to. */
import { cniCodes } from '../../plugin/errors.ts';
import type { FuzzCall } from './calls.ts';

export interface FuzzExit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** It was killed because it took too long. */
  readonly hung: boolean;
}

const codes: ReadonlySet<unknown> = new Set(Object.values(cniCodes));
/** Refusals that a DEL may give: the call itself is not one. */
const noCall: ReadonlySet<unknown> = new Set([1, 4, 5, 6, 7]);

/** What is wrong with the answer, in words; undefined where it is as it must be. */
export function complaintAbout(call: FuzzCall, exit: FuzzExit): string | undefined {
  if (exit.hung) return 'it did not end';
  if (exit.signal) return `it died of ${exit.signal}`;
  if (/^\s+at .+(:\d+:\d+|\))$/m.test(exit.stdout + exit.stderr)) return 'a stack trace';
  if (/\(node:\d+\)|Sanitizer|runtime error/.test(exit.stderr)) return 'noise of the runtime environment';
  if (exit.status === 0) return complaintAboutSuccess(call, exit.stdout);
  if (exit.status !== 1) return `exit status ${exit.status}`;
  return complaintAboutRefusal(call, exit.stdout);
}

function complaintAboutSuccess({ env }: FuzzCall, stdout: string): string | undefined {
  const verb = env.CNI_COMMAND ?? '';
  if (verb !== 'ADD' && verb !== 'VERSION') return stdout === '' ? undefined : 'it printed something';
  const result = parseObject(stdout);
  if (!result) return 'it did not print a JSON object';
  if (typeof result.cniVersion !== 'string') return 'a result without cniVersion';
  if (verb === 'VERSION') return Array.isArray(result.supportedVersions) ? undefined : 'no supportedVersions';
  return undefined;
}

function complaintAboutRefusal({ env }: FuzzCall, stdout: string): string | undefined {
  const error = parseObject(stdout);
  if (!error) return 'a refusal that is no JSON object';
  if (typeof error.msg !== 'string' || error.msg === '') return 'a refusal without words';
  if (!/^\d+\.\d+\.\d+$/.test(String(error.cniVersion))) return 'a refusal without cniVersion';
  if (error.code === cniCodes.internal) return `code 999: ${error.msg}`;
  if (!codes.has(error.code)) return `code ${error.code}, which is none of ours`;
  if (env.CNI_COMMAND === 'DEL' && !noCall.has(error.code)) return `a DEL that fails with code ${error.code}`;
  return undefined;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return value as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
