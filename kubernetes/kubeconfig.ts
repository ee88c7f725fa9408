/** A kubeconfig's current context (client-go tools/clientcmd/api/v1, Config) as an access. */
import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { parse } from 'yaml';
import type { Access, Credentials } from './access.ts';
import { fixedCredentials, readSource, type Source } from './credentials.ts';
import { AccessError, textOf } from './errors.ts';
import { ExecCredentials, type ExecPlugin } from './exec-plugin.ts';
import { isObject, type JsonObject, objectIn, textIn } from './json.ts';

/** Throws `AccessError` naming the file, the field and the remedy. */
export function kubeconfigAccess(path: string): Access {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new AccessError(`failed to read the kubeconfig: ${textOf(error)}`, { cause: error });
  }
  return parseKubeconfig(path, text);
}

/** The same of a text; relative paths in it are relative to the folder of `path`. */
export function parseKubeconfig(path: string, text: string): Access {
  const config = documentOf(path, text);
  const name = textIn(config, 'current-context');
  if (name === undefined) {
    throw fault(path, 'current-context is not set', 'set it with kubectl config use-context');
  }
  const context = entryOf({ path, config, list: 'contexts', name, key: 'context' });
  const clusterName = textIn(context, 'cluster');
  if (clusterName === undefined) throw fault(path, `context ${name} names no cluster`, 'correct it');
  const cluster = entryOf({ path, config, list: 'clusters', name: clusterName, key: 'cluster' });
  const userName = textIn(context, 'user');
  const user =
    userName === undefined ? {} : entryOf({ path, config, list: 'users', name: userName, key: 'user' });
  const server = serverOf(path, cluster, clusterName);
  const ca = sourceOf(path, cluster, 'certificate-authority');
  const proxy = textIn(cluster, 'proxy-url');
  return {
    server,
    source: path,
    tlsServerName: textIn(cluster, 'tls-server-name'),
    ca: () => ca && readSource(ca, 'certificate authority of the API server'),
    proxy: proxy === undefined ? 'environment' : proxyOf(path, proxy),
    credentials: credentialsOf({ path, user, userName: userName ?? '', cluster, server }),
    namespace: textIn(context, 'namespace') ?? 'default',
  };
}

function documentOf(path: string, text: string): JsonObject {
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    throw new AccessError(`${path}: not YAML: ${textOf(error).split('\n')[0]}`, { cause: error });
  }
  if (!isObject(document))
    throw fault(path, 'not a kubeconfig', 'name a file with clusters, users, contexts');
  return document;
}

function entryOf(wanted: {
  path: string;
  config: JsonObject;
  list: string;
  name: string;
  key: string;
}): JsonObject {
  const { path, config, list, name, key } = wanted;
  const entries = Array.isArray(config[list]) ? config[list].filter(isObject) : [];
  const found = objectIn(
    entries.find((entry) => entry.name === name),
    key,
  );
  if (found) return found;
  const known = entries.flatMap((entry) => textIn(entry, 'name') ?? []).join(', ') || 'none';
  throw fault(path, `${key} ${JSON.stringify(name)} not found in ${list}`, `found: ${known}`);
}

function serverOf(path: string, cluster: JsonObject, name: string): URL {
  const text = textIn(cluster, 'server') ?? '';
  const server = URL.canParse(text) ? new URL(text) : undefined;
  if (!server || !/^https?:$/.test(server.protocol)) {
    throw fault(
      path,
      `cluster ${name}: server ${JSON.stringify(text)} is not a URL`,
      'write https://HOST:PORT',
    );
  }
  if (cluster['insecure-skip-tls-verify'] === true) {
    throw fault(
      path,
      `cluster ${name}: insecure-skip-tls-verify is unsupported: any host could pose as the API server`,
      'remove it and set certificate-authority',
    );
  }
  return server;
}

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** What other clients read and weft does not: to ignore it would be to act as somebody else. */
const unsupported: Readonly<Record<string, string>> = {
  'auth-provider': 'use exec',
  username: 'API servers from 1.19 accept no passwords; use a token or a client certificate',
  password: 'API servers from 1.19 accept no passwords; use a token or a client certificate',
  as: 'give this node credentials of its own',
  'as-uid': 'give this node credentials of its own',
  'as-groups': 'give this node credentials of its own',
};

