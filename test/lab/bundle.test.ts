/** `weftctl bundle` on a node of a lab: what it has, and that no secret is in it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Lab } from '../../lab/lab.ts';
import { labName } from './ground.ts';

const name = labName('bundle');
const weftctl = join(fileURLToPath(new URL('../../../', import.meta.url)), 'dist/bin/weftctl');

/** Each is put where somebody could have put it. */
const secrets = {
  etcdPassword: 'Sekret-Etcd-Password-1',
  environment: 'Sekret-Environment-2',
  comment: 'Sekret-Comment-3',
  url: 'Sekret-Url-4',
  keyLine: 'SekretKeyLine5SekretKeyLine5SekretKeyLine5',
  kubeToken: 'Sekret-Kube-Token-6',
  kubeKey: 'SekretKubeKey7SekretKubeKey7',
  conflist: 'Sekret-Conflist-8',
  literal: 'Sekret-Literal-9',
} as const;

/** Journald, and a kernel with modules, are not on every machine. */
const onlySomewhere: ReadonlySet<string> = new Set(['log.txt', 'kernel/modules.txt']);

let lab: Lab;
const path = (file: string): string => lab.node('node-1').path(file);

/** Somebody's firewall rule names secrets while the block runs. */
async function withComment(comment: string, block: () => Promise<void>): Promise<void> {
  const node = lab.node('node-1');
  const rule = `add rule ip other c accept comment "${comment}"`;
  await node.mustExec(['nft', `add table ip other; add chain ip other c; ${rule}`]);
  try {
    await block();
  } finally {
    await node.mustExec(['nft', 'delete table ip other']);
  }
}

