/** SecurityContext and resources, with a real dockerd on two nodes of a lab. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { describe, it } from 'node:test';
import { container, manifest } from '../runtimes/pods.ts';
import { podsFixture, shell } from './fixture.ts';

describe('securityContext and resources', () => {
  const fixture = podsFixture('security');

  it('securityContext, resources, hostAliases: hold in the container', async () => {
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
        { name: 'work', mountPath: '/work' },
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
    await fixture.near.apply(manifest('held', spec));
    const script =
      'busybox id; grep -E "^(CapEff|NoNewPrivs)" /proc/self/status; echo x >/work/file && ls -ln ' +
      '/work/file; echo x >/no; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; grep db.local /etc/hosts; ' +
      'ls -d /odd';
    const { stdout, stderr } = await fixture.near.exec(
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
    const found = await fixture.docker.api.getContainer(await fixture.idOf('held')).inspect();
    assert.deepEqual([found.HostConfig.Memory, found.HostConfig.NanoCpus], [67_108_864, 500_000_000]);
    assert.equal(statSync(fixture.near.node.path('/run/odd:ro')).isDirectory(), true);
  });

  it('runAsNonRoot with an image of root: the container is not started, and the reason is shown', async () => {
    const main = container('main', { securityContext: { runAsNonRoot: true } });
    await fixture.near.ctl(['apply', '-f', '-', '--timeout', '0'], manifest('root', { containers: [main] }));
    const pod = await fixture.near.until('root', ({ reason }) => reason === 'CreateContainerConfigError');
    assert.match(pod.message, /would run as root; set securityContext\.runAsUser/);
  });

  it('subPath of an emptyDir: only that folder is mounted, and nothing is left mounted', async () => {
    const volumes = [
      { name: 'work', emptyDir: {} },
      { name: 'fast', emptyDir: { medium: 'Memory' } },
    ];
    const main = container('main', {
      volumeMounts: [
        { name: 'work', mountPath: '/whole' },
        { name: 'work', mountPath: '/part', subPath: 'a/b' },
        { name: 'fast', mountPath: '/fast', subPath: 'c', readOnly: true },
      ],
    });
    await fixture.near.apply(manifest('parts', { volumes, containers: [main] }));
    const script = 'echo x >/part/file; cat /whole/a/b/file; ls -ld /part; echo y >/fast/file';
    const { stdout, stderr } = await fixture.near.exec('parts', 'sh', '-c', script);
    assert.match(stdout, /^x\ndrwxrwxrwx/);
    assert.match(stderr, /\/fast\/file: Read-only file system/);
    await fixture.near.remove('parts');
    const mounts = await fixture.near.node.mustExec(['cat', '/proc/self/mountinfo']);
    assert.doesNotMatch(mounts, /pods\/subpaths/);
  });

  it('subPath that a container replaced by a symbolic link to the host: the next container is refused', async () => {
    const volumes = [{ name: 'work', emptyDir: {} }];
    const whole = { volumeMounts: [{ name: 'work', mountPath: '/work' }] };
    const thief = shell('thief', 'busybox rmdir /work/sub; busybox ln -s /etc /work/sub', whole);
    const main = container('main', { volumeMounts: [{ name: 'work', mountPath: '/host', subPath: 'sub' }] });
    const text = manifest('thief', { volumes, initContainers: [thief], containers: [main] });
    await fixture.near.ctl(['apply', '-f', '-', '--timeout', '0'], text);
    const pod = await fixture.near.until('thief', ({ reason }) => /Error$|BackOff$/.test(reason));
    assert.match(pod.message, /sub\b.* symbolic link|escapes|not a directory/);
  });
});
