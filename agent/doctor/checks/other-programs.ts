/** Programs of the host that configure interfaces: systemd-udevd, NetworkManager. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { linkByName } from '../../../kernel/link.ts';
import { deviceName, hasTunnel } from '../../overlay/device.ts';
import { type Check, type Finding, ok, orOk } from '../finding.ts';

/** A device whose MAC was changed after peers were told of it gets no packet. */
export const macAddresses: Check = {
  name: 'mac-addresses',
  title: 'MAC of the VXLAN device',
  look: ({ saved, rtnl }) => {
    const policy = linkPolicy();
    const text = policy
      ? `, and udev has MACAddressPolicy=${policy}, which leaves MACs alone that were set`
      : '';
    const findings = (saved?.host.families ?? []).flatMap(({ network, backend, vtepMac }): Finding[] => {
      const name = deviceName(network.family, backend.vni);
      const mac = hasTunnel(backend) ? linkByName(rtnl, name)?.mac : undefined;
      if (mac === undefined || mac === vtepMac) return [];
      return [
        {
          severity: 'failed',
          subject: name,
          found: `${mac}, which is not the one that peers know`,
          wanted: vtepMac,
          remedy: `ip link set ${name} address ${vtepMac}`,
        },
      ];
    });
    return orOk(findings, `as announced${text}`);
  },
};

/** Of the first file that has one (systemd.link(5)). */
function linkPolicy(): string | undefined {
  for (const directory of ['/etc/systemd/network', '/run/systemd/network', '/usr/lib/systemd/network']) {
    for (const name of namesIn(directory).filter((each) => each.endsWith('.link'))) {
      const found = /^\s*MACAddressPolicy\s*=\s*(\w+)/m.exec(textOf(join(directory, name)))?.[1];
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

const managerConfigurations = [
  '/etc/NetworkManager/conf.d',
  '/run/NetworkManager/conf.d',
  '/usr/lib/NetworkManager/conf.d',
];

/** It takes addresses and routes off devices that it does not know. */
export const networkManager: Check = {
  name: 'networkmanager',
  title: 'NetworkManager',
  look: () => {
    if (!existsSync('/run/NetworkManager')) return ok('does not run');
    const texts = managerConfigurations.flatMap((directory) =>
      namesIn(directory).map((name) => textOf(join(directory, name))),
    );
    const unmanaged = texts
      .flatMap((text) => /^\s*unmanaged-devices\s*[+]?=\s*(.*)$/m.exec(text)?.[1] ?? [])
      .join(';');
    const missing = ['weft', 'cni0', 'veth'].filter((name) => !unmanaged.includes(name));
    if (missing.length === 0) return ok("runs, and leaves weft's devices alone");
    return {
      severity: 'warning',
      found: `runs, and may change weft's devices (${missing.join(', ')} are not listed as unmanaged)`,
      wanted: 'unmanaged-devices+=interface-name:weft*;interface-name:cni0;interface-name:veth*',
      remedy:
        'write [keyfile] and that line into /etc/NetworkManager/conf.d/weft.conf; systemctl reload NetworkManager',
    };
  },
};

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
