/** What pods that are gone have left on this node. `--fix` takes it away; nothing of a pod that runs is among it. */
import { formatIp } from '../../../inet/ip.ts';
import { type Link, linkByIndex, links, remove } from '../../../kernel/link.ts';
import { aliasOf, hostInterfaceOf } from '../../../plugin/attach/names.ts';
import { hasRecord, listRecords, type SeenRecord } from '../../../plugin/attach/record.ts';
import { createVerbs } from '../../../plugin/attach/verbs.ts';
import { NetworkDirectory } from '../../../plugin/ipam/directory.ts';
import { listOwners } from '../../../plugin/ipam/owners.ts';
import { AddressStore } from '../../../plugin/ipam/store.ts';
import { type Check, type Finding, orOk } from '../finding.ts';
import type { DoctorHost } from '../host.ts';

const wanted = 'nothing left of pods that are gone';
const remedy = 'weftctl doctor --fix --yes';

export const leaks: Check = {
  name: 'leaks',
  title: 'Leaked addresses and interfaces',
  look: (host) => {
    const records = listRecords(host.config.runDir);
    const present = links(host.rtnl);
    const findings = [
      ...strayLinks(host, present, records),
      ...deadAttachments(host, present, records),
      ...strayAddresses(host),
    ];
    return orOk(findings, `none; ${records.length} attachments`);
  },
};

/** Host ends with weft's alias and no record. */
function strayLinks(
  { rtnl, config }: DoctorHost,
  present: readonly Link[],
  records: readonly SeenRecord[],
): Finding[] {
  const known = new Set(
    records.flatMap(({ file, attachment }) => [
      hostInterfaceOf(file),
      ...(attachment ? [aliasOf(attachment), attachment.host.name] : []),
    ]),
  );
  return present
    .filter(
      ({ kind, name, alias }) =>
        kind === 'veth' && alias?.startsWith('weft:') && !known.has(name) && !known.has(alias),
    )
    .map(
      ({ name, index, alias = '' }): Finding => ({
        severity: 'warning',
        subject: name,
        found: `an interface of a pod that is not on record (${alias})`,
        wanted,
        remedy,
        fix: {
          text: `remove interface ${name}`,
          apply: () => {
            // It may have been made, and recorded, since.
            const now = linkByIndex(rtnl, index);
            const recorded = listRecords(config.runDir).some(({ file }) => hostInterfaceOf(file) === name);
            if (now?.alias === alias && !recorded) rtnl.execute([remove({ index })]);
          },
        },
      }),
    );
}

/** Records whose interface is gone: with either namespace it goes, so the pod is gone too. */
function deadAttachments(
  { config }: DoctorHost,
  present: readonly Link[],
  records: readonly SeenRecord[],
): Finding[] {
  const names = new Set(present.map(({ name }) => name));
  const aliases = new Set(present.map(({ alias }) => alias));
  return records.flatMap(({ file, attachment }): Finding[] => {
    if (attachment?.phase !== 'complete') return [];
    if (names.has(hostInterfaceOf(file)) || aliases.has(aliasOf(attachment))) return [];
    const { network, containerId, ifname, addresses } = attachment;
    const held = addresses.map(({ address }) => formatIp(address)).join(', ');
    return [
      {
        severity: 'warning',
        subject: `pod ${containerId.slice(0, 12)}`,
        found: `its interface is gone, and it still holds ${held || 'its record'}`,
        wanted,
        remedy,
        fix: {
          text: `DEL of pod ${containerId.slice(0, 12)} ${ifname}, which frees ${held || 'its record'}`,
          apply: async () => {
            const verbs = createVerbs({ runDir: config.runDir });
            try {
              const key = { network, containerId, ifname };
              await verbs.del({ attachment: key, netns: undefined, prevResult: undefined, trace: {} });
            } finally {
              verbs.close();
            }
          },
        },
      },
    ];
  });
}

/** Addresses that are taken by nobody on record. */
function strayAddresses({ config: { runDir } }: DoctorHost): Finding[] {
  const networks = new Set(listOwners(runDir).map(({ network }) => network));
  return [...networks].flatMap((network) => {
    const directory = new NetworkDirectory(runDir, network);
    return directory.taken().flatMap((address): Finding[] => {
      const owner = directory.find(address)?.record;
      if (!owner || hasRecord(runDir, { ...owner, network })) return [];
      const text = formatIp(address);
      return [
        {
          severity: 'warning',
          subject: text,
          found: `taken by container ${owner.containerId.slice(0, 12)}, which is not on record`,
          wanted,
          remedy,
          fix: {
            text: `free ${text} of network ${network}`,
            apply: () => {
              const key = { network, containerId: owner.containerId, ifname: owner.ifname };
              if (hasRecord(runDir, key)) return;
              new AddressStore({ runDir, network, hostLocalDir: undefined }).release(address, owner);
            },
          },
        },
      ];
    });
  });
}
