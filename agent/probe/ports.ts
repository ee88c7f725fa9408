/** UDP ports of probes, the same on every node: through the tunnel, and beside it. */
export const TUNNEL_PORT = 8474;
export const DIRECT_PORT = 8475;
