import { symbolOf } from '../../evidence/network/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { brokenNeeds, judgeBroken } from '../ip/broken.ts';

const REASONS = new Set(['UDP_CSUM', 'SKB_CSUM', 'ICMP_CSUM']);
const PLACES = /^(__udp[46]_lib_rcv|udp[46]?_lib_rcv|udp_queue_rcv_one_skb|udpv6_queue_rcv_one_skb|udp_queue_rcv_skb|udp_recvmsg|udpv6_recvmsg|__udp_enqueue_schedule_skb|icmp_rcv|icmpv6_rcv|udp_v4_early_demux|first_packet_length|udp_unicast_rcv_skb|udp6_unicast_rcv_skb|udp_read_skb)$/;

export const cause: Cause = {
  id: 'udp.bad-checksum',
  title: 'the UDP checksum is wrong',
  needs: brokenNeeds,
  knowledge: {
    what: 'The checksum over the UDP datagram (or ICMP message) does not fit its bytes, so the kernel drops it as damaged. A rule that writes raw bytes without mending the checksum, a card with broken offload, or a program that builds packets itself are the usual reasons.',
    signs: ['UDP_CSUM at __udp4_lib_rcv, __udp6_lib_rcv or when the socket is read', 'Udp InCsumErrors in /proc/net/snmp rises', 'tcpdump -vv says "bad udp cksum"'],
    fixes: ['`nft list ruleset`: look for rules that write header or payload bytes (`@nh`, `@th`, `@ih … set`)', 'At the sender: `ethtool -K DEV tx off` tells whether its card computes wrong checksums', 'Else the program, card, cable or router that made or carried the packet'],
    functions: ['__udp4_lib_rcv', 'udp_queue_rcv_one_skb', '__skb_checksum_complete'],
    reasons: ['UDP_CSUM', 'SKB_CSUM', 'ICMP_CSUM'],
    errnos: [],
    versions: ['UDP_CSUM exists since 5.17'],
    sources: ['net/ipv4/udp.c', 'RFC 768'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const named = REASONS.has(drop.reason.name) && drop.packet.transport?.kind !== 'tcp' && (drop.reason.name.endsWith('_CSUM') || PLACES.test(symbolOf(drop)));
    const seen = drop.reason.name === 'NOT_SPECIFIED' && PLACES.test(symbolOf(drop)) && drop.packet.defects.some((d) => d.kind === 'transport-checksum');
    if (!named && !seen) return NOT_APPLICABLE;
    return judgeBroken(drop, evidence, { noun: 'wrong UDP checksum', defects: ['transport-checksum'], sure: named ? 0.97 : 0.85, sender: 'a program or card that computes the checksum wrongly, a device between that rewrites the payload' });
  },
};
