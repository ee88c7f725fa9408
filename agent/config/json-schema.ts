/** weft.yaml's JSON schema, for editors. Not loaded by the agent: it is written by `npm run schema`. */
import * as z from 'zod/mini';
import { configShape } from './schema.ts';

/** The text of docs/config.schema.json. */
export function jsonSchemaText(): string {
  const schema = z.toJSONSchema(configShape, { io: 'input' });
  return `${JSON.stringify({ title: 'weft.yaml', ...schema }, undefined, 2)}\n`;
}
