/** weft.yaml(5), made from the schema of weft.yaml. */
import { jsonSchemaText } from '../../agent/config/json-schema.ts';
import { escaped, literal, page, section } from './roff.ts';

interface Schema {
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

export function configurationPage(version: string): string {
  const schema: Schema = JSON.parse(jsonSchemaText());
  return page({
    name: 'weft.yaml',
    chapter: 5,
    version,
    description: 'configuration of weftd and weft-podd',
    sections: [
      section(
        'description',
        escaped(
          '/etc/weft/weft.yaml, or the file named by --config or WEFT_CONFIG. All keys have defaults; an unknown key ' +
            'is an error. "weftd --check-config" prints the configuration with all defaults, or its problems.',
        ),
      ),
      section('keys', ...keysOf(schema, '')),
      section(
        'examples',
        literal('backend: { type: auto }\nstore:\n  type: etcd\n  endpoints: [https://192.168.188.100:2379]'),
      ),
      section('see also', '.BR weftd (8),\n.BR weftctl (8)'),
    ],
  });
}

/** Every key by its whole path; keys of the choices of a union are one list. */
function keysOf(schema: Schema, before: string): string[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    const path = before ? `${before}.${name}` : name;
    return [...described(path, value), ...keysOf(value, path)];
  });
  const choices = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])].flatMap((choice) =>
    keysOf(choice, before),
  );
  return [...new Set([...own, ...choices])];
}

function described(path: string, schema: Schema): string[] {
  if (schema.properties && !schema.description) return [];
  const shown =
    schema.default === undefined || isEmpty(schema.default) ? '' : ` (${JSON.stringify(schema.default)})`;
  const values = schema.enum
    ? ` One of: ${schema.enum.join(', ')}.`
    : schema.const === undefined
      ? ''
      : ` ${schema.const}`;
  const text = `${schema.description ?? ''}${shown}${values}`.trim();
  return [`.TP\n.B ${escaped(path)}\n${escaped(text || 'see the other keys')}`];
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;
