/** Pending changes of an overlay, as text. Changes nothing. */
import { addresses } from '../../kernel/address.ts';
import { linkByIndex, linkByName } from '../../kernel/link.ts';
import type { Rtnl } from '../../kernel/netlink/rtnl.ts';
import { atOnce } from '../../kernel/steps.ts';
import type { PartPlan } from '../reconcile/part.ts';
import { clusterEntries, desiredEntries, linkNames } from './desired.ts';
import { desiredDevice, planDevice } from './device.ts';
import { previewDirectProbing } from './direct-probing.ts';
import { mtuProblems } from './mtu.ts';
import { describeStep, planEntries } from './plan.ts';
import { dataplaneEntries } from './read-dataplane.ts';
import { previewStaleDevices } from './stale-devices.ts';
import type { OverlayState } from './state.ts';
import { hasForeignRoute } from './unleased.ts';
import { peerPlans } from './ways.ts';

export function previewOverlay(rtnl: Rtnl, state: OverlayState): PartPlan {
  const device = desiredDevice(state);
  const existing = device && linkByName(rtnl, device.name);
  const deviceSteps = device
    ? planDevice(
        device,
        existing,
        existing ? addresses(rtnl, { index: existing.index }) : [],
        (index) => linkByIndex(rtnl, index)?.name,
      )
    : [];
  const anew = deviceSteps.some(({ kind }) => kind === 'create' || kind === 'recreate');
  const links = {
    deviceIndex: device && (existing?.index ?? 0),
    underlayIndex: state.underlay.index,
    foreignNetworkRoute: hasForeignRoute(rtnl, state),
  };
  const more = clusterEntries(state, links);
  const { entries, problems } = atOnce(desiredEntries(peerPlans(state), links, { more }));
  const scope = { network: state.network, deviceIndex: anew ? undefined : existing?.index };
  const names = linkNames(state, links);
  const entrySteps = planEntries(entries, dataplaneEntries(rtnl, scope));
  return {
    steps: [
      ...previewDirectProbing(rtnl, state),
      ...deviceSteps.map(({ kind, why }) => `${kind} ${device?.name}: ${why}`),
      ...entrySteps
        .filter(({ verb }) => state.complete || verb !== 'remove')
        .map((step) => describeStep(step, names)),
      ...previewStaleDevices(rtnl, state),
    ],
    problems: [...mtuProblems(state), ...problems.map(({ text }) => text)],
  };
}
