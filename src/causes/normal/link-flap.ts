import { isKernelChatter } from '../../evidence/network/chatter.ts';
import { isMulticastAddress, symbolOf } from '../../evidence/network/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { noise } from './noise.ts';

const PLACES = /^(ip6_pkt_discard|ip6_pkt_discard_out|ip6_pkt_drop|dst_discard|dst_discard_out|ip6_finish_output2|ip6_output|mld_sendpack|ndisc_send_skb|igmp6_send)$/;

/** An inactive device discards at its noop queue, or has its queue emptied. */
const ON_DEVICE = /^(__dev_queue_xmit|__dev_xmit_skb|dev_deactivate_queue|qdisc_reset|qdisc_reset_queue|noop_enqueue|veth_xmit|dev_hard_start_xmit)$/;
const DEVICE_REASONS = new Set(['QDISC_DROP', 'DEV_READY', 'NOT_SPECIFIED', 'QUEUE_PURGE']);

export const cause: Cause = {
  id: 'normal.link-flap',
  title: 'link-local chatter while an interface comes or goes',
  needs: [],
  knowledge: {
    what: 'While an interface goes up or down, IPv6 sends MLD reports, neighbour and router solicitations for it; for a moment there is no route for them, and they are dropped. It is normal and passes.',
    signs: ['QDISC_DROP at __dev_queue_xmit for router solicitations, MLD and IGMP reports on an interface without carrier', 'IP_INNOROUTES at ip6_pkt_discard for ff02:: or fe80:: addresses', 'NOT_SPECIFIED at dst_discard_out for the same'],
    fixes: ['Nothing need be done'],
    functions: ['ip6_pkt_discard', 'dst_discard_out'],
    reasons: ['IP_INNOROUTES', 'IP_OUTNOROUTES', 'NOT_SPECIFIED', 'QDISC_DROP'],
    errnos: [],
    versions: [],
    sources: ['net/ipv6/route.c', 'net/ipv6/mcast.c'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const { ip } = drop.packet;
    if (isKernelChatter(drop.packet) && ON_DEVICE.test(symbolOf(drop)) && DEVICE_REASONS.has(drop.reason.name)) {
      return noise(evidence, drop, 'no carrier', 'What the kernel sends by itself on every interface was dropped', 'The interface was down or without carrier, and its queue discards all; no program had sent anything.', 0.94);
    }
    if (ip === undefined || !PLACES.test(symbolOf(drop)) || !['IP_INNOROUTES', 'IP_OUTNOROUTES', 'NOT_SPECIFIED'].includes(drop.reason.name)) return NOT_APPLICABLE;
    const own = isMulticastAddress(ip.destination) || /^fe80:/i.test(ip.destination) || ip.source === '::' || /^fe80:/i.test(ip.source);
    if (!own) return NOT_APPLICABLE;
    return noise(evidence, drop, 'flap', 'Link-local traffic was dropped', 'An interface was coming up or going down, and its routes were not there for a moment.', 0.94);
  },
};
