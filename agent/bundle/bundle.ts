/** `weftctl bundle`: one archive for a bug report, without secrets, also where the agent or the store is away. */
import { readFileSync } from 'node:fs';
import { arch, hostname, release } from 'node:os';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { parse, stringify } from 'yaml';
import { reasonOf } from '../../problem/reason.ts';
import type { Config } from '../config/config.ts';
import { type ConfigSource, loadConfig } from '../config/load.ts';
import { version } from '../version.ts';
import { commandItems, fileItems } from './commands.ts';
import { type BundleItem, jsonText } from './item.ts';
import { Redactor } from './redact.ts';
import { knownSecrets } from './secrets.ts';
import { weftItems } from './weft-items.ts';

/** What one file may have, and all of them, before they are compressed. */
const MOST_FILE_BYTES = 4 * 1024 * 1024;
const MOST_BYTES = 32 * 1024 * 1024;
const ITEM_MS = 10_000;

interface Written {
  readonly name: string;
  readonly bytes: number;
  readonly cutBytes?: number;
  readonly failed?: string;
}

/** `onItem` is called with the name of each file before it is collected. */
export async function makeBundle(given: {
  readonly source: ConfigSource;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onItem: (name: string) => void;
}): Promise<{ readonly archive: Buffer; readonly files: readonly Written[] }> {
  const { source, env, onItem } = given;
  const document = documentOf(source.path);
  const loaded = loadOrReason(source);
  const config = loaded.config;
  const redactor = new Redactor(knownSecrets({ config, document, env }));
  const files: { name: string; text: string }[] = [];
  const written: Written[] = [];
  let left = MOST_BYTES;
  for (const item of itemsOf({ ...loaded, document, source })) {
    onItem(item.name);
    const { text, failed } = await textOf(item);
    const { kept, cutBytes } = cut(redactedText(redactor, item.name, text), Math.min(left, MOST_FILE_BYTES));
    left -= Buffer.byteLength(kept);
    files.push({ name: item.name, text: kept });
    written.push({
      name: item.name,
      bytes: Buffer.byteLength(kept),
      ...(cutBytes ? { cutBytes } : {}),
      ...(failed === undefined ? {} : { failed: redactor.text(failed) }),
    });
  }
  files.unshift({ name: 'bundle.json', text: jsonText({ ...versions(), files: written }) });
  return { archive: await archived(files), files: written };
}

const versions = () => ({
  weft: version,
  node: process.version,
  kernel: release(),
  architecture: arch(),
  host: hostname(),
  time: new Date().toISOString(),
});

const itemsOf = (from: {
  config?: Config | undefined;
  reason?: string;
  document: unknown;
  source: ConfigSource;
}): BundleItem[] => [
  {
    name: 'weft.yaml',
    read: () =>
      from.document === undefined
        ? `# ${from.source.path} is absent or not YAML\n`
        : stringify(from.document),
  },
  ...(from.reason === undefined
    ? []
    : [{ name: 'configuration-refused.txt', read: () => from.reason ?? '' }]),
  ...(from.config ? weftItems({ config: from.config, file: from.source.path }) : []),
  ...commandItems(),
  ...fileItems(),
];

/** Comments are lost on the way, and what people have written into them. */
function documentOf(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function loadOrReason(source: ConfigSource): { config?: Config; reason?: string } {
  try {
    return { config: loadConfig(source).config };
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}

async function textOf(item: BundleItem): Promise<{ text: string; failed?: string }> {
  const signal = AbortSignal.timeout(ITEM_MS);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error(`not finished after ${ITEM_MS / 1000} s`)));
  });
  try {
    return { text: await Promise.race([item.read(signal), late]) };
  } catch (error) {
    const failed = reasonOf(error);
    return { text: `not collected: ${failed}\n`, failed };
  }
}

/** What can be parsed is redacted as a value, the rest as text. */
function redactedText(redactor: Redactor, name: string, text: string): string {
  if (!/\.(json|yaml)$/.test(name)) return redactor.text(text);
  try {
    return name.endsWith('.json')
      ? jsonText(redactor.value(JSON.parse(text)))
      : stringify(redactor.value(parse(text)));
  } catch {
    return redactor.text(text);
  }
}

function cut(text: string, most: number): { kept: string; cutBytes: number } {
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return { kept: text, cutBytes: 0 };
  return { kept: bytes.subarray(0, most).toString(), cutBytes: bytes.length - most };
}

async function archived(files: readonly { name: string; text: string }[]): Promise<Buffer> {
  const archive = pack();
  const folder = 'weft-bundle';
  for (const { name, text } of files) archive.entry({ name: `${folder}/${name}`, mode: 0o600 }, text);
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive.pipe(createGzip())) chunks.push(chunk);
  return Buffer.concat(chunks);
}
