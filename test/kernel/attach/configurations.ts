/** Networks for what has to hold whatever an ADD was asked for: between them, every side effect that there is. */

/** Of this node's lease, which the plugin under test must have. */
export const configurations: Readonly<Record<string, object>> = {
  'without options': {},
  'with every option': {
    isGateway: true,
    isDefaultGateway: true,
    hairpinMode: true,
    portIsolation: true,
    ipMasq: true,
    macspoofchk: true,
    ipspoofchk: true,
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/24' }], [{ subnet: 'fd00:9::/64' }]] },
    runtimeConfig: {
      portMappings: [
        { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
        { hostPort: 8080, containerPort: 80, protocol: 'udp', hostIP: '127.0.0.1' },
      ],
      bandwidth: { ingressRate: 1e6, ingressBurst: 1e6, egressRate: 1e6, egressBurst: 1e6 },
    },
  },
};
