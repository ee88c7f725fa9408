/** An agent in mount and PID namespaces of its own, as a container has them, and callers that it cannot see into. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { runAgentIn } from './agent.ts';
import { Ground } from './ground.ts';
import { weftByAgent } from './subject.ts';
import { Trial } from './trial.ts';

/** What a container's mounts do: paths of the host's are other files there, or none. */
const container = [
  ...['unshare', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child', 'sh', '-c'],
  `mount -t tmpfs none /run/netns && mount -t tmpfs none /run/trial &&
   mkdir -p /run/trial/networks && echo nameserver 192.0.2.99 >/run/trial/resolv.conf &&
   : >/run/netns/only && unshare --net mount --bind /proc/self/ns/net /run/netns/only && exec "$@"`,
  'container',
];

describe('an agent in a container', () => {
  let ground: Ground;
  let trial: Trial;
  before(async () => {
    ground = await Ground.open();
    await runAgentIn(ground, container);
    trial = new Trial({ ground, subject: weftByAgent, version: '1.0.0' });
  });
  after(() => ground.close());

  const addressOf = async (pod: string) =>
    (await trial.addresses('eth0', pod)).map(({ local }) => local).filter((each) => !each.startsWith('fe80'));

  it('a namespace that only the caller sees: ADD, CHECK and DEL do their work in it', async () => {
    const result = await trial.addPod();
    assert.deepEqual(await addressOf('pod'), ['10.7.0.2']);
    await trial.succeeds('CHECK', { config: { prevResult: result } });
    await trial.succeeds('DEL');
    assert.deepEqual(await addressOf('pod'), []);
  });

  it('a path with a process id of the caller’s PID namespace: the caller’s process is meant', async () => {
    await trial.pod('inner');
    const enter = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
    const script = `ip netns exec inner sleep 60 & until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
      echo '${JSON.stringify(trial.config())}' | CNI_COMMAND=ADD CNI_CONTAINERID=inner CNI_IFNAME=eth0 \
        CNI_NETNS=/proc/$!/ns/net ${weftByAgent.pluginDirs[0]}/weft`;
    const { status, stdout, stderr } = await ground.run([...enter, 'sh', '-c', script]);
    assert.equal(status, 0, stdout + stderr);
    assert.equal((await addressOf('inner')).length, 1);
    assert.match(stdout, /"sandbox":"\/proc\/\d+\/ns\/net"/);
  });

  it('a namespace path that exists for the agent only: refused with code 8', async () => {
    await trial.refuses('ADD', { code: 8, msg: /ENOENT/ }, { env: envOf('only') });
  });

  it('resolvConf: the file of the caller is read', async () => {
    await ground.must('sh', '-c', 'echo nameserver 192.0.2.1 >/run/trial/resolv.conf');
    await trial.pod('dns');
    const ipam = { ...ranges, resolvConf: '/run/trial/resolv.conf' };
    const result = await trial.add({ env: envOf('dns'), config: { ipam } });
    assert.deepEqual(result.dns, { nameservers: ['192.0.2.1'] });
  });

  it('resolvConf that the caller does not have: refused, also where the agent has one', async () => {
    await ground.must('rm', '/run/trial/resolv.conf');
    await trial.pod('dns2');
    const ipam = { ...ranges, resolvConf: '/run/trial/resolv.conf' };
    await trial.refuses('ADD', { code: 7, msg: /resolvConf/ }, { env: envOf('dns2'), config: { ipam } });
  });

  it('dataDir: addresses in the directory of the caller are not handed out, and are released there', async () => {
    const folder = '/run/trial/networks/old';
    await ground.must('mkdir', '-p', folder);
    await ground.must('sh', '-c', `printf 'elder\\neth0' >${folder}/10.9.0.2`);
    await trial.pod('young');
    const ipam = {
      type: 'host-local',
      ranges: [[{ subnet: '10.9.0.0/24', rangeEnd: '10.9.0.3' }]],
      dataDir: '/run/trial/networks',
    };
    const config = { name: 'migrated', bridge: 'migrated0', ipam };
    await trial.add({ env: envOf('young'), config });
    assert.deepEqual(await addressOf('young'), ['10.9.0.3']);
    await trial.pod('third');
    await trial.refuses('ADD', { code: 101 }, { env: envOf('third'), config });
    await trial.succeeds('DEL', { env: envOf('elder'), config });
    await assert.rejects(ground.must('test', '-e', `${folder}/10.9.0.2`));
  });
});

const ranges = { type: 'host-local', ranges: [[{ subnet: '10.7.0.0/24' }]] };

const envOf = (pod: string) => ({
  CNI_CONTAINERID: pod,
  CNI_NETNS: `/run/netns/${pod}`,
  CNI_IFNAME: 'eth0',
});
