/** The versions of the CNI specification that weft speaks, oldest first. */
export const cniVersions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

export type CniVersion = (typeof cniVersions)[number];

export const newestCniVersion: CniVersion = '1.1.0';

export const isCniVersion = (text: string): text is CniVersion =>
  (cniVersions as readonly string[]).includes(text);

/** Whether the first is the same specification as the second, or a later one. */
export const atLeast = (version: CniVersion, other: CniVersion): boolean =>
  cniVersions.indexOf(version) >= cniVersions.indexOf(other);
