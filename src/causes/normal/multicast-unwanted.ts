import { isMulticastAddress, isMulticastMac, symbolOf } from '../../evidence/network/words.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { noise } from './noise.ts';

const PLACES = /^(ip6_mc_input|ip_mr_input|ip_mc_validate_source|__udp[46]_lib_rcv|__udp[46]_lib_mcast_deliver|udp_v6_early_demux|ip_rcv_finish_core|ip6_input_finish|ip_local_deliver_finish|ip6_protocol_deliver_rcu|ip_protocol_deliver_rcu|igmp_rcv|igmp6_event_query|icmpv6_rcv|raw6_local_deliver|br_multicast_rcv|br_multicast_ipv[46]_rcv)$/;

export const cause: Cause = {
  id: 'normal.multicast-unwanted',
  title: 'multicast or broadcast that nobody here asked for',
  needs: [],
  knowledge: {
    what: 'Group packets reach every host on a link, and whoever has no use for them drops them: MLD reports, router solicitations, mDNS, SSDP, DHCP of others. The kernel accounts that as a drop like any other. It is normal.',
    signs: ['NOT_SPECIFIED at ip6_mc_input for every MLD report', 'NOT_SPECIFIED or NO_SOCKET at __udp4_lib_rcv for multicast and broadcast datagrams'],
    fixes: ['Nothing need be done'],
    functions: ['ip6_mc_input', '__udp4_lib_rcv'],
    reasons: ['NOT_SPECIFIED', 'NO_SOCKET', 'IPV6_NDISC_NS_OTHERHOST'],
    errnos: [],
    versions: [],
    sources: ['net/ipv6/ip6_input.c', 'net/ipv4/udp.c'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    if (!['NOT_SPECIFIED', 'NO_SOCKET', 'IP_NOPROTO', 'IP_INADDRERRORS', 'INVALID_PROTO', 'IP_LOCAL_SOURCE', 'IPV6_NDISC_NS_OTHERHOST'].includes(drop.reason.name) || !PLACES.test(symbolOf(drop))) return NOT_APPLICABLE;
    const { ip, ethernet } = drop.packet;
    if (ip === undefined) return NOT_APPLICABLE;
    const group = isMulticastAddress(ip.destination) || ip.destination === '255.255.255.255' || (symbolOf(drop).startsWith('__udp') && ethernet !== undefined && isMulticastMac(ethernet.destination));
    if (!group) return NOT_APPLICABLE;
    return noise(evidence, drop, 'group', `A group packet for ${ip.destination} was dropped`, 'It went to everyone on the link, and nobody here has joined that group or listens on that port.', 0.94);
  },
};
