/** One file of a bundle. */

export interface BundleItem {
  /** Below the bundle's folder. */
  readonly name: string;
  /** A throw is what the file says then. */
  readonly read: (signal: AbortSignal) => Promise<string> | string;
}

export const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
