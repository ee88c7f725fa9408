/** Pods on Docker, with a real dockerd on two nodes of a lab: what people do with them, and what happens to them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { after, afterEach, before, describe, it } from 'node:test';
import { packageRoot } from '../../lab/product.ts';
import { Docker } from '../runtimes/docker.ts';
import { archive, RuntimeGround } from '../runtimes/ground.ts';
import { container, idleScript, manifest, Pods } from '../runtimes/pods.ts';

/** An archive of no file: two blocks of zeros. */
const emptyArchive = Buffer.alloc(1024);

async function finished(stream: NodeJS.ReadableStream): Promise<void> {
  stream.resume();
  await once(stream, 'end');
}

describe('pods on Docker', () => {
  let ground: RuntimeGround;
  const dockers: Docker[] = [];
  let [near, far] = [] as unknown as [Pods, Pods];
  let docker = undefined as unknown as Docker;

  before(async () => {
    ground = await RuntimeGround.raise('pods');
    for (const node of ground.lab.nodes) {
      dockers.push(await Docker.start({ node, archive, cgroup: ground.cgroup }));
    }
    [near, far] = ground.lab.nodes.map((node) => new Pods(node)) as [Pods, Pods];
    [docker] = dockers as [Docker];
  });

  afterEach(async () => {
    for (const pods of [near, far]) {
      const names = (await pods.list()).map(({ name }) => name);
      if (names.length > 0) await pods.remove(...names, '--grace-period', '0');
      assert.deepEqual(await ground.leftovers(pods.node), []);
    }
  });

  after(async () => {
    try {
      for (const each of dockers) await each.stop();
    } finally {
      await ground?.raze();
    }
  });

  const shell = (name: string, script: string, over: object = {}) =>
    container(name, { command: ['sh', '-c', script], ...over });
  /** Of a pod's container, for what is done behind its back. */
  const idOf = async (name: string, of = 'main'): Promise<string> =>
    (await near.see(name))?.containers.find((each) => each.name === of)?.id ?? '';
  const pauseOf = async (name: string): Promise<string> => {
    const filters = { label: [`weft.pod=default_${name}`, 'weft.role=sandbox'] };
    const [found] = await docker.api.listContainers({ filters });
    return found?.Id ?? '';
  };
  const lines = async (name: string, ...flags: string[]): Promise<string[]> => {
    const { stdout } = await near.ctl(['logs', name, ...flags]);
    return stdout.trim().split('\n');
  };

  it('reach one another across nodes, and what is applied again is left alone', async () => {
    const two = manifest('a', { containers: [container('main'), container('side')] });
    assert.match(await near.apply(two), /pod a created[\s\S]*pod a: Running 10\.244\./);
    await far.apply(manifest('b'));
    const [a, b] = [await near.see('a'), await far.see('b')];
    const ping = await near.exec('a', 'ping', '-c', '1', '-W', '5', b?.addresses[0] ?? '');
    assert.equal(ping.status, 0, ping.stdout + ping.stderr);
    assert.equal(await near.apply(two), 'pod a unchanged\n');
    assert.deepEqual(await near.see('a'), a);
  });

  it('have one network and one address, and know it', async () => {
    const env = [
      { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'URL', value: 'http://$(IP)/' },
    ];
    const web = shell('web', 'echo here >/www/index.html; httpd -f -h /www -p 80');
    const main = container('main', { env });
    const dns = {
      dnsPolicy: 'None',
      dnsConfig: { nameservers: ['10.0.0.53'], searches: ['a.b'], options: [{ name: 'ndots', value: '2' }] },
    };
    await near.apply(manifest('one', { containers: [main, web], hostname: 'host-1', ...dns }));
    const address = (await near.see('one'))?.addresses[0] ?? '';
    const seen = await near.exec(
      'one',
      'sh',
      '-c',
      'echo $URL; cat /etc/resolv.conf /etc/hosts; wget -qO- localhost',
    );
    assert.match(
      seen.stdout,
      new RegExp(`^http://${address}/\nnameserver 10.0.0.53\nsearch a.b\noptions ndots:2\n`),
    );
    assert.match(seen.stdout, new RegExp(`^${address}\thost-1$`, 'm'));
    assert.match(seen.stdout, /^here$/m);
  });

  it('publish ports of their host, and are shaped as they ask', async () => {
    const web = shell('main', 'httpd -f -h /etc -p 80', { ports: [{ containerPort: 80, hostPort: 8085 }] });
    const annotations = { 'kubernetes.io/egress-bandwidth': '10M' };
    await near.apply(manifest('web', { containers: [web] }, { annotations }));
    const [address = ''] = near.node.addresses;
    assert.match(await ground.page(far.node, address, 8085), /^root:/m);
    const [record = ''] = readdirSync(near.node.path('/run/weft/attachments'));
    const text = readFileSync(near.node.path(`/run/weft/attachments/${record}`), 'utf8');
    assert.match(text, /"bitsPerSecond":10000000/);
  });

  it('run their init containers one after another before the others, with a folder in common', async () => {
    const volumeMounts = [{ name: 'work', mountPath: '/work' }];
    const writing = (name: string) => shell(name, `echo ${name} >>/work/order`, { volumeMounts });
    await near.apply(
      manifest('order', {
        volumes: [{ name: 'work', emptyDir: {} }],
        initContainers: [writing('first'), writing('second')],
        containers: [
          shell('main', `echo main >>/work/order; cat /work/order; ${idleScript}`, { volumeMounts }),
        ],
      }),
    );
    assert.deepEqual(await lines('order'), ['first', 'second', 'main']);
    const mode = await near.exec('order', 'ls', '-ld', '/work');
    assert.match(mode.stdout, /^drwxrwxrwx/);
  });

  it('end for good where their policy says so, and free their address', async () => {
    const restartPolicy = 'OnFailure';
    await near.apply(manifest('job', { restartPolicy, containers: [shell('main', 'echo done')] }));
    const job = await near.until(
      'job',
      ({ phase, addresses }) => phase === 'Succeeded' && addresses.length === 0,
    );
    assert.equal(job.reason, 'Completed');
    assert.deepEqual(job.addresses, []);
    assert.deepEqual(await lines('job'), ['done']);
    const failing = await near.ctl(
      ['apply', '-f', '-'],
      manifest('bad', { restartPolicy: 'Never', containers: [shell('main', 'exit 3')] }),
    );
    const bad = await near.until('bad', ({ phase }) => phase === 'Failed');
    assert.match(bad.message, /exit status 3/);
    assert.ok([0, 1].includes(failing.status));
  });

  it('execute commands with their status, input and output', async () => {
    await near.apply(manifest('x'));
    const out = await near.ctl(['exec', '-i', 'x', '--', 'sh', '-c', 'cat; echo err >&2; exit 7'], 'given');
    assert.deepEqual(out, { status: 7, stdout: 'given', stderr: 'err\n' });
    const unknown = await near.ctl(['exec', 'x', '-c', 'other', '--', 'true']);
    assert.match(unknown.stderr, /container other not found \(containers: main\)/);
  });

  it('log of 20 000 lines: printed whole, with bounded memory', async () => {
    const script = `i=0; while [ $i -lt 20000 ]; do echo "line $i of a log that is long"; i=$((i+1)); done; ${idleScript}`;
    await near.apply(manifest('long', { containers: [shell('main', script)] }));
    const last = () => lines('long', '--tail', '1');
    for (const since = Date.now(); (await last())[0] !== 'line 19999 of a log that is long'; ) {
      if (Date.now() - since > 60_000) throw new Error(`the log ends with ${await last()}`);
    }
    const weftctl = `${packageRoot()}/dist/bin/weftctl`;
    const limit = ['sh', '-c', 'ulimit -d 400000; exec "$@"', 'sh'];
    const whole = await near.node.exec([...limit, process.execPath, weftctl, 'pod', 'logs', 'long']);
    assert.equal(whole.status, 0, whole.stderr);
    assert.equal(whole.stdout.split('\n').length, 20_001);
    const head = await near.node.exec([
      'bash',
      '-c',
      `${process.execPath} ${weftctl} pod logs long | head -1; echo \${PIPESTATUS[0]}`,
    ]);
    assert.deepEqual([head.stdout, head.stderr], ['line 0 of a log that is long\n141\n', '']);
    const exec = await near.node.exec([
      'bash',
      '-c',
      `${process.execPath} ${weftctl} pod exec long -- sh -c 'while echo y; do :; done' | head -1`,
    ]);
    assert.deepEqual([exec.stdout, exec.stderr], ['y\n', '']);
  });

  it('apply without -f: refused', async () => {
    const { status, stderr } = await near.ctl(['apply']);
    assert.deepEqual([status, stderr], [1, 'weftctl: give a manifest with -f FILE\n']);
  });

  it('pause image without a command: the pod is removed and changed like any other', async () => {
    const empty = 'localhost/weft/empty:1';
    const made = await docker.api.importImage(Readable.from([emptyArchive]), {
      repo: 'localhost/weft/empty',
      tag: '1',
    });
    await finished(made);
    const apply = (...flags: string[]) => near.ctl(['apply', '-f', '-', ...flags], manifest('sandbox'));
    const failed = await apply('--pause-image', empty, '--timeout', '0');
    assert.equal(failed.status, 0, failed.stderr);
    await near.until('sandbox', ({ reason }) => reason === 'SandboxFailed');
    const changed = await apply();
    assert.equal(changed.status, 0, changed.stderr);
    await near.remove('sandbox');
    await apply('--pause-image', empty, '--timeout', '0');
    await near.until('sandbox', ({ reason }) => reason === 'SandboxFailed');
    await near.remove('sandbox');
  });

  it('chain whose second plugin fails: the pod is removed', async () => {
    const conflist = near.node.path('/etc/cni/net.d/10-weft.conflist');
    const before = readFileSync(conflist, 'utf8');
    const network = JSON.parse(before);
    try {
      writeFileSync(
        conflist,
        JSON.stringify({ ...network, plugins: [...network.plugins, { type: 'no-such-plugin' }] }),
      );
      await near.ctl(['apply', '-f', '-', '--timeout', '0'], manifest('chain'));
      await near.until('chain', ({ reason }) => reason === 'NetworkNotReady');
      writeFileSync(conflist, before);
      await near.remove('chain');
    } finally {
      writeFileSync(conflist, before);
    }
  });

  it('Docker is stopped when the pod is removed: it is removed once Docker is back', async () => {
    await near.apply(manifest('waits'));
    await docker.halt('SIGTERM');
    const { status, stderr } = await near.ctl(['rm', 'waits']);
    assert.equal(status, 1);
    assert.match(stderr, /Docker does not answer/);
    await docker.resume();
    await near.remove('waits', '--ignore-not-found');
    assert.deepEqual(await near.list(), []);
  });

  it('docker restart of a container: one copy runs, and no second one beside it', async () => {
    await near.apply(manifest('restarted'));
    const copies = async () => {
      const filters = { label: ['weft.pod=default_restarted', 'weft.container=main'] };
      return (await docker.api.listContainers({ filters })).map(({ Id }) => Id);
    };
    const [id = ''] = await copies();
    await docker.api.getContainer(id).restart();
    await near.until('restarted', ({ restarts, reason }) => restarts >= 1 && reason === 'Running');
    for (const since = Date.now(); (await copies()).includes(id); ) {
      if (Date.now() - since > 10_000) throw new Error('the container that Docker restarted still runs');
    }
    assert.equal((await copies()).length, 1);
  });

  it('sidecar: starts before the containers, is probed, and ends after them', async () => {
    const volumes = [{ name: 'work', emptyDir: {} }];
    const volumeMounts = [{ name: 'work', mountPath: '/work' }];
    const ending = (name: string) =>
      shell(
        name,
        `trap "echo ${name} >>/work/ends; cat /work/ends; exit 0" TERM; echo up >/work/${name}; while :; do sleep 1 & wait $!; done`,
        {
          volumeMounts,
        },
      );
    const sidecar = (name: string) => ({
      ...ending(name),
      restartPolicy: 'Always',
      startupProbe: { exec: { command: ['cat', `/work/$(DIR)${name}`] }, periodSeconds: 1 },
      env: [{ name: 'DIR', value: './' }],
    });
    const check = shell('check', 'cat /work/s1', { volumeMounts });
    await near.apply(
      manifest('side', {
        volumes,
        initContainers: [sidecar('s1'), check, sidecar('s2')],
        containers: [ending('main')],
      }),
    );
    assert.deepEqual(await lines('side', '-c', 'check'), ['up']);
    const pod = await near.until('side', ({ ready }) => ready);
    assert.equal(pod.reason, 'Running');
    const logs = near.ctl(['logs', '-f', 'side', '-c', 's1']);
    await near.remove('side');
    assert.deepEqual((await logs).stdout.trim().split('\n'), ['main', 's2', 's1']);
  });

  it('sidecar of a pod that runs once: ends with it', async () => {
    const initContainers = [{ ...(container('side') as object), restartPolicy: 'Always' }];
    await near.apply(
      manifest('once', { initContainers, restartPolicy: 'Never', containers: [shell('main', 'sleep 1')] }),
    );
    const ended = await near.until(
      'once',
      ({ phase, addresses }) => phase === 'Succeeded' && addresses.length === 0,
    );
    assert.equal(ended.reason, 'Completed');
    const filters = { label: ['weft.pod=default_once'] };
    assert.deepEqual(await docker.api.listContainers({ filters }), []);
  });

  it('ConfigMap and Secret of the same file: variables and files, closed to users of the host', async () => {
    const config = JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c' },
      data: { 'web.conf': 'listen 80' },
    });
    const secret = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      stringData: { password: 'hunter2' },
    });
    const main = container('main', {
      envFrom: [{ secretRef: { name: 's' } }],
      volumeMounts: [
        { name: 'c', mountPath: '/etc/web.conf', subPath: 'web.conf' },
        { name: 's', mountPath: '/secret' },
      ],
    });
    const volumes = [
      { name: 'c', configMap: { name: 'c' } },
      { name: 's', secret: { secretName: 's', defaultMode: 0o440 } },
    ];
    const said = await near.apply(
      [
        config,
        secret,
        manifest('conf', { volumes, containers: [main], securityContext: { fsGroup: 2000 } }),
      ].join('\n---\n'),
    );
    const seen = await near.exec(
      'conf',
      'sh',
      '-c',
      'cat /etc/web.conf; echo; echo $password; cat /secret/password; echo; ls -ln /secret/password; echo x >/secret/password',
    );
    assert.match(seen.stdout, /^listen 80\nhunter2\nhunter2\n-r--r----- +1 0 +2000 /);
    assert.match(seen.stderr, /Read-only file system/);
    const listed = await near.ctl(['ls', '-o', 'json']);
    assert.doesNotMatch(said + listed.stdout + near.node.agent.log(), /hunter2/);
    const order = near.node.path('/var/lib/weft/pods/wanted/default_conf.json');
    assert.equal(statSync(order).mode & 0o777, 0o600);
    assert.equal(statSync(near.node.path('/run/weft/pods')).mode & 0o777, 0o700);
    await near.remove('conf');
    assert.deepEqual(readdirSync(near.node.path('/run/weft/pods/volumes')), []);
  });

  it('securityContext, resources, subPath, hostAliases: hold in the container', async () => {
    const main = container('main', {
      securityContext: {
        runAsUser: 1000,
        runAsGroup: 1001,
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
      },
      resources: { limits: { memory: '64Mi', cpu: '500m' } },
      volumeMounts: [
        { name: 'work', mountPath: '/work', subPath: 'a/b' },
        { name: 'odd', mountPath: '/odd' },
      ],
    });
    const spec = {
      securityContext: {
        fsGroup: 2000,
        sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '80' }],
      },
      hostAliases: [{ ip: '192.0.2.7', hostnames: ['db', 'db.local'] }],
      volumes: [
        { name: 'work', emptyDir: {} },
        { name: 'odd', hostPath: { path: '/run/odd:ro', type: 'DirectoryOrCreate' } },
      ],
      containers: [main],
    };
    await near.apply(manifest('held', spec));
    const script =
      'busybox id; grep -E "^(CapEff|NoNewPrivs)" /proc/self/status; echo x >/work/file && ls -ln /work/file; echo x >/no; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; grep db.local /etc/hosts; ls -d /odd';
    const { stdout, stderr } = await near.exec(
      'held',
      'sh',
      '-c',
      script.replace('grep -E', 'busybox grep -E').replace('grep db', 'busybox grep db'),
    );
    assert.match(stdout, /^uid=1000 gid=1001 groups=.*2000/);
    assert.match(stdout, /CapEff:\s+0000000000000000\nNoNewPrivs:\s+1/);
    assert.match(stdout, / 1000 +2000 .*\/work\/file/);
    assert.match(stdout, /^80\n192\.0\.2\.7\s+db\s+db\.local\n\/odd$/m);
    assert.match(stderr, /\/no: Read-only file system/);
    const found = await docker.api.getContainer(await idOf('held')).inspect();
    assert.deepEqual([found.HostConfig.Memory, found.HostConfig.NanoCpus], [67_108_864, 500_000_000]);
    assert.equal(statSync(near.node.path('/run/odd:ro')).isDirectory(), true);
  });

  it('runAsNonRoot with an image of root: the container is not started, and the reason is shown', async () => {
    const main = container('main', { securityContext: { runAsNonRoot: true } });
    await near.ctl(['apply', '-f', '-', '--timeout', '0'], manifest('root', { containers: [main] }));
    const pod = await near.until('root', ({ reason }) => reason === 'CreateContainerConfigError');
    assert.match(pod.message, /would run as root; set securityContext\.runAsUser/);
  });

  it('HEALTHCHECK of an image: not executed', async () => {
    const checked = 'localhost/weft/checked:1';
    const base = await docker.run('base');
    await base.commit({
      repo: 'localhost/weft/checked',
      tag: '1',
      changes: 'HEALTHCHECK --interval=1s CMD true',
    });
    await base.remove({ force: true });
    await near.apply(manifest('health', { containers: [container('main', { image: checked })] }));
    const { State } = await docker.api.getContainer(await idOf('health')).inspect();
    assert.equal(State.Health, undefined);
  });

  it('are ended with preStop first, and their grace is respected', async () => {
    // It says what it is told, and takes its time.
    const told = shell(
      'main',
      'trap "echo term; sleep 1; echo bye; exit 0" TERM; while :; do sleep 1 & wait $!; done',
      {
        lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo preStop >/proc/1/fd/1'] } } },
      },
    );
    const deaf = shell('deaf', 'trap "" TERM; while :; do sleep 1; done');
    await near.apply(manifest('slow', { terminationGracePeriodSeconds: 4, containers: [told, deaf] }));
    const logs = near.ctl(['logs', '-f', 'slow', '-c', 'main']);
    const since = Date.now();
    await near.remove('slow');
    assert.ok(Date.now() - since >= 4_000, 'the deaf one was given its grace');
    assert.deepEqual((await logs).stdout.trim().split('\n'), ['preStop', 'term', 'bye']);
  });

  it('are removed at once by whoever will not wait, also while they are being removed', async () => {
    const deaf = shell('main', 'trap "" TERM; while :; do sleep 1; done');
    await near.apply(manifest('deaf', { terminationGracePeriodSeconds: 600, containers: [deaf] }));
    await near.remove('deaf', '--timeout', '0');
    await near.until('deaf', ({ phase }) => phase === 'Terminating');
    await near.remove('deaf', '--grace-period', '0');
    assert.equal(await near.see('deaf'), undefined);
  });

  it('are made anew where their manifest was changed, with the address that they had', async () => {
    await near.apply(manifest('same'));
    const before = await near.see('same');
    const changed = manifest('same', {
      containers: [container('main', { env: [{ name: 'A', value: 'b' }] })],
    });
    assert.match(await near.apply(changed), /pod same changed: it is made anew/);
    const now = await near.see('same');
    assert.notEqual(now?.containers[0]?.id, before?.containers[0]?.id);
    assert.deepEqual(now?.addresses, before?.addresses);
    assert.match((await near.exec('same', 'sh', '-c', 'echo $A')).stdout, /^b$/m);
  });

  describe('keep their address when', () => {
    /** A pod that runs; what is done to it; until a new container runs in it. */
    async function survives(name: string, harm: (id: string) => Promise<unknown>): Promise<void> {
      await near.apply(manifest(name));
      await far.apply(manifest('peer'));
      const before = await near.see(name);
      const [address = ''] = before?.addresses ?? [];
      await harm(await idOf(name));
      const now = await near.until(
        name,
        (pod) => pod.reason === 'Running' && pod.containers[0]?.id !== before?.containers[0]?.id,
      );
      assert.deepEqual(now.addresses, [address]);
      assert.ok(now.restarts >= 1);
      const inside = await near.exec(name, 'ip', '-4', 'address', 'show', 'dev', 'eth0');
      assert.ok(inside.stdout.includes(`${address}/`), inside.stdout);
      const ping = await far.exec('peer', 'ping', '-c', '1', '-W', '5', address);
      assert.equal(ping.status, 0, ping.stdout);
    }

    it('a container is killed', () =>
      survives('killed', (id) => docker.api.getContainer(id).kill({ signal: 'SIGKILL' })));

    it('a container is removed behind their back', () =>
      survives('removed', (id) => docker.api.getContainer(id).remove({ force: true })));

    it('their pause container is removed behind their back', () =>
      survives('paused', async () =>
        docker.api.getContainer(await pauseOf('paused')).remove({ force: true }),
      ));

    it('their pause container is restarted by somebody', () =>
      survives('again', async () => docker.api.getContainer(await pauseOf('again')).restart()));

    it('Docker is killed and comes back', () =>
      survives('dockerd', async () => {
        await docker.halt('SIGKILL');
        await docker.resume();
      }));

    it('Docker is restarted', () =>
      survives('orderly', async () => {
        await docker.halt('SIGTERM');
        await docker.resume();
      }));

    it('weftd is killed, and a container with it', () =>
      survives('orphan', async (id) => {
        await near.node.agent.stop('SIGKILL');
        await docker.api.getContainer(id).kill({ signal: 'SIGKILL' });
        await near.node.agent.start();
      }));
  });

  it('do not notice that weftd is killed and started again', async () => {
    await near.apply(manifest('calm'));
    const before = await near.see('calm');
    await near.node.agent.stop('SIGKILL');
    assert.match((await near.ctl(['ls'])).stderr, /weftd does not run/);
    await near.node.agent.start();
    const now = await near.until('calm', ({ reason }) => reason === 'Running');
    assert.deepEqual(now.containers, before?.containers);
  });

  it('do not notice that Docker is restarted where it lets them live', async () => {
    const settings = near.node.path('/run/docker/daemon.json');
    const restart = async (content: string): Promise<void> => {
      writeFileSync(settings, content);
      await docker.halt('SIGTERM');
      await docker.resume();
    };
    await restart('{"live-restore":true}');
    try {
      await near.apply(manifest('alive'));
      const before = await near.see('alive');
      await restart('{"live-restore":true}');
      assert.equal((await near.exec('alive', 'echo')).status, 0);
      const now = await near.see('alive');
      assert.deepEqual(
        [now?.containers[0]?.id, now?.addresses],
        [before?.containers[0]?.id, before?.addresses],
      );
    } finally {
      await near.remove('alive', '--ignore-not-found');
      await restart('{}');
    }
  });

  it('are cleaned up after, whatever is left of them, when nobody wants them any more', async () => {
    await near.apply(manifest('lost'));
    await near.node.agent.stop();
    await docker.api.getContainer(await pauseOf('lost')).remove({ force: true });
    await near.remove('lost', '--timeout', '0');
    await near.node.agent.start();
    await near.remove('lost', '--ignore-not-found');
    assert.equal((await docker.api.listContainers({ all: true })).length, 0);
  });

  describe('are asked how they are:', () => {
    const quick = { periodSeconds: 1, failureThreshold: 2 };

    it('one that is not alive is ended and started again', async () => {
      const livenessProbe = { exec: { command: ['cat', '/tmp/alive'] }, ...quick };
      const main = shell('main', `echo >/tmp/alive; ${idleScript}`, { livenessProbe });
      await near.apply(manifest('alive', { containers: [main] }));
      await near.exec('alive', 'sh', '-c', 'busybox rm /tmp/alive');
      const pod = await near.until('alive', ({ restarts, reason }) => restarts === 1 && reason === 'Running');
      assert.ok(pod.ready);
    });

    it('one is ready when its probe says so, and not before', async () => {
      const readinessProbe = { httpGet: { port: 80, path: '/ok' }, ...quick };
      const main = shell('main', 'httpd -f -h /www -p 80', { readinessProbe });
      await near.apply(manifest('readiness', { containers: [main] }));
      assert.equal((await near.see('readiness'))?.ready, false);
      await near.exec('readiness', 'sh', '-c', 'echo >/www/ok');
      assert.equal((await near.until('readiness', ({ ready }) => ready)).restarts, 0);
    });

    it('one that has not started yet is not asked whether it lives', async () => {
      const startupProbe = { tcpSocket: { port: 80 }, periodSeconds: 1, failureThreshold: 60 };
      const livenessProbe = { tcpSocket: { port: 80 }, periodSeconds: 1, failureThreshold: 1 };
      const main = shell('main', 'sleep 3; httpd -f -h /www -p 80', { startupProbe, livenessProbe });
      await near.apply(manifest('starts', { containers: [main] }));
      assert.equal((await near.until('starts', ({ ready }) => ready)).restarts, 0);
    });
  });

  it('whose containers keep ending are started again ever more slowly', async () => {
    await near.apply(manifest('loop', { containers: [shell('main', 'echo once; exit 1')] }));
    const pod = await near.until('loop', ({ reason }) => reason === 'CrashLoopBackOff');
    assert.match(pod.message, /exit status 1/);
    assert.deepEqual(await lines('loop', '--previous'), ['once']);
  });

  describe('that cannot be had are refused, and the node is as it was:', () => {
    const refused: Record<string, { text: string; says: RegExp }> = {
      'an image that is not there': {
        text: manifest('no', {
          containers: [{ name: 'main', image: 'localhost/weft/none:1', imagePullPolicy: 'Never' }],
        }),
        says: /the image localhost\/weft\/none:1 is not on this host/,
      },
      'an image that cannot be pulled': {
        text: manifest('no', { containers: [{ name: 'main', image: '127.0.0.1:1/none:1' }] }),
        says: /the image 127\.0\.0\.1:1\/none:1 cannot be pulled: .*docker load/,
      },
      'two containers on one port': {
        text: manifest('no', {
          containers: [
            container('a', { ports: [{ containerPort: 80 }] }),
            container('b', { ports: [{ containerPort: 80 }] }),
          ],
        }),
        says: /80\/TCP is in use by container a/,
      },
      'a folder of the host that is not there': {
        text: manifest('no', { volumes: [{ name: 'v', hostPath: { path: '/nowhere', type: 'Directory' } }] }),
        says: /\/nowhere is no folder of this host/,
      },
    };
    for (const [what, { text, says }] of Object.entries(refused)) {
      it(what, async () => {
        const { status, stderr } = await near.ctl(['apply', '-f', '-'], text);
        assert.equal(status, 1);
        assert.match(stderr, says);
        assert.deepEqual(await near.list(), []);
      });
    }

    it('a field that weft does not know, with --strict; else it is named', async () => {
      const text = manifest('strict', { nodeName: 'node-1' });
      const { status, stderr } = await near.ctl(['apply', '--strict', '-f', '-'], text);
      assert.equal(status, 1);
      assert.match(stderr, /stdin:1:\d+: spec\.nodeName: is ignored/);
      const warned = await near.ctl(['apply', '-f', '-'], text);
      assert.equal(warned.status, 0);
      assert.match(warned.stderr, /^warning: stdin:1:\d+: spec\.nodeName/);
    });

    it('a host port that another pod or a process has', async () => {
      const ports = (hostPort: number) => ({
        containers: [container('main', { ports: [{ containerPort: 80, hostPort }] })],
      });
      await near.apply(manifest('has', ports(8086)));
      const clash = await near.ctl(['apply', '-f', '-'], manifest('wants', ports(8086)));
      assert.match(clash.stderr, /host port 8086\/TCP is the pod has's/);
      const listening = await near.ctl(['apply', '-f', '-'], manifest('wants', ports(9472)));
      // The agent's own page is on the loopback address; a pod would have it on every address.
      assert.match(listening.stderr, /host port 9472\/TCP is taken by a process of this host/);
      assert.deepEqual(
        (await near.list()).map(({ name }) => name),
        ['has'],
      );
    });

    it('a command that is not there: the pod is kept, and says why', async () => {
      await near.apply(manifest('typo', { containers: [container('main', { command: ['/nothing'] })] }));
      const pod = await near.until('typo', ({ restarts }) => restarts > 0);
      assert.match(pod.message, /nothing/);
    });

    it('Docker is not running', async () => {
      await docker.halt('SIGTERM');
      try {
        const { status, stderr } = await near.ctl(['apply', '-f', '-'], manifest('no'));
        assert.equal(status, 1);
        assert.match(stderr, /Docker does not answer on \/var\/run\/docker\.sock .*systemctl start docker/);
      } finally {
        await docker.resume();
      }
      assert.deepEqual(await near.list(), []);
    });
  });
});
