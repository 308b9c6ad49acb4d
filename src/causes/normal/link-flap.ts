import { isMulticastAddress, symbolOf } from '../../evidence/network/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { noise } from './noise.ts';

const PLACES = /^(ip6_pkt_discard|ip6_pkt_discard_out|ip6_pkt_drop|dst_discard|dst_discard_out|ip6_finish_output2|ip6_output|mld_sendpack|ndisc_send_skb|igmp6_send)$/;

export const cause: Cause = {
  id: 'normal.link-flap',
  title: 'link-local chatter while an interface comes or goes',
  needs: [],
  knowledge: {
    what: 'While an interface goes up or down, IPv6 sends MLD reports, neighbour and router solicitations for it; for a moment there is no route for them, and they are dropped. It is normal and passes.',
    signs: ['IP_INNOROUTES at ip6_pkt_discard for ff02:: or fe80:: addresses', 'NOT_SPECIFIED at dst_discard_out for the same'],
    fixes: ['Nothing need be done'],
    functions: ['ip6_pkt_discard', 'dst_discard_out'],
    reasons: ['IP_INNOROUTES', 'IP_OUTNOROUTES', 'NOT_SPECIFIED'],
    errnos: [],
    versions: [],
    sources: ['net/ipv6/route.c', 'net/ipv6/mcast.c'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const { ip } = drop.packet;
    if (ip === undefined || !PLACES.test(symbolOf(drop)) || !['IP_INNOROUTES', 'IP_OUTNOROUTES', 'NOT_SPECIFIED'].includes(drop.reason.name)) return NOT_APPLICABLE;
    const own = isMulticastAddress(ip.destination) || /^fe80:/i.test(ip.destination) || ip.source === '::' || /^fe80:/i.test(ip.source);
    if (!own) return NOT_APPLICABLE;
    return noise(evidence, drop, 'flap', 'Link-local traffic was dropped', 'An interface was coming up or going down, and its routes were not there for a moment.', 0.94);
  },
};
