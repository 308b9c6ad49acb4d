import { matchesPrefix } from '../../base/inet.ts';
import type { XfrmPolicy } from '../../model/network.ts';
import type { RoutedPacket } from './routing.ts';

const NUMBERS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, dccp: 33, gre: 47, esp: 50, ah: 51, 'ipv6-icmp': 58, icmpv6: 58, comp: 108, sctp: 132, udplite: 136 };

/** The policy of one direction that a packet meets: the least priority number, the first listed of equals (net/xfrm/xfrm_policy.c). */
export function policyFor(policies: readonly XfrmPolicy[], direction: 'in' | 'out' | 'fwd', p: RoutedPacket): XfrmPolicy | undefined {
  return policies
    .filter((policy) => policy.direction === direction && matches(policy, p))
    .sort((a, b) => a.priority - b.priority)[0];
}

function matches(policy: XfrmPolicy, p: RoutedPacket): boolean {
  const s = policy.selector;
  const protocol = s.protocol === undefined ? undefined : NUMBERS[s.protocol] ?? Number(s.protocol);
  return (
    (p.from === undefined ? s.source.endsWith('/0') || p.to.includes(':') === s.source.includes(':') : matchesPrefix(p.from, s.source)) &&
    matchesPrefix(p.to, s.destination) &&
    (protocol === undefined || p.protocol === undefined || p.protocol === protocol) &&
    (s.sourcePort === undefined || p.sourcePort === undefined || s.sourcePort === p.sourcePort) &&
    (s.destinationPort === undefined || p.destinationPort === undefined || s.destinationPort === p.destinationPort) &&
    (policy.mark === undefined || p.mark === undefined || markMatches(policy.mark, p.mark))
  );
}

function markMatches(text: string, mark: number): boolean {
  const [value, mask] = text.split('/').map(Number);
  return value === undefined || Number.isNaN(value) || ((mark & (mask ?? 0xffffffff)) >>> 0) === value;
}

/** `dir in src 10.0.0.1/32 dst 10.0.0.2/32 proto udp dport 53`: the words that delete it. */
export function policyText(policy: XfrmPolicy): string {
  const s = policy.selector;
  return `dir ${policy.direction} src ${s.source} dst ${s.destination}${s.protocol === undefined ? '' : ` proto ${s.protocol}`}${s.sourcePort === undefined ? '' : ` sport ${s.sourcePort}`}${s.destinationPort === undefined ? '' : ` dport ${s.destinationPort}`}${s.device === undefined ? '' : ` dev ${s.device}`}${policy.mark === undefined ? '' : ` mark ${policy.mark.replace('/', ' mask ')}`}${policy.ifId === undefined ? '' : ` if_id ${policy.ifId}`}`;
}
