/** Sends probes of a size that may not be cut on the way, encapsulated as the VXLAN device would. */
import { firstIp } from '../../inet/cidr.ts';
import { type Ip, sameIp } from '../../inet/ip.ts';
import { close, sendTo } from '../../kernel/ffi.ts';
import { bindUdp, socketAddress } from '../../kernel/udp.ts';
import { passMark } from '../firewall/mark.ts';
import type { Peer } from '../overlay/peer.ts';
import { type OverlayState, sourceOf } from '../overlay/state.ts';
import { encapsulate, innerHeaderBytes } from './encapsulate.ts';
import { encodeProbe } from './message.ts';

export class SizeProbe {
  #socket: { readonly fd: number; readonly local: Ip } | undefined;

  constructor(signal: AbortSignal) {
    signal.addEventListener('abort', () => this.#close(), { once: true });
  }

  /**
   * Sends one whose inner packet has that size. The answer, a small one, comes to the peer's usual prober's asker.
   *
   * @throws KernelError EMSGSIZE where our own link does not take it
   */
  send(state: OverlayState, peer: Peer, probe: { token: string; port: number; sizeBytes: number }): void {
    if (peer.vtepMac === undefined) return;
    const from = { mac: state.vtepMac, address: firstIp(state.subnet), port: probe.port };
    const to = { mac: peer.vtepMac, address: firstIp(peer.subnet), port: probe.port };
    const payload = encodeProbe({ kind: 'ask', token: probe.token }, probe.sizeBytes - innerHeaderBytes(to));
    const { vni, port } = state.backend;
    const packet = encapsulate({ vni, from, to, payload });
    const fd = this.#open(sourceOf(state.underlay));
    sendTo(fd, packet, socketAddress(peer.endpoint, port), 'send a probe of the path');
  }

  /** Bound to the address that the device sends from, which peers accept tunnel packets from. */
  #open(local: Ip): number {
    if (this.#socket && sameIp(this.#socket.local, local)) return this.#socket.fd;
    this.#close();
    // With the mark of what comes out of the device: nothing else may send to the tunnel's port (agent/firewall).
    const fd = bindUdp({ local, port: 0, whole: true, mark: passMark });
    this.#socket = { fd, local };
    return fd;
  }

  #close(): void {
    if (this.#socket) close(this.#socket.fd);
    this.#socket = undefined;
  }
}
