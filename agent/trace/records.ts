/**
 * What one node asks another about the way of a packet, and what that one answers, as records of the store:
 *
 *   weft/questions/TOKEN   {"format":1,"node":"ID","source":"10.244.1.2","target":"10.244.2.2"}
 *   weft/answers/TOKEN     {"format":1,"hops":[{"name":"bridge","state":"ok","text":"..."}]}
 *
 * Both expire with the session of the asker. Every writer of the store can ask, and its records are not trusted: sizes
 * are bounded, and only these shapes are accepted.
 */
import * as z from 'zod/mini';
import { formatIp, type Ip, parseIp } from '../../inet/ip.ts';
import { parseObject } from '../../json/object.ts';
import type { Hop } from './hop.ts';

export const questionsFolder = 'weft/questions/';
export const answersFolder = 'weft/answers/';

export interface Question {
  /** The id of the node that is asked. */
  readonly node: string;
  readonly source: Ip;
  readonly target: Ip;
}

const FORMAT = 1;
const MOST_QUESTION_CHARACTERS = 1_024;
const MOST_ANSWER_CHARACTERS = 131_072;
const MOST_HOPS = 40;
const MOST_TEXT = 400;

const text = z.string().check(z.maxLength(MOST_TEXT));

const questionShape = z.strictObject({
  format: z.literal(FORMAT),
  node: z.string().check(z.regex(/^[A-Za-z0-9-]{1,64}$/)),
  source: text,
  target: text,
});

const answerShape = z.strictObject({
  format: z.literal(FORMAT),
  hops: z
    .array(
      z.strictObject({
        name: text,
        state: z.enum(['ok', 'failed', 'unknown']),
        text,
        remedy: z.optional(text),
      }),
    )
    .check(z.maxLength(MOST_HOPS)),
});

export const encodeQuestion = ({ node, source, target }: Question): string =>
  JSON.stringify({ format: FORMAT, node, source: formatIp(source), target: formatIp(target) });

/** Undefined where it is no question. */
export function decodeQuestion(value: string): Question | undefined {
  if (value.length > MOST_QUESTION_CHARACTERS) return undefined;
  const { data } = questionShape.safeParse(parseObject(value));
  const [source, target] = [parseIp(data?.source ?? ''), parseIp(data?.target ?? '')];
  if (!data || !source || !target || source.family !== target.family) return undefined;
  return { node: data.node, source, target };
}

/** What is too long is cut: an answer always fits. */
export const encodeAnswer = (hops: readonly Hop[]): string =>
  JSON.stringify({
    format: FORMAT,
    hops: hops.slice(0, MOST_HOPS).map(({ name, state, text: said, remedy }) => ({
      name: cut(name),
      state,
      text: cut(said),
      ...(remedy === undefined ? {} : { remedy: cut(remedy) }),
    })),
  });

/** `MOST_HOPS` of this length, with their names, stay below the answer's bound. */
const LONGEST_PART = 150;
const cut = (part: string): string => part.slice(0, LONGEST_PART);

/** Undefined where it is no answer. */
export function decodeAnswer(value: string): readonly Hop[] | undefined {
  if (value.length > MOST_ANSWER_CHARACTERS) return undefined;
  const { data } = answerShape.safeParse(parseObject(value));
  return data?.hops.map(({ remedy, ...hop }) => (remedy === undefined ? hop : { ...hop, remedy }));
}