function credentialsOf(given: {
  path: string;
  user: JsonObject;
  userName: string;
  cluster: JsonObject;
  server: URL;
}): Credentials {
  const { path, user, userName, cluster, server } = given;
  for (const [field, remedy] of Object.entries(unsupported)) {
    if (user[field] !== undefined) throw fault(path, `user ${userName}: ${field} is unsupported`, remedy);
  }
  const cert = sourceOf(path, user, 'client-certificate');
  const key = sourceOf(path, user, 'client-key');
  if ((cert === undefined) !== (key === undefined)) {
    throw fault(
      path,
      `user ${userName} has one of client-certificate and client-key without the other`,
      'give both',
    );
  }
  const tokenFile = textIn(user, 'tokenFile');
  const text = textIn(user, 'token');
  const token: Source | undefined =
    tokenFile !== undefined ? { file: beside(path, tokenFile) } : text === undefined ? undefined : { text };
  if ((token || user.exec !== undefined) && server.protocol === 'http:' && !loopback.test(server.hostname)) {
    throw fault(
      path,
      `user ${userName}: a token must not be sent over http:// to another host`,
      'use https://',
    );
  }
  if (user.exec !== undefined && !token && !cert) {
    return new ExecCredentials(execPluginOf({ path, user, userName, cluster }));
  }
  return fixedCredentials({ token, certificate: cert && key ? { cert, key } : undefined });
}

function execPluginOf(given: {
  path: string;
  user: JsonObject;
  userName: string;
  cluster: JsonObject;
}): ExecPlugin {
  const { path, user, userName, cluster } = given;
  const exec = objectIn(user, 'exec');
  const [apiVersion, command] = [textIn(exec, 'apiVersion'), textIn(exec, 'command')];
  if (!exec || !command) throw fault(path, `user ${userName}: exec names no command`, 'name one');
  if (!apiVersion || !/^client\.authentication\.k8s\.io\/v1(beta1)?$/.test(apiVersion)) {
    throw fault(
      path,
      `user ${userName}: exec.apiVersion ${JSON.stringify(apiVersion)} is unsupported`,
      'supported: client.authentication.k8s.io/v1, client.authentication.k8s.io/v1beta1',
    );
  }
  if (exec.interactiveMode === 'Always') {
    throw fault(
      path,
      `user ${userName}: exec.interactiveMode is Always`,
      'an agent has no terminal; use Never',
    );
  }
  const env = Array.isArray(exec.env) ? exec.env.filter(isObject) : [];
  return {
    apiVersion,
    // client-go's rule: a name without slash is looked for in PATH, a relative path is the kubeconfig's.
    command: command.includes('/') ? beside(path, command) : command,
    args: Array.isArray(exec.args) ? exec.args.map(String) : [],
    env: Object.fromEntries(env.map((entry) => [String(entry.name), String(entry.value ?? '')])),
    cluster: exec.provideClusterInfo === true ? execClusterOf(path, cluster) : undefined,
    installHint: textIn(exec, 'installHint'),
  };
}

/** client.authentication.k8s.io/v1, Cluster: the authority always as data, and what the cluster has for programs. */
function execClusterOf(path: string, cluster: JsonObject): JsonObject {
  const ca = sourceOf(path, cluster, 'certificate-authority');
  const extensions = Array.isArray(cluster.extensions) ? cluster.extensions.filter(isObject) : [];
  const config = extensions.find(({ name }) => name === 'client.authentication.k8s.io/exec')?.extension;
  const given = ['server', 'tls-server-name', 'proxy-url'].filter((name) => cluster[name] !== undefined);
  return {
    ...Object.fromEntries(given.map((name) => [name, cluster[name]])),
    ...(ca
      ? { 'certificate-authority-data': Buffer.from(readSource(ca, 'authority')).toString('base64') }
      : {}),
    ...(config === undefined ? {} : { config }),
  };
}

/** `NAME-data` (base64) before `NAME` (a file), as client-go has it. */
function sourceOf(path: string, object: JsonObject, name: string): Source | undefined {
  const data = textIn(object, `${name}-data`);
  if (data !== undefined) {
    const text = Buffer.from(data, 'base64').toString('utf8');
    if (!text.includes('-----BEGIN')) {
      throw fault(path, `${name}-data is not PEM in base64`, `write it again, or give the file as ${name}`);
    }
    return { text };
  }
  const file = textIn(object, name);
  return file === undefined ? undefined : { file: beside(path, file) };
}

function proxyOf(path: string, text: string): URL {
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy && /^https?:$/.test(proxy.protocol)) return proxy;
  throw fault(path, `proxy-url ${JSON.stringify(text)} is unsupported`, 'supported: http://, https://');
}

const beside = (path: string, file: string): string => (isAbsolute(file) ? file : join(dirname(path), file));

const fault = (path: string, what: string, remedy: string): AccessError =>
  new AccessError(`${path}: ${what}; ${remedy}`);
