/** A container's variables, with every reference resolved. Pure. */
import { expand } from './expand.ts';
import { fieldOf, type PodFacts } from './fields.ts';
import type { Container, Handler } from './pod.ts';

export function environmentOf(container: Container, facts: PodFacts): Map<string, string> {
  const variables = new Map<string, string>();
  for (const { name, value, field, literal } of container.env) {
    variables.set(
      name,
      field !== undefined ? fieldOf(field, facts) : literal ? value : expand(value, variables),
    );
  }
  return variables;
}

/** The kubelet expands `$(NAME)` in the commands of probes, and not in those of hooks. */
export const expandedHandler = <T extends Handler>(handler: T, variables: ReadonlyMap<string, string>): T =>
  handler.kind === 'exec'
    ? { ...handler, command: handler.command.map((text) => expand(text, variables)) }
    : handler;
