/** Chains of plugins, run as a runtime runs them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { PluginError } from '../../../libcni/errors.ts';
import { parseNetwork } from '../../../libcni/network.ts';
import { CniRuntime, type RuntimeOptions } from '../../../libcni/runtime.ts';
import { cniVersions } from '../../../plugin/protocol/version.ts';
import { pluginDir } from './plugins.ts';

const attachment = { containerId: 'pod', netns: '/run/netns/pod', ifname: 'eth0' };
const resultOf = (name: string) => ({ cniVersion: '1.1.0', interfaces: [{ name }] });

/** A runtime with plugins `first` and `second` in one chain, which answer ADD with their names. */
function chain(t: TestContext, config: object = {}, options: Partial<RuntimeOptions> = {}) {
  const dir = pluginDir(t, ['first', 'second']);
  dir.answer('first', 'ADD', { stdout: resultOf('first') });
  dir.answer('second', 'ADD', { stdout: resultOf('second') });
  const cacheDir = join(dir.root, 'results');
  const network = parseNetwork(
    JSON.stringify({
      cniVersion: '1.1.0',
      name: 'net',
      plugins: [
        { type: 'first', option: 1, capabilities: { ips: true, mac: true } },
        { type: 'second', capabilities: { portMappings: true } },
      ],
      ...config,
    }),
  );
  const runtime = new CniRuntime({ pluginDirs: [dir.bin], cacheDir, ...options });
  return { ...dir, network, runtime, cacheFile: join(cacheDir, 'net-pod-eth0') };
}

describe('ADD', () => {
  it('hands each result to the next plugin and returns the last', async (t) => {
    const { runtime, network, seen } = chain(t);
    assert.deepEqual(await runtime.add(network, attachment), resultOf('second'));
    assert.deepEqual(
      seen().map(({ plugin, verb, stdin }) => [plugin, verb, stdin.prevResult]),
      [
        ['first', 'ADD', undefined],
        ['second', 'ADD', resultOf('first')],
      ],
    );
  });
  it('gives plugins the parameters, the name, the version and their own options', async (t) => {
    const { runtime, network, seen, bin } = chain(t, {}, { env: { MORE: 'x' } });
    const args = [
      ['IgnoreUnknown', '1'],
      ['K8S_POD_NAME', 'web'],
    ] as const;
    await runtime.add(network, { ...attachment, args });
    const [first] = seen();
    assert.deepEqual(first?.env, {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'pod',
      CNI_NETNS: '/run/netns/pod',
      CNI_IFNAME: 'eth0',
      CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=web',
      CNI_PATH: bin,
      MORE: 'x',
    });
    const { name, cniVersion, option } = first.stdin;
    assert.deepEqual([name, cniVersion, option], ['net', '1.1.0', 1]);
  });
  it('gives each plugin the capabilities that it declares and the caller has', async (t) => {
    const { runtime, network, seen } = chain(t);
    const capabilityArgs = { ips: ['10.0.0.5'], portMappings: [{ hostPort: 80 }], aliases: ['x'] };
    await runtime.add(network, { ...attachment, capabilityArgs });
    assert.deepEqual(
      seen().map(({ stdin }) => stdin.runtimeConfig),
      [{ ips: ['10.0.0.5'] }, { portMappings: [{ hostPort: 80 }] }],
    );
  });
  it('stops at the first plugin that fails, with its code and words, and keeps no result', async (t) => {
    const { runtime, network, seen, answer, cacheFile } = chain(t);
    const stdout = { code: 11, msg: 'no lease', details: 'the store is away' };
    answer('first', 'ADD', { stdout, stderr: 'a log line', status: 1 });
    await assert.rejects(runtime.add(network, attachment), (error) => {
      assert.ok(error instanceof PluginError);
      const { code, msg, details, plugin, verb, stderr } = error;
      assert.deepEqual(
        { code, msg, details, plugin, verb, stderr },
        { ...stdout, plugin: 'first', verb: 'ADD', stderr: 'a log line' },
      );
      return true;
    });
    assert.equal(seen().length, 1);
    assert.equal(existsSync(cacheFile), false);
  });
  const speechless: [what: string, answer: { stdout?: string; stderr?: string }, message: RegExp][] = [
    ['stderr alone', { stdout: '', stderr: 'exploded' }, /exit status 3 and "exploded"/],
    ['no word', { stdout: '' }, /exit status 3 and no error message/],
    ['words instead of JSON', { stdout: 'oops' }, /and "oops"/],
  ];
  for (const [what, answered, message] of speechless) {
    it(`reports a plugin that fails with ${what}`, async (t) => {
      const { runtime, network, answer } = chain(t);
      answer('first', 'ADD', { ...answered, status: 3 });
      await assert.rejects(runtime.add(network, attachment), message);
    });
  }
  it('refuses a success that is no result', async (t) => {
    const { runtime, network, answer } = chain(t);
    answer('second', 'ADD', { stdout: 'hello' });
    await assert.rejects(runtime.add(network, attachment), /ADD by plugin second answers no JSON object/);
  });
  it('names a plugin that does not exist', async (t) => {
    const { runtime, network, bin } = chain(t, { plugins: [{ type: 'absent' }] });
    await assert.rejects(runtime.add(network, attachment), {
      name: 'NetworkError',
      message: `plugin "absent" is in none of ${bin}`,
    });
  });
  it('asks no plugin for what no plugin could do', async (t) => {
    const { runtime, network, seen } = chain(t);
    await assert.rejects(runtime.add(network, { ...attachment, containerId: '../x' }));
    await assert.rejects(runtime.add(network, { ...attachment, ifname: 'a/b' }));
    assert.deepEqual(seen(), []);
  });
  it('ends at once when its signal comes', async (t) => {
    const abort = new AbortController();
    const { runtime, network, bin, file } = chain(t, {}, { signal: abort.signal });
    const started = file('started', '');
    writeFileSync(join(bin, 'first'), `#!/bin/sh\necho x >${started}\nexec sleep 60\n`);
    const added = runtime.add(network, attachment);
    const poll = setInterval(() => readFileSync(started).length > 0 && abort.abort(), 5);
    t.after(() => clearInterval(poll));
    await assert.rejects(added, { name: 'AbortError' });
  });
  it('reads a result without a version as one of the network', async (t) => {
    const { runtime, network, answer } = chain(t);
    answer('second', 'ADD', { stdout: { ips: [] } });
    assert.equal((await runtime.add(network, attachment)).cniVersion, '1.1.0');
  });
});

