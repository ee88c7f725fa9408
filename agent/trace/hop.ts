/** One thing that a packet passes on its way, as the kernel has it. */

export type HopState = 'ok' | 'failed' | 'unknown';

export interface Hop {
  /** `pod`, `bridge`, `spoof check`, `route`, ... */
  readonly name: string;
  readonly state: HopState;
  readonly text: string;
  readonly remedy?: string;
}

export const passes = (name: string, text: string): Hop => ({ name, state: 'ok', text });
export const unknown = (name: string, text: string): Hop => ({ name, state: 'unknown', text });
export const stops = (name: string, text: string, remedy?: string): Hop => ({
  name,
  state: 'failed',
  text,
  ...(remedy === undefined ? {} : { remedy }),
});
