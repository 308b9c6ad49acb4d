import type { EvidenceRecord, Reading } from './evidence-record.ts';

/** Well-known output that no judge asks for in this shape: said by name, with what would be of use instead. */
interface Aside {
  readonly format: string;
  readonly instead?: string;
  readonly line: RegExp;
  /** Its lines are believed only behind this one. */
  readonly header?: RegExp;
}

const ADDRESS = '[\\da-f.:]+(?:\\/\\d{1,3})?';
const ASIDES: readonly Aside[] = [
  { format: 'ip route of some tables', instead: 'ip -j route show table all', line: new RegExp(`^(?:(?:unicast|local|broadcast|anycast|multicast|throw|unreachable|prohibit|blackhole) )?(?:default|${ADDRESS}) (?:via \\S+ )?dev \\S+ (?:table \\S+ )?(?:proto|scope|metric|src|expires|pref|onlink|linkdown)\\b.*$`) },
  { format: 'ip neigh', instead: 'ip -j neigh', line: new RegExp(`^${ADDRESS} dev \\S+ (?:lladdr [\\da-f:]+ )?(?:router |proxy |extern_learn )*[A-Z]+\\s*$`) },
  { format: 'ip address of some devices', instead: 'ip -j address', line: /^(?:\d+: \S+: <[A-Z,_0-9-]*> .*|\s+(?:link\/\w+ .*|inet6? [\da-f.:]+\/\d+.*|valid_lft .*|altname .*|alias .*|veth .*|bridge .*|vlan .*|promiscuity .*))$/ },
  { format: 'ip rule', instead: 'ip -j rule', line: /^\d+:\s+from \S+ .*lookup \S+.*$/ },
  { format: 'ip netns', instead: 'lsns -t net', line: /^\S+ \(id: \d+\)$/ },
  { format: 'ss -s', line: /^(?:Total: \d+.*|TCP:\s+\d+ \(estab.*|Transport\s+Total\s+IP.*|(?:RAW|UDP|TCP|INET|FRAG)\s+\d+\s+\d+\s+\d+\s*|\*\s+\d+\s+-\s+-\s*)$/ },
  { format: 'ss', instead: 'ss -p as root', line: /^(?:Netid\s+State\s.*|State\s+Recv-Q\s.*|(?:(?:nl|u_\w+|p_raw|p_dgr|raw|udp|tcp|icmp6|v_str|v_dgr|mptcp|sctp|\?\?\?)\s+)?(?:UNCONN|ESTAB|LISTEN|TIME-WAIT|CLOSE-WAIT|CLOSING|SYN-SENT|SYN-RECV|LAST-ACK|FIN-WAIT-[12])\s+\d+\s+\d+\s.*|\t (?:cubic|reno|bbr|skmem|ts|sack)\b.*)$/ },
  { format: 'tc -s qdisc', instead: 'tc -s -j qdisc', line: /^(?:qdisc \S+ [\da-f]+: .*| Sent \d+ bytes \d+ pkts? \(dropped .*| backlog \d+\S* \d+p .*|  (?:maxpacket|new_flows_len|drop_overlimit|new_flow_count).*)$/ },
  { format: 'ethtool -S', header: /^NIC statistics:$/, line: /^(?:NIC statistics:|\s{2,}[\w.[\] -]+: -?\d+)$/ },
  { format: 'lsmod', header: /^Module\s+Size\s+Used by$/, line: /^(?:Module\s+Size\s+Used by|\w+\s+\d+\s+-?\d+(?:\s+[\w,[\]-]+)?)$/ },
  { format: '/proc/meminfo', header: /^MemTotal:\s+\d+ kB$/, line: /^[\w()]+:\s+\d+(?: kB)?$/ },
  { format: '/proc/net/sockstat', header: /^sockets: used \d+$/, line: /^(?:sockets|TCP|UDP|UDPLITE|RAW|FRAG): .*\d$/ },
  { format: '/proc/net/arp', instead: 'ip -j neigh', header: /^IP address\s+HW type\s/, line: /^(?:IP address\s.*|[\d.]+\s+0x\w+\s+0x\w+\s+[\da-f:]+\s.*)$/ },
  { format: '/proc/net/route', instead: 'ip -j route show table all', header: /^Iface\tDestination\t/, line: /^\S+\t[\w]+\s*\t.*$/ },
  { format: 'netstat -s', instead: 'nstat -az', header: /^(?:Ip|Icmp|Tcp|Udp|TcpExt|IpExt|MPTcpExt|UdpLite|IcmpMsg|Ip6|Icmp6|Udp6):$/, line: /^(?:(?:Ip|Icmp|Tcp|Udp|TcpExt|IpExt|MPTcpExt|UdpLite|IcmpMsg|Ip6|Icmp6|Udp6):|\s{4,}\S.*)$/ },
  { format: '/proc/uptime', line: /^\d{1,10}\.\d\d \d{1,12}\.\d\d$/ },
];

export function readAsides(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  const open = ASIDES.map(({ header }) => header === undefined);
  const first = new Map<Aside, number>();
  lines.forEach((text, i) => {
    if (text === '' || text.length > LONGEST) return;
    const at = ASIDES.findIndex((a, k) => (open[k] === true || a.header!.test(text)) && a.line.test(text));
    const aside = ASIDES[at];
    if (aside === undefined) return;
    open[at] = true;
    taken.push(i);
    if (first.has(aside)) return;
    first.set(aside, i);
    records.push({ kind: 'aside', line: i + 1, format: aside.format, ...(aside.instead === undefined ? {} : { instead: aside.instead }) });
  });
  return { records, taken };
}

const LONGEST = 4096;