describe('behind a prefix', () => {
  it('plugins are found and executed on its other side', async (t) => {
    const { runtime, network, seen } = chain(t, {}, { prefix: ['env', 'MORE=prefixed'] });
    assert.deepEqual(await runtime.add(network, attachment), resultOf('second'));
    assert.equal(seen()[0]?.env.MORE, 'prefixed');
  });
  it('a plugin that does not exist is named', async (t) => {
    const { runtime, network } = chain(t, { plugins: [{ type: 'absent' }] }, { prefix: ['env'] });
    await assert.rejects(runtime.add(network, attachment), /plugin "absent" is in none of/);
  });
});

describe('the result cache', () => {
  it("is libcni's: one file per network, container and interface", async (t) => {
    const { runtime, network, cacheFile } = chain(t);
    const capabilityArgs = { ips: ['10.0.0.5'] };
    await runtime.add(network, { ...attachment, args: [['A', 'b']], capabilityArgs });
    assert.deepEqual(JSON.parse(readFileSync(cacheFile, 'utf8')), {
      kind: 'cniCacheV1',
      containerId: 'pod',
      config: Buffer.from(network.source).toString('base64'),
      ifName: 'eth0',
      networkName: 'net',
      netns: '/run/netns/pod',
      cniArgs: [['A', 'b']],
      capabilityArgs,
      result: resultOf('second'),
    });
  });
  it('that is broken counts as none', async (t) => {
    const { runtime, network, cacheFile, seen } = chain(t);
    await runtime.add(network, attachment);
    writeFileSync(cacheFile, '{"kind":"cniCa');
    await runtime.del(network, attachment);
    assert.equal(seen().at(-1)?.stdin.prevResult, undefined);
  });
});

describe('DEL', () => {
  it('runs the chain backwards, with the final result, and forgets it', async (t) => {
    const { runtime, network, seen, cacheFile } = chain(t);
    await runtime.add(network, attachment);
    await runtime.del(network, { ...attachment, netns: '' });
    assert.deepEqual(
      seen()
        .slice(2)
        .map(({ plugin, verb, stdin, env }) => [plugin, verb, stdin.prevResult, env.CNI_NETNS]),
      [
        ['second', 'DEL', resultOf('second'), ''],
        ['first', 'DEL', resultOf('second'), ''],
      ],
    );
    assert.equal(existsSync(cacheFile), false);
  });
  for (const cniVersion of cniVersions) {
    const given = cniVersion >= '0.4.0';
    it(`of ${cniVersion} is ${given ? '' : 'not '}given the result`, async (t) => {
      const { runtime, network, seen } = chain(t, { cniVersion });
      await runtime.add(network, attachment);
      await runtime.del(network, attachment);
      assert.equal(seen().at(-1)?.stdin.prevResult !== undefined, given);
    });
  }
  it('keeps the result where a plugin fails, so that it can be repeated', async (t) => {
    const { runtime, network, answer, cacheFile } = chain(t);
    await runtime.add(network, attachment);
    answer('first', 'DEL', { status: 1 });
    await assert.rejects(runtime.del(network, attachment), PluginError);
    assert.equal(existsSync(cacheFile), true);
  });
});

