import type { Cause } from '../../model/cause.ts';
import { judgeTtl, ttlNeeds } from './ttl.ts';

export const cause: Cause = {
  id: 'ip.ttl-exceeded',
  title: 'the TTL ran out on the way',
  needs: ttlNeeds,
  knowledge: {
    what: 'Every router takes one off the TTL of an IPv4 packet and drops it when none is left. Either the sender starts with too small a TTL for the path (ip_default_ttl, a route\'s hoplimit, the socket option IP_TTL), or two routers send the packet back and forth.',
    signs: ['IP_INHDR at ip_forward', 'ICMP time exceeded; a socket with IP_RECVERR gets EHOSTUNREACH', 'Ip InHdrErrors in /proc/net/snmp rises'],
    fixes: ['`sysctl net.ipv4.ip_default_ttl` at the sender: 64 is usual', '`traceroute -n ADDRESS` shows a loop as two routers that alternate', 'A TTL target in the mangle table can lower it'],
    functions: ['ip_forward'],
    reasons: ['IP_INHDR'],
    errnos: ['EHOSTUNREACH'],
    versions: ['IP_INHDR at ip_forward since 5.18'],
    sources: ['net/ipv4/ip_forward.c', 'RFC 1812 section 5.3.1', 'ip(7)'],
  },
  judge: (symptom, evidence) => judgeTtl(4, symptom, evidence),
};
