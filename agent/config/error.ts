import { formatProblem, type Problem } from '../../problem/problem.ts';
import { AgentError } from '../errors.ts';

/** Every problem of one configuration; `message` has one line for each. */
export class ConfigError extends AgentError {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('config', problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}
