/** The steps after the interface, in the order in which they are put up. */
import { type BandwidthGround, bandwidthStep } from './bandwidth/step.ts';
import { hostPortsStep, type Sockets } from './host-ports/step.ts';
import { masqueradeRules, spoofRules } from './pod-rules.ts';
import { ruleStep } from './rule-step.ts';
import type { Step } from './step.ts';

export const allSteps = (host: Sockets & BandwidthGround): Step[] => [
  ruleStep({ wish: 'spoofCheck', rules: spoofRules, nfnl: () => host.nfnl }),
  ruleStep({ wish: 'ipMasq', rules: masqueradeRules, nfnl: () => host.nfnl }),
  hostPortsStep(host),
  bandwidthStep(host),
];
