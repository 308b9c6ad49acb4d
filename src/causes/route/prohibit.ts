import type { Cause } from '../../model/cause.ts';
import { judgeRefusal, refusalNeeds } from './refusal.ts';

export const cause: Cause = {
  id: 'route.prohibit',
  title: 'a route or policy rule prohibits it',
  needs: refusalNeeds,
  knowledge: {
    what: 'The most specific route for the destination, or the first policy rule that matches, is of type prohibit: the kernel refuses the packet and answers with ICMP administratively prohibited. A local sender gets EACCES and no packet is made.',
    signs: ['Forwarded packets: NOT_SPECIFIED at ip_error (IPv4), a drop at ip6_pkt_discard, ip6_pkt_prohibit or dst_discard (IPv6)', 'Local senders: EACCES without a dropped packet', '`ip route get` for the very packet is refused'],
    fixes: ['`ip route show table all type prohibit` and `ip rule` show it', 'Delete the route (`ip route del prohibit PREFIX`) or the rule (`ip rule del pref N`)', 'Or add a more specific route for what must pass'],
    functions: ['ip_error', 'ip6_pkt_discard', 'ip6_pkt_prohibit', 'dst_discard_out', 'fib_table_lookup', 'fib_rules_lookup'],
    reasons: ['NOT_SPECIFIED', 'IP_INNOROUTES'],
    errnos: ['EACCES'],
    versions: ['The IPv4 drop has no reason of its own up to 6.18; the place in the kernel tells'],
    sources: ['net/ipv4/fib_semantics.c fib_props', 'net/ipv4/route.c ip_error', 'net/ipv6/route.c', 'ip-route(8)', 'ip-rule(8)'],
  },
  judge: (symptom, evidence) => judgeRefusal('prohibit', symptom, evidence),
};
