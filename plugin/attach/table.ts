/**
 * The nftables tables that weft owns. The plugin keeps host ports and the spoof check in them, the agent
 * masquerade and the tunnel's guard; each replaces its own parts only (kernel/nft/part.ts).
 */
export const inetTable = { family: 'inet', table: 'weft' } as const;
export const bridgeTable = { family: 'bridge', table: 'weft' } as const;
