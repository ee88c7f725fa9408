/** Containers of a pod, with a real dockerd on two nodes of a lab. */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { container, idleScript, manifest } from '../runtimes/pods.ts';
import { podsFixture, shell } from './fixture.ts';

describe('containers of a pod', () => {
  const fixture = podsFixture('containers');

  it('init containers: run in order before the containers, with a shared volume', async () => {
    const volumeMounts = [{ name: 'work', mountPath: '/work' }];
    const writing = (name: string) => shell(name, `echo ${name} >>/work/order`, { volumeMounts });
    await fixture.near.apply(
      manifest('order', {
        volumes: [{ name: 'work', emptyDir: {} }],
        initContainers: [writing('first'), writing('second')],
        containers: [
          shell('main', `echo main >>/work/order; cat /work/order; ${idleScript}`, { volumeMounts }),
        ],
      }),
    );
    assert.deepEqual(await fixture.lines('order'), ['first', 'second', 'main']);
    const mode = await fixture.near.exec('order', 'ls', '-ld', '/work');
    assert.match(mode.stdout, /^drwxrwxrwx/);
  });

  it('sidecar: starts before the containers, is probed, and ends after them', async () => {
    const volumes = [{ name: 'work', emptyDir: {} }];
    const volumeMounts = [{ name: 'work', mountPath: '/work' }];
    const ending = (name: string) =>
      shell(
        name,
        `trap "echo ${name} >>/work/ends; cat /work/ends; exit 0" TERM; echo up >/work/${name}; while :; ` +
          `do sleep 1 & wait $!; done`,
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
    await fixture.near.apply(
      manifest('side', {
        volumes,
        initContainers: [sidecar('s1'), check, sidecar('s2')],
        containers: [ending('main')],
      }),
    );
    assert.deepEqual(await fixture.lines('side', '-c', 'check'), ['up']);
    const pod = await fixture.near.until('side', ({ ready }) => ready);
    assert.equal(pod.reason, 'Running');
    const logs = fixture.near.ctl(['logs', '-f', 'side', '-c', 's1']);
    await fixture.near.remove('side');
    assert.deepEqual((await logs).stdout.trim().split('\n'), ['main', 's2', 's1']);
  });

  it('sidecar of a pod that runs once: ends with it', async () => {
    const initContainers = [{ ...(container('side') as object), restartPolicy: 'Always' }];
    await fixture.near.apply(
      manifest('once', { initContainers, restartPolicy: 'Never', containers: [shell('main', 'sleep 1')] }),
    );
    const ended = await fixture.near.until(
      'once',
      ({ phase, addresses }) => phase === 'Succeeded' && addresses.length === 0,
    );
    assert.equal(ended.reason, 'Completed');
    const filters = { label: ['weft.pod=default_once'] };
    assert.deepEqual(await fixture.docker.api.listContainers({ filters }), []);
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
    const said = await fixture.near.apply(
      [
        config,
        secret,
        manifest('conf', { volumes, containers: [main], securityContext: { fsGroup: 2000 } }),
      ].join('\n---\n'),
    );
    const seen = await fixture.near.exec(
      'conf',
      'sh',
      '-c',
      'cat /etc/web.conf; echo; echo $password; cat /secret/password; echo; ls -ln /secret/password; ' +
        'echo x >/secret/password',
    );
    assert.match(seen.stdout, /^listen 80\nhunter2\nhunter2\n-r--r----- +1 0 +2000 /);
    assert.match(seen.stderr, /Read-only file system/);
    const listed = await fixture.near.ctl(['ls', '-o', 'json']);
    assert.doesNotMatch(said + listed.stdout + fixture.near.daemon.log(), /hunter2/);
    const order = fixture.near.node.path('/var/lib/weft/pods/wanted/default_conf.json');
    assert.equal(statSync(order).mode & 0o777, 0o600);
    assert.equal(statSync(fixture.near.node.path('/run/weft/pods')).mode & 0o777, 0o700);
    await fixture.near.remove('conf');
    assert.deepEqual(readdirSync(fixture.near.node.path('/run/weft/pods/volumes')), []);
  });

  it('HEALTHCHECK of an image: not executed', async () => {
    const checked = 'localhost/weft/checked:1';
    const base = await fixture.docker.run('base');
    await base.commit({
      repo: 'localhost/weft/checked',
      tag: '1',
      changes: 'HEALTHCHECK --interval=1s CMD true',
    });
    await base.remove({ force: true });
    await fixture.near.apply(manifest('health', { containers: [container('main', { image: checked })] }));
    const { State } = await fixture.docker.api.getContainer(await fixture.idOf('health')).inspect();
    assert.equal(State.Health, undefined);
  });
});
