/** Names and ports that weft needs and another program may have: the bridge, the VXLAN device, the UDP port. */
import { type Link, links } from '../../../kernel/link.ts';
import { udpPortHolder } from '../../../kernel/port-holder.ts';
import { deviceName } from '../../overlay/device.ts';
import { type Check, type Finding, orOk } from '../finding.ts';

const DEFAULT_BRIDGE = 'cni0';

export const names: Check = {
  name: 'names',
  title: 'Names and ports',
  look: ({ rtnl, pods, config }) => {
    const all = links(rtnl);
    const bridges = new Set([DEFAULT_BRIDGE, ...pods.map(({ bridge }) => bridge)]);
    const devices = new Set(config.networks.map(({ cidr }) => deviceName(cidr.family, config.backend.vni)));
    const findings = [
      ...all.filter(({ name, kind }) => bridges.has(name) && kind !== 'bridge').map(taken('bridge')),
      ...all.filter(({ name, kind }) => devices.has(name) && kind !== 'vxlan').map(taken('vxlan device')),
      ...all.filter((link) => isRival(link, config.backend, devices)).map(rival),
      ...(config.backend.type === 'direct' ? [] : holders(config.backend.port)),
    ];
    return orOk(
      findings,
      `${[...bridges].join(', ')}, ${[...devices].join(', ')}, UDP port ${config.backend.port}`,
    );
  },
};

const taken =
  (what: string) =>
  ({ name, kind }: Link): Finding => ({
    severity: 'failed',
    subject: name,
    found: `the name is taken by a ${kind ?? 'hardware'} link`,
    wanted: `a ${what}, which weft makes`,
    remedy: `ip link del ${name}, or ip link set ${name} name ANOTHER`,
  });

/** The kernel refuses a second device with one VNI and port; another VNI on the port is no harm. */
const isRival = (
  { vxlan, name }: Link,
  { vni, port }: { readonly vni: number; readonly port: number },
  own: ReadonlySet<string>,
): boolean => vxlan !== undefined && vxlan.vni === vni && vxlan.port === port && !own.has(name);

const rival = ({ name, vxlan }: Link): Finding => ({
  severity: 'failed',
  subject: name,
  found: `this device has VNI ${vxlan?.vni} on UDP port ${vxlan?.port}, which weft needs`,
  wanted: 'one device per VNI and port',
  remedy: `ip link del ${name} where its program is gone; else set backend.vni in weft.yaml on all nodes`,
});

function holders(port: number): Finding[] {
  const holder = udpPortHolder(port);
  if (holder === undefined) return [];
  return [
    {
      severity: 'failed',
      subject: `UDP port ${port}`,
      found: `in use by ${holder}`,
      wanted: 'free for the tunnel',
      remedy: 'stop that program, or set backend.port in weft.yaml on all nodes',
    },
  ];
}
