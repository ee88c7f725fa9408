/**
 * The names of a lab's namespaces, links and folders. `lab down` needs only these names, so that it finds everything
 * even after `lab up` was killed.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { LabError } from './errors.ts';

export const defaultLab = 'lab';

/** Every lab keeps its state in a folder here. */
export const labsFolder = '/run/weft-lab';

/** The variable in the environment of every process of a lab; its value is the lab's name. */
export const processMark = 'WEFT_LAB';

const labPattern = /^[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?$/;
const podPattern = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;
const nodePattern = /^node-[1-9]\d*$/;

export function checkLabName(name: string): string {
  if (!labPattern.test(name)) {
    throw new LabError(
      `${JSON.stringify(name)} cannot name a lab: use 1 to 24 lower-case letters, digits and inner dashes`,
    );
  }
  return name;
}

export function checkPodName(name: string): string {
  if (!podPattern.test(name) || isNodeName(name)) {
    throw new LabError(
      `${JSON.stringify(name)} is not a pod name: use 1 to 63 of a-z, 0-9, inner - and ., and not the name of a node`,
    );
  }
  return name;
}

export const isNodeName = (name: string): boolean => nodePattern.test(name);

export const labFolder = (lab: string): string => join(labsFolder, lab);

/** The folder of a member. Under it a node its own `/run`, `/etc/cni`, ...; the lab its state of the member. */
export const nodeFolder = (lab: string, node: string): string => join(labFolder(lab), node);

/** The namespace that stands for the network between the nodes: bridges, gateway, and the world beyond. */
export const fabric = 'fabric';

/** The host of Kubernetes' control plane. */
export const controlPlane = 'control-plane';

/** Name of a member's network namespace on the host: `weft-lab-node-1`, `weft-lab-fabric`. */
export const netnsName = (lab: string, member: string): string => `weft-${lab}-${member}`;

export const netnsPath = (lab: string, member: string): string => `/run/netns/${netnsName(lab, member)}`;

/**
 * Whether a network namespace of this name is a member of the lab. The last words decide, so that the
 * labs `a` and `a-node-1` never take each other's.
 */
export function isMemberOf(lab: string, netns: string): boolean {
  const match = /^weft-(.+)-(?:node-[1-9]\d*|etcd-[1-9]\d*|control-plane|fabric)$/.exec(netns);
  return match?.[1] === lab;
}

/** The cgroup of all pods of a lab's kubelets: a path from the root of each hierarchy. */
export const labCgroup = (lab: string): string => `/weft-lab-${lab}`;

/** That of one node's pods. A kubelet removes unknown namespaces from its own folder. */
export const nodeCgroup = (lab: string, node: string): string => join(labCgroup(lab), node);

/** A container id as runtimes make them: 64 hexadecimal digits; new for every sandbox. */
export const containerId = (seed: string): string => createHash('sha256').update(seed).digest('hex');
