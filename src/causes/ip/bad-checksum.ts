import { symbolOf } from '../../evidence/network/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { brokenNeeds, judgeBroken } from '../ip/broken.ts';

const REASONS = new Set(['IP_CSUM']);
const PLACES = /^(ip_rcv_core|ip_rcv)$/;

export const cause: Cause = {
  id: 'ip.bad-checksum',
  title: 'the IPv4 header checksum is wrong',
  needs: brokenNeeds,
  knowledge: {
    what: 'The checksum over the IPv4 header does not fit the header, so the kernel drops the packet as damaged. Something changed the header after the checksum was made: a rule that writes raw bytes, a faulty router or card, or a program that builds packets badly.',
    signs: ['IP_CSUM at ip_rcv_core', 'IpExt InCsumErrors in /proc/net/netstat rises'],
    fixes: ['`nft list ruleset`: look for rules that write header or payload bytes (`@nh`, `@th`, `@ih … set`)', 'At the sender: `ethtool -K DEV tx off` tells whether its card computes wrong checksums', 'Else the program, card, cable or router that made or carried the packet'],
    functions: ['ip_rcv_core', 'ip_fast_csum'],
    reasons: ['IP_CSUM'],
    errnos: [],
    versions: ['IP_CSUM exists since 5.18'],
    sources: ['net/ipv4/ip_input.c', 'RFC 791'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const named = REASONS.has(drop.reason.name) && (drop.reason.name.endsWith('_CSUM') || PLACES.test(symbolOf(drop)));
    const seen = drop.reason.name === 'NOT_SPECIFIED' && PLACES.test(symbolOf(drop)) && drop.packet.defects.some((d) => d.kind === 'ip-checksum');
    if (!named && !seen) return NOT_APPLICABLE;
    return judgeBroken(drop, evidence, { noun: 'wrong IPv4 header checksum', defects: ['ip-checksum'], sure: named ? 0.97 : 0.85, sender: 'a program that builds IP headers itself, or a card that computes them wrongly' });
  },
};
