/** The steps after the interface, in the order in which they are put up. */
import { hostPortsStep, type Sockets } from './host-ports/step.ts';
import { masqueradeRules, spoofRules } from './pod-rules.ts';
import { ruleStep } from './rule-step.ts';
import type { Step } from './step.ts';

export const allSteps = (sockets: Sockets): Step[] => [
  ruleStep({ wish: 'macspoofchk', rules: spoofRules, nfnl: () => sockets.nfnl }),
  ruleStep({ wish: 'ipMasq', rules: masqueradeRules, nfnl: () => sockets.nfnl }),
  hostPortsStep(sockets),
];
