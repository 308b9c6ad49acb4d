/** The file of /proc/net that a counter is in, and its name there. */
export type ReasonCounter = readonly [file: 'snmp' | 'snmp6' | 'netstat', name: string];

/** Drop reason → the counter of its namespace that rises with it, IPv4 and IPv6 (net/ipv4/ip_input.c, ip_forward.c, udp.c, tcp_input.c, net/ipv6/*, Linux 6.18). */
const COUNTERS: Readonly<Record<string, { readonly at?: RegExp; readonly four?: ReasonCounter; readonly six?: ReasonCounter }>> = {
  IP_INHDR: { four: ['snmp', 'Ip InHdrErrors'], six: ['snmp6', 'Ip6InHdrErrors'] },
  IP_CSUM: { four: ['snmp', 'Ip InHdrErrors'] },
  IP_INADDRERRORS: { at: /^ip_error$/, four: ['snmp', 'Ip InAddrErrors'] },
  IP_INNOROUTES: { four: ['netstat', 'IpExt InNoRoutes'], six: ['snmp6', 'Ip6InNoRoutes'] },
  IP_RPFILTER: { four: ['netstat', 'TcpExt IPReversePathFilter'] },
  IP_NOPROTO: { four: ['snmp', 'Ip InUnknownProtos'], six: ['snmp6', 'Ip6InUnknownProtos'] },
  PKT_TOO_BIG: { at: /^ip6?_forward$/, four: ['snmp', 'Ip FragFails'], six: ['snmp6', 'Ip6InTooBigErrors'] },
  FRAG_REASM_TIMEOUT: { four: ['snmp', 'Ip ReasmTimeout'], six: ['snmp6', 'Ip6ReasmTimeout'] },
  NO_SOCKET: { at: /^__udp[46]_lib_rcv$/, four: ['snmp', 'Udp NoPorts'], six: ['snmp6', 'Udp6NoPorts'] },
  UDP_CSUM: { four: ['snmp', 'Udp InCsumErrors'], six: ['snmp6', 'Udp6InCsumErrors'] },
  SOCKET_RCVBUFF: { at: /^udp/, four: ['snmp', 'Udp RcvbufErrors'], six: ['snmp6', 'Udp6RcvbufErrors'] },
  TCP_CSUM: { four: ['snmp', 'Tcp InCsumErrors'], six: ['snmp', 'Tcp InCsumErrors'] },
  TCP_MINTTL: { four: ['netstat', 'TcpExt TCPMinTTLDrop'], six: ['netstat', 'TcpExt TCPMinTTLDrop'] },
  TCP_MD5NOTFOUND: { four: ['netstat', 'TcpExt TCPMD5NotFound'], six: ['netstat', 'TcpExt TCPMD5NotFound'] },
  TCP_MD5UNEXPECTED: { four: ['netstat', 'TcpExt TCPMD5Unexpected'], six: ['netstat', 'TcpExt TCPMD5Unexpected'] },
  TCP_MD5FAILURE: { four: ['netstat', 'TcpExt TCPMD5Failure'], six: ['netstat', 'TcpExt TCPMD5Failure'] },
  TCP_RFC7323_PAWS: { four: ['netstat', 'TcpExt PAWSEstab'], six: ['netstat', 'TcpExt PAWSEstab'] },
  TCP_ZEROWINDOW: { four: ['netstat', 'TcpExt TCPZeroWindowDrop'], six: ['netstat', 'TcpExt TCPZeroWindowDrop'] },
};

const IPV6 = 0x86dd;

/** The counter of a namespace that rises with every drop of this reason at this place; undefined where there is none. */
export function counterOfDrop(drop: { readonly reason: { readonly name: string }; readonly place: { readonly name?: string }; readonly protocol: number }): ReasonCounter | undefined {
  const known = COUNTERS[drop.reason.name];
  const symbol = (drop.place.name ?? '').replace(/\..*$/, '');
  return known === undefined || (known.at !== undefined && !known.at.test(symbol)) ? undefined : drop.protocol === IPV6 ? known.six : known.four;
}
