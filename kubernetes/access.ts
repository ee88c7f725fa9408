/** How an API server is reached, and as whom: what a kubeconfig or a service account amounts to. */

export interface Access {
  /** `https://10.96.0.1:443`, with a path where the server has one; no slash at the end. */
  readonly server: URL;
  /** Where the access comes from, for messages: a kubeconfig's path, or `in-cluster service account`. */
  readonly source: string;
  /** The name in the server's certificate, if it is not the host of `server`. */
  readonly tlsServerName: string | undefined;
  /** The authority of the server's certificate, PEM; undefined: the system's. Read at each connection. */
  readonly ca: () => string | undefined;
  /** `http://HOST:PORT` of a proxy; `environment`: as HTTPS_PROXY and NO_PROXY say. */
  readonly proxy: URL | 'environment';
  readonly credentials: Credentials;
  /** The namespace of the context, or of the pod. */
  readonly namespace: string;
}

/** What a request is sent with. All PEM and tokens are text; none is ever logged. */
export interface Identity {
  readonly token?: string | undefined;
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined;
}

export interface Credentials {
  /** As they are now: files are read again, an exec plugin runs again when its answer has expired. */
  current(signal: AbortSignal): Promise<Identity>;
  /** The server did not accept them: the next call of `current` does not answer from memory. */
  refused(): void;
}
