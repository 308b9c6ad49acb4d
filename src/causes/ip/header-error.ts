import { symbolOf } from '../../evidence/network/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { brokenNeeds, judgeBroken } from '../ip/broken.ts';

const REASONS = new Set(['IP_INHDR', 'PKT_TOO_SMALL', 'HDR_TRUNC', 'IPV6_BAD_EXTHDR']);
const PLACES = /^(ip_rcv_core|ip_rcv|ip6_rcv_core|ipv6_rcv|ip_rcv_finish_core|ip_rcv_options|ip6_parse_tlv|ipv6_parse_hopopts|ipv6_destopt_rcv|ipv6_rthdr_rcv|ip6_protocol_deliver_rcu)$/;

export const cause: Cause = {
  id: 'ip.header-error',
  title: 'the IP header is malformed',
  needs: brokenNeeds,
  knowledge: {
    what: 'The IP header contradicts itself: a wrong version, a header length below the least or beyond the packet, a total length that does not fit, bad options or extension headers. The kernel drops the packet before it looks at anything else.',
    signs: ['IP_INHDR at ip_rcv_core or ip6_rcv_core', 'PKT_TOO_SMALL, HDR_TRUNC', 'Ip InHdrErrors in /proc/net/snmp rises'],
    fixes: ['`nft list ruleset`: look for rules that write header or payload bytes (`@nh`, `@th`, `@ih … set`)', 'At the sender: `ethtool -K DEV tx off` tells whether its card computes wrong checksums', 'Else the program, card, cable or router that made or carried the packet'],
    functions: ['ip_rcv_core', 'ip6_rcv_core', 'ip_options_compile'],
    reasons: ['IP_INHDR', 'PKT_TOO_SMALL', 'HDR_TRUNC', 'IPV6_BAD_EXTHDR'],
    errnos: [],
    versions: ['The reasons exist since 5.18'],
    sources: ['net/ipv4/ip_input.c', 'net/ipv6/ip6_input.c', 'RFC 791', 'RFC 8200'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const named = REASONS.has(drop.reason.name) && (drop.reason.name.endsWith('_CSUM') || PLACES.test(symbolOf(drop)));
    const seen = drop.reason.name === 'NOT_SPECIFIED' && PLACES.test(symbolOf(drop)) && drop.packet.defects.some((d) => d.kind === 'ip-header');
    if (!named && !seen) return NOT_APPLICABLE;
    return judgeBroken(drop, evidence, { noun: 'malformed IP header', defects: ['ip-header'], sure: named ? 0.97 : 0.85, sender: 'a program that builds IP headers itself, or a rewriting device' });
  },
};
