/** Which proxy the environment names for a server: Go's rules. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proxyFor } from '../../../kubernetes/proxy.ts';

const proxy = (server: string, env: Record<string, string>): string | undefined =>
  proxyFor(new URL(server), env)?.host;

const HTTPS_PROXY = 'http://proxy:3128';

test('proxy of the environment: by the scheme of the server, in either case of letters', () => {
  assert.equal(proxy('https://10.96.0.1', {}), undefined);
  assert.equal(proxy('https://10.96.0.1', { HTTPS_PROXY }), 'proxy:3128');
  assert.equal(proxy('https://10.96.0.1', { https_proxy: 'proxy:3128' }), 'proxy:3128');
  assert.equal(proxy('http://10.96.0.1', { HTTPS_PROXY }), undefined);
  assert.equal(proxy('https://127.0.0.1:6443', { HTTPS_PROXY }), undefined);
});

test('NO_PROXY: names with subdomains, addresses, networks and ports are reached directly', () => {
  const direct: readonly (readonly [string, string])[] = [
    ['https://10.96.0.1', '10.96.0.0/12'],
    ['https://10.96.0.1', 'example.org, 10.96.0.1'],
    ['https://10.96.0.1:6443', '10.96.0.1:6443'],
    ['https://[fd00::1]', 'fd00::/64'],
    ['https://api.example.org', 'example.org'],
    ['https://api.example.org', '.example.org'],
    ['https://api.example.org', '*.example.org'],
    ['https://example.org', '*'],
  ];
  for (const [server, NO_PROXY] of direct)
    assert.equal(proxy(server, { HTTPS_PROXY, NO_PROXY }), undefined, NO_PROXY);
  const through: readonly (readonly [string, string])[] = [
    ['https://10.96.0.1', '10.97.0.0/16'],
    ['https://10.96.0.1:6443', '10.96.0.1:443'],
    ['https://10.96.0.1', 'fd00::/64'],
    ['https://example.org', '.example.org'],
    ['https://myexample.org', 'example.org'],
    ['https://10.96.0.1', '10.96.0.0/99'],
  ];
  for (const [server, NO_PROXY] of through) {
    assert.equal(proxy(server, { HTTPS_PROXY, NO_PROXY }), 'proxy:3128', NO_PROXY);
  }
});

test('proxy of an unsupported kind: refused without its password', () => {
  assert.throws(
    () => proxy('https://10.96.0.1', { HTTPS_PROXY: 'socks5://user:secret@proxy:1080' }),
    (error: Error) => /unsupported; supported: http/.test(error.message) && !error.message.includes('secret'),
  );
});
