/** This node's pods, from the records that ADD writes. */

import { hostInterfaceOf } from '../../plugin/attach/names.ts';
import { listRecords } from '../../plugin/attach/record.ts';
import { readBootId } from '../../plugin/ipam/boot.ts';
import type { Pods } from './desired.ts';

export function podsOnRecord(runDir: string): Pods {
  const bootId = readBootId();
  const records = listRecords(runDir);
  return {
    made: records.flatMap(({ attachment }) =>
      attachment?.phase === 'complete' && attachment.bootId === bootId ? attachment : [],
    ),
    interfaces: new Set(records.map(({ file }) => hostInterfaceOf(file))),
  };
}
