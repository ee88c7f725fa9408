/** The fields of weft.yaml that may be said in several ways: underlay, listen, etcd's endpoints and prefix. */
import { parseIp } from '../../inet/ip.ts';
import type { EtcdEndpoint, Listen, UnderlayChoice } from './config.ts';
import { type Reading, readCidr, readIp, text } from './scalars.ts';

/** Linux's rule for an interface's name: `dev_valid_name` in net/core/dev.c, IFNAMSIZ in linux/if.h. */
const interfaceName = /^(?!\.{1,2}$)[^\s/:]{1,15}$/;

/** One way to find the underlay: `auto`, an interface's name, an address, or a network. */
export const underlayText = text(
  'auto, an interface, an address, a network or {reach: ADDRESS}',
  readUnderlay,
);

function readUnderlay(input: string): Reading<UnderlayChoice> {
  if (input === 'auto') return { value: { kind: 'auto' } };
  if (input.includes('/')) {
    const reading = readCidr(input);
    return 'value' in reading ? { value: { kind: 'network', network: reading.value } } : reading;
  }
  const address = parseIp(input);
  if (address) return { value: { kind: 'address', address } };
  if (/^[\d.]+$/.test(input) || input.includes(':')) {
    const reading = readIp(input);
    if ('refusal' in reading) return reading;
  }
  return interfaceName.test(input)
    ? { value: { kind: 'interface', name: input } }
    : { refusal: `${JSON.stringify(input)} is not an interface name (at most 15 characters, no space)` };
}

/** `127.0.0.1:9472`, `[::1]:9472`, or `off`. */
export const listenText = text('ADDRESS:PORT or off', (input): Reading<Listen | undefined> => {
  if (input === 'off') return { value: undefined };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(input) ?? [];
  const address = parseIp(bracketed ?? plain ?? '');
  const port = Number(digits);
  if (!address || port > 65_535 || (address.family === 'ipv6') !== (bracketed !== undefined)) {
    return {
      refusal: `${JSON.stringify(input)} is not ADDRESS:PORT; write 127.0.0.1:9472, [::1]:9472, or off`,
    };
  }
  return { value: { address, port } };
});

export const endpointText = text(
  'a URL such as https://192.168.188.100:2379',
  (input): Reading<EtcdEndpoint> => {
    const refuse = (why: string): Reading<EtcdEndpoint> => ({
      refusal: `${JSON.stringify(input)} ${why}; write it like https://192.168.188.100:2379`,
    });
    if (!/^https?:\/\//.test(input)) return refuse('does not begin with http:// or https://');
    if (!URL.canParse(input)) return refuse('is not a URL');
    const url = new URL(input);
    if (url.username !== '' || url.password !== '') {
      return { refusal: 'contains credentials; set username and passwordFile instead' };
    }
    if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
      return refuse('contains more than host and port');
    const [, port] = /:(\d+)\/?$/.exec(input) ?? [];
    if (port === undefined) return refuse('has no port');
    return {
      value: {
        secure: url.protocol === 'https:',
        host: url.hostname.replace(/^\[|\]$/g, ''),
        port: Number(port),
      },
    };
  },
);

export const prefixText = text(
  'a key prefix such as /coreos.com/network',
  (input): Reading<string> =>
    /^(\/[^/\s]+)+$/.test(input)
      ? { value: input }
      : { refusal: `${JSON.stringify(input)} is not a key prefix; it begins with / and does not end with /` },
);

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = new RegExp(`^(?=.{1,253}$)${label}(\\.${label})*$`);

/** The name of a Kubernetes object: a DNS subdomain (RFC 1123). */
export const nodeNameText = text(
  "a Node's name",
  (input): Reading<string> =>
    subdomain.test(input)
      ? { value: input }
      : { refusal: `${JSON.stringify(input)} is not a Node's name; write it as kubectl get nodes shows it` },
);

/** A DNS subdomain, and one slash with a name part after it where there is one. */
export const annotationPrefixText = text(
  'a prefix such as flannel.alpha.coreos.com',
  (input): Reading<string> => {
    const [domain = '', name, ...more] = input.split('/');
    const named = name === undefined || /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,40}[A-Za-z0-9])?-?$/.test(name);
    return subdomain.test(domain) && named && more.length === 0
      ? { value: input }
      : {
          refusal:
            `${JSON.stringify(input)} is not an annotation prefix; write a domain such as ` +
            'flannel.alpha.coreos.com',
        };
  },
);
