/** Names that rule listings print for numbers (IANA; /etc/protocols, netfilter's own tables). */
export const PROTOCOLS: ReadonlyMap<string, number> = new Map(Object.entries({
  ip: 0, hopopt: 0, icmp: 1, igmp: 2, ipip: 4, ipencap: 4, 'ip-encap': 4, tcp: 6, egp: 8, udp: 17, dccp: 33, ipv6: 41, 'ipv6-route': 43, 'ipv6-frag': 44, rsvp: 46, gre: 47, esp: 50, 'ipv6-crypt': 50,
  ah: 51, 'ipv6-auth': 51, 'ipv6-icmp': 58, icmpv6: 58, icmp6: 58, 'ipv6-nonxt': 59, 'ipv6-opts': 60, eigrp: 88, ospf: 89, ospfigp: 89, pim: 103, ipcomp: 108, vrrp: 112, l2tp: 115, sctp: 132, mh: 135, udplite: 136,
}));

/** Ethertypes by the names of nft, ebtables (case ignored). */
export const ETHERTYPES: ReadonlyMap<string, number> = new Map(Object.entries({
  ip: 0x0800, ipv4: 0x0800, arp: 0x0806, ip6: 0x86dd, ipv6: 0x86dd, vlan: 0x8100, '8021q': 0x8100, '802_1q': 0x8100, '8021ad': 0x88a8, '802_1ad': 0x88a8, pppoe: 0x8864, ppp_ses: 0x8864, ppp_disc: 0x8863, mpls: 0x8847, length: 0,
}));

export const ICMP_TYPES: ReadonlyMap<string, number> = new Map(Object.entries({
  'echo-reply': 0, pong: 0, 'destination-unreachable': 3, 'source-quench': 4, redirect: 5, 'echo-request': 8, ping: 8, 'router-advertisement': 9, 'router-solicitation': 10, 'time-exceeded': 11, 'ttl-exceeded': 11,
  'parameter-problem': 12, 'timestamp-request': 13, 'timestamp-reply': 14, 'info-request': 15, 'info-reply': 16, 'address-mask-request': 17, 'address-mask-reply': 18,
}));

export const ICMP_CODES: ReadonlyMap<string, number> = new Map(Object.entries({
  'net-unreachable': 0, 'host-unreachable': 1, 'prot-unreachable': 2, 'port-unreachable': 3, 'frag-needed': 4, 'net-prohibited': 9, 'host-prohibited': 10, 'admin-prohibited': 13,
}));

export const ICMP6_TYPES: ReadonlyMap<string, number> = new Map(Object.entries({
  'destination-unreachable': 1, 'packet-too-big': 2, 'time-exceeded': 3, 'parameter-problem': 4, 'echo-request': 128, 'echo-reply': 129, 'mld-listener-query': 130, 'mld-listener-report': 131, 'mld-listener-done': 132,
  'mld-listener-reduction': 132, 'nd-router-solicit': 133, 'nd-router-advert': 134, 'nd-neighbor-solicit': 135, 'nd-neighbor-advert': 136, 'nd-redirect': 137, 'router-renumbering': 138, 'ind-neighbor-solicit': 141,
  'ind-neighbor-advert': 142, 'mld2-listener-report': 143, 'neighbour-solicitation': 135, 'neighbor-solicitation': 135, 'neighbour-advertisement': 136, 'neighbor-advertisement': 136, 'router-solicitation': 133, 'router-advertisement': 134, redirect: 137,
}));

export const ICMP6_CODES: ReadonlyMap<string, number> = new Map(Object.entries({
  'no-route': 0, 'admin-prohibited': 1, 'addr-unreachable': 3, 'port-unreachable': 4, 'policy-fail': 5, 'reject-route': 6,
}));

/** nf_conntrack_common.h: NF_CT_STATE_BIT of the packet's ctinfo; SNAT and DNAT are the match's own bits for status. */
export const CT_STATES: ReadonlyMap<string, number> = new Map(Object.entries({ invalid: 1, established: 2, related: 4, new: 8, untracked: 64 }));

/** enum ip_conntrack_status. */
export const CT_STATUS: ReadonlyMap<string, number> = new Map(Object.entries({
  none: 0, expected: 1, 'seen-reply': 2, seen_reply: 2, assured: 4, confirmed: 8, snat: 16, dnat: 32, dying: 512,
}));

export const TCP_FLAGS: ReadonlyMap<string, number> = new Map(Object.entries({ none: 0, fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ecn: 64, ece: 64, cwr: 128, all: 63 }));

export const DSCP: ReadonlyMap<string, number> = new Map(Object.entries({
  cs0: 0, cs1: 8, cs2: 16, cs3: 24, cs4: 32, cs5: 40, cs6: 48, cs7: 56, df: 0, be: 0, lephb: 1, af11: 10, af12: 12, af13: 14, af21: 18, af22: 20, af23: 22, af31: 26, af32: 28, af33: 30, af41: 34, af42: 36, af43: 38, va: 44, ef: 46,
}));

/** if_packet.h. nft calls PACKET_HOST "host" (or "unicast"). */
export const PKTTYPES: ReadonlyMap<string, number> = new Map(Object.entries({ host: 0, unicast: 0, broadcast: 1, multicast: 2, other: 3, otherhost: 3, outgoing: 4, loopback: 5 }));

export const ARP_OPERATIONS: ReadonlyMap<string, number> = new Map(Object.entries({ request: 1, reply: 2, rrequest: 3, rreply: 4, inrequest: 8, inreply: 9, nak: 10, request_reverse: 3, reply_reverse: 4, arp_nak: 10 }));
