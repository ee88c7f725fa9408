/** A YAML document as plain values, together with where in the file each of them stands. */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { type Fault, formatField, type Problem } from './problem.ts';
import { reasonOf } from './reason.ts';

export interface ConfigDocument {
  /** The document's value; `{}` where it is empty. */
  readonly value: unknown;
  /** Faults of the YAML itself; where there are any, `value` is not to be used. */
  readonly problems: readonly Problem[];
  locate(fault: Fault): Problem;
}

/** Reads YAML 1.2 (core schema: `no` is a string, `010` is 10). Never throws. */
export function readDocument(file: string, text: string): ConfigDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const at = (offset: number, field: string, message: string): Problem => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col, field, text: message };
  };
  const problems = [...document.errors, ...document.warnings].map((error) =>
    at(error.pos[0], '', `${error.message.replace(/\s+$/, '')}; weft.yaml is YAML 1.2`),
  );
  let value: unknown;
  if (problems.length === 0) {
    try {
      value = document.toJS() ?? {};
    } catch (error) {
      problems.push({ file, line: 1, column: 1, field: '', text: `failed to expand it: ${reasonOf(error)}` });
    }
  }
  return {
    value,
    problems,
    locate: (fault) => at(offsetOf(document, fault), formatField(fault.path), fault.text),
  };
}

/** The offset of the fault's node; where it does not exist, of the nearest one around it. */
export function offsetOf(document: Document, { path, inName }: Fault): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => (isScalar(item.key) ? item.key.value : item.key) === step);
      if (!pair) break;
      const named = startOf(pair.key) ?? offset;
      offset = inName && depth === path.length - 1 ? named : (startOf(pair.value) ?? named);
      next = pair.value;
    } else if (isSeq(node)) {
      next = node.items[Number(step)];
      offset = startOf(next) ?? offset;
    }
    if (next === undefined || next === null) break;
    node = next;
  }
  return offset;
}

const startOf = (node: unknown): number | undefined =>
  isNode(node) ? (node.range?.[0] ?? undefined) : undefined;