describe('CHECK', () => {
  it('runs the chain in order, each with the final result', async (t) => {
    const { runtime, network, seen } = chain(t);
    await runtime.add(network, attachment);
    await runtime.check(network, attachment);
    assert.deepEqual(
      seen()
        .slice(2)
        .map(({ plugin, verb, stdin }) => [plugin, verb, stdin.prevResult]),
      [
        ['first', 'CHECK', resultOf('second')],
        ['second', 'CHECK', resultOf('second')],
      ],
    );
  });
  it('is not asked where the network says no', async (t) => {
    const { runtime, network, seen } = chain(t, { disableCheck: true });
    await runtime.check(network, attachment);
    assert.deepEqual(seen(), []);
  });
  it('needs a kept result and a version that has it', async (t) => {
    const { runtime, network } = chain(t);
    await assert.rejects(runtime.check(network, attachment), /no result of an ADD is kept for pod on net/);
    const old = chain(t, { cniVersion: '0.3.1' });
    await assert.rejects(old.runtime.check(old.network, attachment), /0\.3\.1, which has no CHECK/);
  });
});

describe('GC', () => {
  const valid = [{ containerId: 'live', ifname: 'eth0' }];

  it('deletes what is kept but not valid, then tells every plugin what is', async (t) => {
    const { runtime, network, seen } = chain(t);
    await runtime.add(network, attachment);
    await runtime.add(network, { ...attachment, containerId: 'live' });
    await runtime.gc(network, valid);
    const calls = seen().slice(4);
    assert.deepEqual(
      calls.map(({ plugin, verb, env }) => [plugin, verb, env.CNI_CONTAINERID]),
      [
        ['second', 'DEL', 'pod'],
        ['first', 'DEL', 'pod'],
        ['first', 'GC', undefined],
        ['second', 'GC', undefined],
      ],
    );
    const listed = [{ containerID: 'live', ifname: 'eth0' }];
    assert.deepEqual(calls[2]?.stdin['cni.dev/valid-attachments'], listed);
    assert.deepEqual(calls[2]?.stdin['cni.dev/attachments'], listed);
  });
  it('goes on after a failure and reports all of them', async (t) => {
    const { runtime, network, seen, answer } = chain(t);
    answer('first', 'GC', { stdout: { code: 7, msg: 'one' }, status: 1 });
    answer('second', 'GC', { stdout: { code: 7, msg: 'two' }, status: 1 });
    await assert.rejects(runtime.gc(network, []), /code 7: one; .*code 7: two/);
    assert.equal(seen().length, 2);
  });
  it('is not asked where the network says no, and not before 1.1.0', async (t) => {
    for (const config of [{ disableGC: true }, { cniVersion: '1.0.0' }]) {
      const { runtime, network, seen } = chain(t, config);
      await runtime.gc(network, []);
      assert.deepEqual(seen(), []);
    }
  });
});

describe('STATUS', () => {
  it('stops at the first plugin that is not ready', async (t) => {
    const { runtime, network, seen, answer } = chain(t);
    await runtime.status(network);
    answer('first', 'STATUS', { stdout: { code: 50, msg: 'no agent' }, status: 1 });
    await assert.rejects(runtime.status(network), { code: 50, msg: 'no agent' });
    assert.deepEqual(
      seen().map(({ plugin }) => plugin),
      ['first', 'second', 'first'],
    );
  });
  it('is not asked before 1.1.0', async (t) => {
    const { runtime, network, seen } = chain(t, { cniVersion: '1.0.0' });
    await runtime.status(network);
    assert.deepEqual(seen(), []);
  });
});

describe('VERSION', () => {
  const answers: [stdout: unknown, versions: string[]][] = [
    [{ cniVersion: '1.0.0', supportedVersions: ['0.4.0', '1.0.0'] }, ['0.4.0', '1.0.0']],
    [{ cniVersion: '0.2.0' }, ['0.1.0', '0.2.0']],
  ];
  for (const [stdout, versions] of answers) {
    it(`${JSON.stringify(stdout)} means ${versions}`, async (t) => {
      const { runtime, answer } = chain(t);
      answer('first', 'VERSION', { stdout });
      assert.deepEqual(await runtime.versions({ type: 'first' }), versions);
    });
  }
  it('unknown to a plugin means that it is of 0.1.0', async (t) => {
    const { runtime, answer } = chain(t);
    answer('first', 'VERSION', { stdout: { code: 4, msg: 'unknown CNI_COMMAND: VERSION' }, status: 1 });
    assert.deepEqual(await runtime.versions({ type: 'first' }), ['0.1.0']);
  });
  it('tells whether a network can be used at all', async (t) => {
    const { runtime, network, answer } = chain(t);
    answer('first', 'VERSION', { stdout: { cniVersion: '1.0.0', supportedVersions: ['1.0.0'] } });
    await assert.rejects(runtime.validate(network), /first does not support version 1\.1\.0 of network net/);
  });
});
