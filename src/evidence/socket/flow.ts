import { isMulticastAddress } from '../../base/inet.ts';
import type { CallEvent } from '../../model/event.ts';
import { protocolName } from '../../model/flow.ts';
import type { Flow, Packet } from '../../model/packet.ts';

export { plainAddress } from '../../base/inet.ts';

/** The flow of a failed call, as far as the call and its socket tell. */
export function flowOfCall(call: CallEvent): Flow | undefined {
  const destination = call.destination ?? call.socket?.remote;
  if (destination === undefined || destination === '') return undefined;
  const protocol = call.socket === undefined || call.socket.protocol === 0 ? 'ip' : protocolName(call.socket.protocol);
  return { protocol, source: call.socket?.local ?? '', destination };
}

/** `udp 10.0.0.1:4000 → 10.0.0.2:53` */
export function flowText(flow: Flow): string {
  return flow.source === '' ? `${flow.protocol} to ${flow.destination}` : `${flow.protocol} ${flow.source} → ${flow.destination}`;
}

/** Multicast, broadcast or chatter that nobody need listen for. `broadcast` knows the directed broadcast addresses. */
export function isChatter(packet: Packet, broadcast: (address: string) => boolean = () => false): boolean {
  const to = packet.ip?.destination;
  const group = packet.ethernet !== undefined && groupMac(packet.ethernet.destination);
  return to === undefined ? group : group || isMulticastAddress(to) || to === '255.255.255.255' || broadcast(to);
}

const groupMac = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
