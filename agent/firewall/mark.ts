/**
 * The bit of a packet's mark by which rules recognise what weft lets through. weft's own chains clear it on every
 * packet that arrives and set it on those that the overlay needs; one rule in each chain of another firewall accepts
 * packets that have it. The other bits belong to others and are kept.
 *
 * 0x2000 is the reference portmap plugin's (and weft's host ports'), 0x4000 and 0x8000 are kube-proxy's.
 */
export const PASS_MARK = '0x1000';
/** For packets that the agent itself encapsulates (SO_MARK). */
export const passMark = Number(PASS_MARK);

export const setMark = `meta mark set meta mark or ${PASS_MARK}`;
export const clearMark = `meta mark and ${PASS_MARK} != 0 meta mark set meta mark and 0xffffefff`;
export const hasNoMark = `meta mark and ${PASS_MARK} == 0`;
/** As iptables writes `-m mark --mark 0x1000/0x1000`, so that it can show the rule in its chains. */
export const hasMark = `meta mark and ${PASS_MARK} == ${PASS_MARK}`;
