import { formatProblem, type Problem } from '../../problem/problem.ts';
import { AgentError } from '../errors.ts';

/** Every problem of one configuration; `message` has one line for each. */
/** EX_CONFIG (sysexits.h): the service manager does not start the daemon again. */
export const INVALID_CONFIG_STATUS = 78;

export class ConfigError extends AgentError {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('config', problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}
