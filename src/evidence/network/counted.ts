import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { counterDeltas, movedBy, type CounterFile } from '../counters/index.ts';
import { symbolOf } from './words.ts';

type Counter = readonly [file: CounterFile, name: string];

/** Drop reason → the counter of its namespace that rises with it, IPv4 and IPv6 (net/ipv4/ip_input.c, ip_forward.c, udp.c, tcp_input.c, net/ipv6/*, Linux 6.18). */
const COUNTERS: Readonly<Record<string, { readonly at?: RegExp; readonly four?: Counter; readonly six?: Counter }>> = {
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

/** How far the counter that goes with a drop's reason rose in its namespace since before the loss; undefined where no counter is known for it. */
export function countedHere(evidence: Evidence, drop: DropEvent): Maybe<{ readonly counter: string; readonly by: number }> | undefined {
  const known = COUNTERS[drop.reason.name];
  const counter = drop.protocol === IPV6 ? known?.six : known?.four;
  if (known === undefined || counter === undefined || (known.at !== undefined && !known.at.test(symbolOf(drop)))) return undefined;
  const deltas = counterDeltas(evidence, drop.netns, counter[0]);
  return isUnavailable(deltas) ? deltas : { counter: counter[1], by: movedBy(deltas, counter[1]) };
}
