import { symbolOf } from '../../evidence/network/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { brokenNeeds, judgeBroken } from '../ip/broken.ts';

const REASONS = new Set(['TCP_CSUM', 'SKB_CSUM']);
const PLACES = /^(tcp_v[46]_rcv|tcp_v[46]_do_rcv|tcp_rcv_established|tcp_checksum_complete)$/;

export const cause: Cause = {
  id: 'tcp.bad-checksum',
  title: 'the TCP checksum is wrong',
  needs: brokenNeeds,
  knowledge: {
    what: 'The checksum over the TCP segment does not fit its bytes, so the kernel drops it as damaged; the sender sends it again and again. A rule that writes raw bytes without mending the checksum, or a card with broken offload, are the usual reasons.',
    signs: ['TCP_CSUM at tcp_v4_rcv, tcp_v6_rcv or tcp_v4_do_rcv', 'Tcp InCsumErrors in /proc/net/snmp rises', 'Retransmissions without end'],
    fixes: ['`nft list ruleset`: look for rules that write header or payload bytes (`@nh`, `@th`, `@ih … set`)', 'At the sender: `ethtool -K DEV tx off` tells whether its card computes wrong checksums', 'Else the program, card, cable or router that made or carried the packet'],
    functions: ['tcp_v4_rcv', 'tcp_v4_do_rcv', '__skb_checksum_complete'],
    reasons: ['TCP_CSUM', 'SKB_CSUM'],
    errnos: [],
    versions: ['TCP_CSUM exists since 5.17'],
    sources: ['net/ipv4/tcp_ipv4.c', 'RFC 9293'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const named = REASONS.has(drop.reason.name) && (drop.reason.name === 'TCP_CSUM' || drop.packet.transport?.kind === 'tcp') && (drop.reason.name.endsWith('_CSUM') || PLACES.test(symbolOf(drop)));
    const seen = drop.reason.name === 'NOT_SPECIFIED' && PLACES.test(symbolOf(drop)) && drop.packet.defects.some((d) => d.kind === 'transport-checksum');
    if (!named && !seen) return NOT_APPLICABLE;
    return judgeBroken(drop, evidence, { noun: 'wrong TCP checksum', defects: ['transport-checksum'], sure: named ? 0.97 : 0.85, sender: 'a program or card that computes the checksum wrongly, a device between that rewrites the payload' });
  },
};
