/** What weft itself knows, with the agent and without. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Config } from '../config/config.ts';
import { conflistDirectory } from '../conflist.ts';
import { openStore } from '../lease/store/open-store.ts';
import { planHost } from '../plan.ts';
import { askPage, askStatus } from '../status/ask-agent.ts';
import { nodeStatus } from '../status/node-status.ts';
import { type BundleItem, jsonText } from './item.ts';
import { readSettings } from './settings.ts';

export const weftItems = ({ config, file }: { config: Config; file: string }): BundleItem[] => [
  { name: 'status.json', read: async () => jsonText(await statusOf(config, file)) },
  { name: 'plan.json', read: async () => jsonText(await planHost({ config, file })) },
  { name: 'kernel/sysctl.json', read: () => jsonText(readSettings()) },
  ...['readyz', 'status', 'events', 'metrics'].map((path) => ({
    name: `agent/${path}.${path === 'metrics' ? 'txt' : 'json'}`,
    read: async () => pageOf(config, `/${path}`),
  })),
  { name: 'store.json', read: async (signal) => jsonText(await recordsOf(config, signal)) },
  ...folderItems('run', config.runDir, ['run.json', 'lease.json', 'subnet.env']),
  ...folderItems('state', config.stateDir, ['lease.json']),
  ...conflistItems(),
];

const statusOf = async (config: Config, file: string) =>
  nodeStatus({ config, file, agent: await askStatus(config.listen) });

async function pageOf({ listen }: Config, path: string): Promise<string> {
  const answer = await askPage(listen, path);
  if (answer.kind === 'unreachable') throw new Error(answer.reason);
  return answer.value.text;
}

/** Every record under the cluster's prefix; values that are JSON as JSON. */
async function recordsOf({ store }: Config, signal: AbortSignal): Promise<unknown> {
  if (store.type === 'kubernetes')
    return { note: 'with store kubernetes the Nodes are the records: add "kubectl get nodes -o yaml"' };
  const opened = await openStore(store);
  try {
    const { records } = await opened.list(signal);
    return records.map((record) => ({ ...record, value: parsed(record.value) }));
  } finally {
    opened.close();
  }
}

const folderItems = (folder: string, path: string, names: readonly string[]): BundleItem[] =>
  names.map((name) => ({ name: `${folder}/${name}`, read: () => readFileSync(join(path, name), 'utf8') }));

/** Runtimes' configurations as YAML: parsed, so that fields are known by their names. */
function conflistItems(): BundleItem[] {
  try {
    return readdirSync(conflistDirectory).map((name) => ({
      name: `cni/${name}.yaml`,
      read: () => stringify(JSON.parse(readFileSync(join(conflistDirectory, name), 'utf8'))),
    }));
  } catch {
    return [];
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
