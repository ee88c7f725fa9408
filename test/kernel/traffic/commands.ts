/** What a speaker is told, and what it tells. */
export type Protocol = 'tcp' | 'udp';

export interface Serve {
  readonly op: 'serve';
  readonly protocol: Protocol;
  readonly host: string;
  readonly port: number;
}

export interface Ask {
  readonly op: 'ask';
  readonly protocol: Protocol;
  readonly host: string;
  readonly port: number;
  readonly from?: string;
  readonly fromPort?: number;
  readonly timeoutMs: number;
  /** Hexadecimal; UDP only. */
  readonly payload?: string;
}

export type Command = Serve | Ask;

/** `answer`: the address that the server saw. */
export interface Outcome {
  readonly answer?: string;
  readonly error?: string;
}
