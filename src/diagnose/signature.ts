import type { CallEvent, DropEvent } from '../model/event.ts';
import type { Symptom } from '../model/symptom.ts';

/**
 * Symptoms with one signature are judged once. It holds what a verdict can depend on, and not what differs from
 * packet to packet of one conversation (ephemeral ports, sequence numbers).
 */
export function signature(symptom: Symptom): string {
  switch (symptom.kind) {
    case 'drop':
      return `d|${dropSignature(symptom.drop)}`;
    case 'call':
      return `c|${callSignature(symptom.call)}`;
    case 'counter':
      return `n|${symptom.netns}|${symptom.counter}`;
    case 'log':
      return `l|${symptom.netns}|${symptom.pid}|${symptom.line.replace(/\d+/g, '#').slice(0, 120)}`;
  }
}

function dropSignature(drop: DropEvent): string {
  const { ip, arp, transport, ethernet } = drop.packet;
  const flow = ip !== undefined ? `${ip.source}>${ip.destination}|${ip.protocol}|${ports(transport)}|${ip.fragmentOffset ?? 0}|${ip.ttl}` : arp !== undefined ? `${arp.sender}>${arp.target}` : ethernet !== undefined ? `${ethernet.source}>${ethernet.destination}` : drop.stack.slice(0, 6).map((p) => p.name ?? '').join('<'); // no headers at all: the path tells losses apart
  const size = drop.length > 1280 ? 'big' : drop.length > 576 ? 'mid' : 'small';
  return `${drop.netns}|${drop.place.address}|${drop.reason.number}|${drop.ifindex}|${drop.protocol}|${flow}|${size}|${drop.conntrack?.info ?? '-'}|${drop.mark}`;
}

/** The server's side: the lower port, or a well-known one; both when neither is ephemeral. */
function ports(transport: DropEvent['packet']['transport']): string {
  switch (transport?.kind) {
    case undefined:
      return '';
    case 'tcp':
      return `${service(transport.sourcePort, transport.destinationPort)}|${transport.flags & 0x17}`;
    case 'udp':
    case 'sctp':
    case 'dccp':
    case 'udplite':
      return service(transport.sourcePort, transport.destinationPort);
    case 'icmp':
    case 'icmp6':
      return `${transport.type}.${transport.code}`;
    case 'other':
      return String(transport.protocol);
  }
}

const EPHEMERAL = 32768; // net.ipv4.ip_local_port_range starts here by default

function service(source: number, destination: number): string {
  return `${source >= EPHEMERAL ? '*' : source}:${destination >= EPHEMERAL && source < EPHEMERAL ? '*' : destination}`;
}

function callSignature(call: CallEvent): string {
  return `${call.netns}|${call.task.pid}|${call.syscall}|${call.errno}|${call.destination ?? call.socket?.remote ?? ''}|${call.args.slice(0, 3).join(',')}`;
}
