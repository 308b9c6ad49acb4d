import type { Netns } from '../base/brand.ts';

/**
 * A question to the host, asked by evidence and answered by a source. Data only, so that a recording can hold the
 * answer and a replay can give it again. The key of an answer is `topic`, `netns` and `argument` together.
 *
 * Every topic has one reader, in `sources/snapshot/`; the table is the list of what whydrop can look up. What each answer
 * looks like: docs/answers.md.
 */
export type Topic =
  // listings of the rules, as their own tools print them (text; nft: JSON)
  | 'nft' | 'iptables' | 'ip6tables' | 'iptables-legacy' | 'ip6tables-legacy' | 'ebtables' | 'arptables' | 'ipset'
  // network configuration, JSON of iproute2 (class: text)
  | 'link' | 'address' | 'route' | 'route6' | 'rule' | 'rule6' | 'neighbour' | 'bridge-link' | 'bridge-fdb' | 'bridge-vlan'
  | 'qdisc' | 'class' | 'filter' //            filter: argument is the device
  | 'xfrm-policy' | 'xfrm-state' //            text of `ip xfrm`
  | 'route-get' //                             argument: the arguments of `ip -j route get`, e.g. "10.0.9.9 from 10.0.0.1 iif eth0 mark 3"
  // kernel text files; argument is the path below /proc or the sysctl's path below /proc/sys
  | 'proc' //                                  e.g. argument "net/stat/nf_conntrack"
  | 'sysctl' //                                e.g. argument "net/ipv4/conf/eth0/rp_filter"; may hold a glob: "net/ipv4/conf/*/rp_filter" (answer: lines "path = value")
  // binary, from netlink
  | 'sockets' //                               sock_diag messages; argument: one of SOCKET_QUERIES (model/socket.ts): "udp", "tcp6", "tcp-listen"…
  | 'conntrack-table' //                       ctnetlink dump
  | 'conntrack-stats' //                       IPCTNL_MSG_CT_GET_STATS_CPU
  | 'neighbour-waiting' //                     RTM_GETNEIGH, only entries without an answer so far: JSON text, WaitingNeighbour[]
  // who
  | 'process' //                               argument: pid. JSON text, see ProcessFacts
  | 'socket-owner' //                          argument: socket inode. JSON text: the pids that hold it
  | 'processes' //                             processes living in the namespace: JSON text, ProcessFacts[]
  | 'log-tail' //                              argument: pid. the last lines of log files that process has open: JSON text
  // BPF programs by where they are attached: JSON text, see BpfProgramFacts
  | 'bpf-programs'
  // the host
  | 'netns-names' //                           named namespaces and one pid in each: JSON text
  | 'kernel-log' //                            the last lines of dmesg
  | 'clock'; //                                JSON: realtime minus monotonic, ns

export interface Question {
  readonly topic: Topic;
  /** Absent for what belongs to the host as a whole (process, bpf-programs, netns-names…). */
  readonly netns?: Netns;
  readonly argument?: string;
}

/** The one key under which an answer is kept. */
export function questionKey(q: Question): string {
  return `${q.topic}\u0000${q.netns ?? ''}\u0000${q.argument ?? ''}`;
}
