import type { Packet } from '../../model/packet.ts';

/** ICMPv6 types that the kernel sends by itself for each interface: MLD queries, reports and dones, router solicitations (RFC 2710, 3810, 4861). */
const OWN_ICMP6 = new Set([130, 131, 132, 133, 143]);
const NEIGHBOUR_SOLICITATION = 135;
const IGMP = 2;

/**
 * What the kernel sends by itself whenever an interface is there: router solicitations, MLD and IGMP reports, duplicate
 * address detection. Nobody waits for it where nothing is connected. A neighbour solicitation with a source address is
 * none of these: somebody has a packet for that neighbour.
 */
export function isKernelChatter(packet: Packet): boolean {
  const { ip, transport } = packet;
  if (ip === undefined) return false;
  if (ip.version === 4) return ip.protocol === IGMP && /^2(2[4-9]|3\d)\./.test(ip.destination);
  if (!/^ff/i.test(ip.destination) || transport?.kind !== 'icmp6') return false;
  return OWN_ICMP6.has(transport.type) || (transport.type === NEIGHBOUR_SOLICITATION && ip.source === '::');
}