/** The archive's files by name, and all of its text. */
async function bundle(...args: string[]): Promise<{ names: string[]; file: (name: string) => string }> {
  const archive = '/var/lib/weft/bundle.tar.gz';
  const node = lab.node('node-1');
  await node.mustExec(['rm', '-f', archive]);
  await node.mustExec([
    'env',
    `WEFT_ETCD_PASSWORD=${secrets.environment}`,
    weftctl,
    'bundle',
    '--file',
    archive,
    ...args,
  ]);
  const at = await node.mustExec(['sh', '-c', `base64 ${archive}`]);
  const local = path('/etc/weft/bundle.tar.gz');
  writeFileSync(local, Buffer.from(at, 'base64'));
  const names = execFileSync('tar', ['-tzf', local], { encoding: 'utf8' }).trim().split('\n');
  const text = execFileSync('tar', ['-xOzf', local], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  for (const [what, secret] of Object.entries(secrets))
    assert.ok(!text.includes(secret), `${what} is in the bundle`);
  const file = (wanted: string): string =>
    execFileSync('tar', ['-xOzf', local, `weft-bundle/${wanted}`], { encoding: 'utf8' });
  return { names: names.map((each) => each.replace('weft-bundle/', '')), file };
}

describe('weftctl bundle', () => {
  before(async () => {
    lab = await Lab.up({ name, nodes: 2 });
    writeFileSync(path('/etc/weft/password'), `${secrets.etcdPassword}\n`);
    writeFileSync(
      path('/etc/weft/key.pem'),
      `-----BEGIN PRIVATE KEY-----\n${secrets.keyLine}\n-----END PRIVATE KEY-----\n`,
    );
    writeFileSync(
      path('/etc/weft/kubeconfig'),
      `users: [{ name: a, user: { token: ${secrets.kubeToken}, client-key-data: ${secrets.kubeKey} } }]\n`,
    );
    writeFileSync(
      path('/etc/cni/net.d/99-other.conflist'),
      JSON.stringify({ name: 'other', plugins: [{ type: 'x', password: secrets.conflist }] }),
    );
  });
  after(() => Lab.down(name));

  it('healthy node: status, plan, events, health, store, kernel state and versions, each parsed', async () => {
    const { names, file } = await bundle();
    for (const expected of [
      'bundle.json',
      'status.json',
      'plan.json',
      'agent/readyz.json',
      'agent/events.json',
      'agent/metrics.txt',
      'store.json',
      'kernel/links.json',
      'kernel/nft.json',
      'kernel/fdb.json',
      'kernel/sysctl.json',
      'cni/99-other.conflist.yaml',
      'weft.yaml',
    ]) {
      assert.ok(names.includes(expected), expected);
    }
    assert.equal(JSON.parse(file('status.json')).node, 'node-1');
    assert.equal(JSON.parse(file('agent/readyz.json')).ready, true);
    assert.ok(
      JSON.parse(file('kernel/links.json')).some(({ ifname }: { ifname: string }) => ifname === 'weft.1'),
    );
    assert.ok(JSON.parse(file('store.json')).some(({ key }: { key: string }) => key.startsWith('subnets/')));
    assert.match(file('cni/99-other.conflist.yaml'), /password: "?\[removed\]/);
    const { files } = JSON.parse(file('bundle.json'));
    const failed = files.filter((each: { name: string; failed?: string }) => each.failed);
    assert.deepEqual(
      failed.filter((each: { name: string }) => !onlySomewhere.has(each.name)),
      [],
    );
  });

  it('agent stopped: the rest is there, and what is missing says why', async () => {
    const { agent } = lab.node('node-1');
    await agent.stop();
    try {
      const { file } = await bundle();
      assert.match(file('agent/events.json'), /not collected: weftd does not run/);
      assert.equal(JSON.parse(file('status.json')).agent.running, false);
      assert.deepEqual(JSON.parse(file('plan.json')).steps, []);
    } finally {
      await agent.start();
    }
  });

  it('etcd away, password, key, comments: no secret, store named as not collected', async () => {
    writeFileSync(
      path('/etc/weft/etcd.yaml'),
      `# the password is ${secrets.comment}
store:
  type: etcd
  endpoints: [https://192.0.2.1:2379]
  username: weft
  passwordFile: /etc/weft/password
  certFile: /etc/weft/key.pem
  keyFile: /etc/weft/key.pem
`,
    );
    await withComment(`${secrets.etcdPassword} ${secrets.keyLine}`, async () => {
      const { file } = await bundle('--config', '/etc/weft/etcd.yaml');
      assert.match(file('weft.yaml'), /passwordFile: \/etc\/weft\/password/);
      assert.match(file('store.json'), /not collected/);
      assert.match(file('kernel/nft.json'), /\[removed\]/);
    });
  });

  it('weft.yaml that is refused, with secrets in it: its problems and kernel state, no secret', async () => {
    writeFileSync(
      path('/etc/weft/refused.yaml'),
      `store: { type: etcd, password: ${secrets.literal},
  endpoints: ["https://root:${secrets.url}@192.0.2.1:2379"] }\n`,
    );
    const { names, file } = await bundle('--config', '/etc/weft/refused.yaml');
    assert.match(file('configuration-refused.txt'), /did you mean passwordFile/);
    assert.ok(names.includes('kernel/links.json') && !names.includes('status.json'));
  });

  it('kubeconfig: it is not in the bundle, and its secrets are nowhere', async () => {
    writeFileSync(
      path('/etc/weft/kubernetes.yaml'),
      'store: { type: kubernetes, kubeconfig: /etc/weft/kubeconfig }\n',
    );
    await withComment(`${secrets.kubeToken} ${secrets.kubeKey}`, async () => {
      const { names, file } = await bundle('--config', '/etc/weft/kubernetes.yaml');
      assert.ok(names.every((each) => !each.includes('kubeconfig')));
      assert.match(file('kernel/nft.json'), /\[removed\]/);
    });
  });

  it('archive that exists: refused, and left as it was', async () => {
    const outcome = await lab.node('node-1').exec([weftctl, 'bundle', '--file', '/etc/weft/weft.yaml']);
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, /failed to write .*file already exists.*--file/);
  });
});
