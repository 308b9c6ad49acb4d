import type { Cause } from '../../model/cause.ts';
import { judgeTtl, ttlNeeds } from '../ip/ttl.ts';

export const cause: Cause = {
  id: 'ipv6.hop-limit',
  title: 'the hop limit ran out on the way',
  needs: ttlNeeds,
  knowledge: {
    what: 'Every router takes one off the hop limit of an IPv6 packet and drops it when none is left. Either the sender starts with too small a hop limit for the path (hop_limit of its interface, which router advertisements also set; a route\'s hoplimit; the socket option IPV6_UNICAST_HOPS), or two routers send the packet back and forth.',
    signs: ['IP_INHDR at ip6_forward', 'ICMPv6 time exceeded; the sender may get EHOSTUNREACH', 'Ip6InHdrErrors in /proc/net/snmp6 rises'],
    fixes: ['`sysctl net.ipv6.conf.IFACE.hop_limit` at the sender: 64 is usual', '`traceroute -6 -n ADDRESS` shows a loop as two routers that alternate'],
    functions: ['ip6_forward', 'ip6_dst_hoplimit'],
    reasons: ['IP_INHDR'],
    errnos: ['EHOSTUNREACH'],
    versions: [],
    sources: ['net/ipv6/ip6_output.c', 'RFC 8200 section 3'],
  },
  judge: (symptom, evidence) => judgeTtl(6, symptom, evidence),
};
