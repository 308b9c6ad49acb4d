import type { Diagram } from '../src/report/diagram.ts';
import type { Incident } from '../src/model/incident.ts';
import type { ReportInput } from '../src/report/report-input.ts';
import type { WatchState } from '../src/report/watch-state.ts';

/** Incidents as real faults on a 6.18 kernel gave them, and some that attack whoever draws them. */

/** When all of this "is". */
export const NOW = Date.parse('2026-11-22T23:54:10.000Z');
const BLUE = { inode: 4026532441, name: 'blue' };
const HOME = { inode: 4026531840 };
const base = { type: 'incident', state: 'open', first: '2026-11-22T23:54:01.123Z', last: '2026-11-22T23:54:07.050Z' } as const;

export const ruleDrop: Incident = {
  ...base,
  id: '0k3v9ax',
  severity: 'critical',
  count: 1240,
  bytes: 126480,
  cause: { id: 'netfilter.rule-drop', title: 'a firewall rule dropped it' },
  confidence: 0.99,
  explanation: 'openvpn (pid 4242) sends UDP to 10.77.0.1:1194. In the OUTPUT chain of the filter table, rule 3 matches this flow and its target is DROP. The kernel gives the dropped packet back to the sender as an error: sendto returns EPERM.',
  where: { netns: BLUE, interface: 'veth-blue', hook: 'OUTPUT', reason: 'NETFILTER_DROP', symbol: 'nft_do_chain+0x3e8 [nf_tables]', stack: ['nft_do_chain+0x3e8 [nf_tables]', 'nft_do_chain_ipv4+0x6c [nf_tables]', 'nf_hook_slow+0x42', '__ip_local_out+0xdf', 'ip_local_out+0x1c', 'ip_send_skb+0x19', 'udp_send_skb+0x178', 'udp_sendmsg+0xa16', '__sys_sendto+0x1d4', '__x64_sys_sendto+0x24', 'do_syscall_64+0x84', 'entry_SYSCALL_64_after_hwframe+0x76'] },
  victims: [
    { process: { pid: 4242, comm: 'openvpn', cmdline: '/usr/sbin/openvpn --config /etc/openvpn/home.conf', unit: 'openvpn@home.service' }, flow: { protocol: 'udp', source: '10.77.0.2:41194', destination: '10.77.0.1:1194' }, syscall: 'sendto', errno: 'EPERM', count: 1238 },
    { process: { pid: 991, comm: 'dig', cmdline: 'dig @10.77.0.1 example.org' }, flow: { protocol: 'udp', source: '10.77.0.2:53211', destination: '10.77.0.1:1194' }, syscall: 'sendmsg', errno: 'EPERM', count: 2 },
  ],
  culprit: { kind: 'rule', text: 'iptables (nf_tables) filter OUTPUT rule 3: -A OUTPUT -d 10.77.0.1/32 -p udp -m udp --dport 1194 -j DROP', family: 'ip', table: 'filter', chain: 'OUTPUT', handle: 7, position: 3, rule: '-A OUTPUT -d 10.77.0.1/32 -p udp -m udp --dport 1194 -j DROP', packets: 1240 },
  evidence: [
    { source: 'drop probe', time: '2026-11-22T23:54:01.123Z', text: '1240 packets dropped at nft_do_chain+0x3e8 with NETFILTER_DROP, hook OUTPUT, device veth-blue' },
    { source: 'call probe', time: '2026-11-22T23:54:01.123Z', text: 'sendto of openvpn (pid 4242) returned EPERM in the same task, 4 µs after the drop' },
    { source: 'iptables-save -c', time: '2026-11-22T23:54:01.190Z', text: '[1240:126480] -A OUTPUT -d 10.77.0.1/32 -p udp -m udp --dport 1194 -j DROP' },
    { source: 'iptables-save -c', time: '2026-11-22T23:53:58.002Z', text: 'the same rule stood at 0 packets before watching began' },
  ],
  ruledOut: [
    { cause: 'conntrack.insert-race', because: 'insert_failed did not move: 0 before, 0 after' },
    { cause: 'conntrack.table-full', because: '212 of 262144 entries are in use' },
    { cause: 'netfilter.policy-drop', because: 'a rule matches before the chain ends, and the policy of OUTPUT is accept' },
  ],
  cannotTell: [{ cause: 'bpf.cgroup-drop', because: 'running bpftool cgroup tree: not found in PATH', wouldTell: 'install bpftool, or run whydrop with CAP_BPF' }],
  remedies: [
    { text: 'Let this one flow through, before the rule', command: 'ip netns exec blue iptables -I OUTPUT 3 -d 10.77.0.1/32 -p udp -m udp --dport 1194 -j ACCEPT', undo: 'ip netns exec blue iptables -D OUTPUT 3', risk: 'low' },
    { text: 'Delete the rule', command: 'ip netns exec blue iptables -D OUTPUT -d 10.77.0.1/32 -p udp -m udp --dport 1194 -j DROP', undo: 'ip netns exec blue iptables -I OUTPUT 3 -d 10.77.0.1/32 -p udp -m udp --dport 1194 -j DROP', risk: 'medium' },
  ],
};

export const insertRace: Incident = {
  ...base,
  id: '1f00d2q',
  severity: 'critical',
  count: 3,
  bytes: 312,
  cause: { id: 'conntrack.insert-race', title: 'two packets of one flow raced to enter the connection table' },
  confidence: 0.97,
  explanation: 'conntrack -F (pid 8812, started by cron) emptied the connection table. The next packet that openvpn sent and the next that it received, on two CPUs, each made a new entry for the same flow. The loser found the tuple taken when it was to be confirmed: it was dropped, and sendto returned EPERM.',
  where: { netns: HOME, interface: 'eth0', hook: 'POSTROUTING', reason: 'NETFILTER_DROP', symbol: 'nf_hook_slow+0x7d', stack: ['nf_hook_slow+0x7d', 'ip_output+0xc1', 'ip_send_skb+0x19', 'udp_send_skb+0x178', 'udp_sendmsg+0xa16', '__sys_sendto+0x1d4', 'do_syscall_64+0x84'] },
  victims: [{ process: { pid: 4242, comm: 'openvpn', cmdline: 'openvpn --config /etc/openvpn/server.conf', unit: 'openvpn.service' }, flow: { protocol: 'udp', source: '192.0.2.10:1194', destination: '198.51.100.7:50123' }, syscall: 'sendto', errno: 'EPERM', count: 3 }],
  culprit: { kind: 'process', text: 'conntrack -F (pid 8812), run by /etc/cron.d/flush (cron, pid 611)', pid: 8812, comm: 'conntrack', cmdline: 'conntrack -F', parent: 611 },
  evidence: [
    { source: 'conntrack events', time: '2026-11-22T23:54:01.120Z', text: 'destroy of udp 192.0.2.10:1194 - 198.51.100.7:50123 with 179 s left, asked for by port id 8812' },
    { source: 'exec probe', time: '2026-11-22T23:54:01.117Z', text: 'pid 8812 ran conntrack -F, parent 611 (cron)' },
    { source: '/proc/net/stat/nf_conntrack', text: 'insert_failed went from 17 to 20, drop from 17 to 20' },
  ],
  ruledOut: [{ cause: 'netfilter.rule-drop', because: 'no rule in POSTROUTING matches this flow' }],
  cannotTell: [],
  remedies: [
    { text: 'Stop flushing the table: delete only what has to go, by tuple', command: "sed -i '/conntrack -F/s/^/#/' /etc/cron.d/flush", undo: "sed -i '/conntrack -F/s/^#//' /etc/cron.d/flush", risk: 'low' },
    { text: 'Do not track this flow at all', command: 'iptables -t raw -I OUTPUT -p udp --sport 1194 -j NOTRACK', undo: 'iptables -t raw -D OUTPUT -p udp --sport 1194 -j NOTRACK', risk: 'medium' },
  ],
};

export const raceDiagram: Diagram = {
  title: 'How the race went',
  actors: [{ id: 'cron', label: 'conntrack -F (8812)' }, { id: 'table', label: 'conntrack table' }, { id: 'send', label: 'openvpn, CPU 0' }, { id: 'receive', label: 'softirq, CPU 1' }],
  messages: [
    { from: 'cron', to: 'table', text: 'delete all entries', time: '2026-11-22T23:54:01.120Z', kind: 'cause' },
    { from: 'send', to: 'send', text: 'sendto: new entry A', time: '2026-11-22T23:54:01.122Z', kind: 'normal' },
    { from: 'receive', to: 'receive', text: 'packet in: new entry B', time: '2026-11-22T23:54:01.122Z', kind: 'normal' },
    { from: 'receive', to: 'table', text: 'confirm B: inserted', time: '2026-11-22T23:54:01.123Z', kind: 'normal' },
    { from: 'send', to: 'table', text: 'confirm A: tuple taken, EPERM', time: '2026-11-22T23:54:01.123Z', kind: 'lost' },
  ],
};

export const rpFilter: Incident = {
  ...base,
  id: '2mmrpf0',
  severity: 'warning',
  count: 40,
  bytes: 3360,
  cause: { id: 'route.rp-filter', title: 'the reverse-path filter refused the source address' },
  confidence: 0.98,
  explanation: 'Packets from 10.9.0.5 come in through eth1, but the route back to 10.9.0.5 goes out through eth0. rp_filter is strict (1) on eth1, so the kernel drops them.',
  where: { netns: BLUE, interface: 'eth1', reason: 'IP_RPFILTER', symbol: 'ip_rcv_finish_core+0x1a5', stack: ['ip_rcv_finish_core+0x1a5', 'ip_rcv_finish+0x5c', 'ip_rcv+0xbf', '__netif_receive_skb_one_core+0x85', 'process_backlog+0x8e', '__napi_poll+0x2b', 'net_rx_action+0x2f0', 'handle_softirqs+0xd6'] },
  victims: [{ flow: { protocol: 'udp', source: '10.9.0.5:40000', destination: '10.1.0.1:9000' }, count: 40 }],
  culprit: { kind: 'sysctl', text: 'net.ipv4.conf.eth1.rp_filter = 1 (strict)', sysctl: 'net.ipv4.conf.eth1.rp_filter', value: '1' },
  evidence: [
    { source: 'drop probe', time: '2026-11-22T23:54:01.123Z', text: '40 packets dropped at ip_rcv_finish_core with IP_RPFILTER on eth1' },
    { source: 'sysctl', text: 'net.ipv4.conf.all.rp_filter = 0, net.ipv4.conf.eth1.rp_filter = 1: the larger holds' },
    { source: 'ip route get', text: '10.9.0.5 via 10.1.0.254 dev eth0' },
  ],
  ruledOut: [{ cause: 'route.martian-source', because: '10.9.0.5 is a unicast address that is not local' }],
  cannotTell: [],
  remedies: [{ text: 'Check only that a route back exists (loose mode)', command: 'ip netns exec blue sysctl -w net.ipv4.conf.eth1.rp_filter=2', undo: 'ip netns exec blue sysctl -w net.ipv4.conf.eth1.rp_filter=1', risk: 'low' }],
};

export const rcvbufFull: Incident = {
  ...base,
  id: '3rcvbuf',
  severity: 'critical',
  count: 81250,
  bytes: 118_800_000,
  cause: { id: 'socket.rcvbuf-full', title: 'the receive buffer of the socket was full' },
  confidence: 0.96,
  explanation: 'collector (pid 700) does not read its socket 0.0.0.0:6343 fast enough: 212992 of 212992 bytes are used. The process is stopped (state T). Every further packet to it is dropped.',
  where: { netns: HOME, interface: 'eth0', reason: 'SOCKET_RCVBUFF', symbol: '__udp_enqueue_schedule_skb+0x1bd', stack: ['__udp_enqueue_schedule_skb+0x1bd', 'udp_queue_rcv_one_skb+0x2c3', 'udp_unicast_rcv_skb+0x76', '__udp4_lib_rcv+0x9c5', 'ip_protocol_deliver_rcu+0xcf', 'ip_local_deliver_finish+0x85', '__netif_receive_skb_one_core+0x85', 'process_backlog+0x8e', 'net_rx_action+0x2f0', 'handle_softirqs+0xd6'] },
  victims: [{ process: { pid: 700, comm: 'collector', cmdline: '/opt/sflow/collector --port 6343', container: 'sflow-7f9c' }, flow: { protocol: 'udp', source: '10.0.0.8:51000', destination: '10.0.0.1:6343' }, count: 81250 }],
  culprit: { kind: 'process', text: 'collector (pid 700), stopped (state T), 212992 of 212992 bytes in its buffer', pid: 700, state: 'T', receiveBuffer: 212992 },
  evidence: [
    { source: 'drop probe', time: '2026-11-22T23:54:02.000Z', text: '81250 packets dropped with SOCKET_RCVBUFF; rcvbuf 212992, allocated 213248' },
    { source: '/proc/net/snmp', text: 'Udp RcvbufErrors went from 11 to 81261' },
    { source: '/proc/700/status', text: 'State: T (stopped)' },
  ],
  ruledOut: [{ cause: 'cpu.backlog-full', because: 'softnet_stat counts no drop on any CPU' }],
  cannotTell: [],
  remedies: [{ text: 'Let the process run on', command: 'kill -CONT 700', undo: 'kill -STOP 700', risk: 'low' }],
};

export const mtu: Incident = {
  ...base,
  id: '4mtu000',
  severity: 'warning',
  count: 14,
  bytes: 20720,
  cause: { id: 'ip.mtu-exceeded', title: 'the packet was too large for the next link' },
  confidence: 0.93,
  explanation: 'TCP segments of 1480 bytes with DF set have to leave through wg0, whose MTU is 1380. The ICMP messages that would tell the sender are dropped by a rule in OUTPUT, so the connection hangs.',
  where: { netns: { inode: 4026532777, name: 'router' }, interface: 'wg0', reason: 'PKT_TOO_BIG', symbol: 'ip_forward+0x4c1' },
  victims: [{ flow: { protocol: 'tcp', source: '10.3.0.2:43210', destination: '10.4.0.2:443' }, count: 14 }],
  culprit: { kind: 'interface', text: 'wg0 with an MTU of 1380 bytes', interface: 'wg0', mtu: 1380 },
  evidence: [{ source: 'drop probe', time: '2026-11-22T23:54:02.000Z', text: '14 packets of 1480 bytes dropped with PKT_TOO_BIG towards wg0' }, { source: 'ip -j link', text: 'wg0 mtu 1380' }],
  ruledOut: [],
  cannotTell: [{ cause: 'qdisc.tail-drop', because: 'running tc -s -j qdisc show: timed out after 2 s', wouldTell: 'tc -s qdisc show dev wg0, twice' }],
  remedies: [
    { text: 'Clamp the segment size of new TCP connections to the path', command: 'ip netns exec router iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu', undo: 'ip netns exec router iptables -t mangle -D FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu', risk: 'low' },
    { text: 'Let ICMP "fragmentation needed" out, so that senders learn the size', risk: 'low' },
  ],
};

export const neighbour: Incident = {
  ...base,
  id: '5neigh6',
  severity: 'warning',
  count: 9,
  bytes: 936,
  cause: { id: 'neigh.unresolved', title: 'nobody answers for the next hop' },
  confidence: 0.95,
  explanation: 'No neighbour advertisement comes from fd00:7::99 on eth2. After three solicitations the kernel gave up and dropped what was waiting; ping got EHOSTUNREACH.',
  where: { netns: BLUE, interface: 'eth2', reason: 'NEIGH_FAILED', symbol: 'neigh_invalidate+0xc8' },
  victims: [{ process: { pid: 1312, comm: 'ping', cmdline: 'ping -6 fd00:7::99' }, flow: { protocol: 'icmp6', source: 'fd00:7::1', destination: 'fd00:7::99' }, syscall: 'recvmsg', errno: 'EHOSTUNREACH', count: 9 }],
  culprit: { kind: 'neighbour', text: 'fd00:7::99 dev eth2 FAILED', address: 'fd00:7::99', interface: 'eth2', state: 'FAILED' },
  evidence: [{ source: 'ip -j neigh', text: 'fd00:7::99 dev eth2 FAILED' }],
  ruledOut: [],
  cannotTell: [],
  remedies: [{ text: 'Look whether the host is up and on this link', command: 'ip netns exec blue ping -c 3 -I eth2 ff02::1', risk: 'low' }],
};

export const qdisc: Incident = {
  ...base,
  id: '6qdisc0',
  severity: 'warning',
  count: 66,
  bytes: 92400,
  cause: { id: 'qdisc.tail-drop', title: 'the queue of the device was full' },
  confidence: 0.97,
  explanation: 'tbf on veth0 lets 1 Mbit/s out. The senders offer more, the queue of 3000 bytes was full.',
  where: { netns: BLUE, interface: 'veth0', reason: 'QDISC_DROP', symbol: '__dev_queue_xmit+0x9a1' },
  victims: [{ process: { pid: 2000, comm: 'iperf3' }, flow: { protocol: 'udp', source: '10.0.0.1:5201', destination: '10.0.0.2:5201' }, count: 66 }],
  culprit: { kind: 'qdisc', text: 'qdisc tbf 8001: root dev veth0 rate 1Mbit burst 5Kb limit 3000b', interface: 'veth0', qdisc: 'tbf', handle: '8001:' },
  evidence: [{ source: 'tc -s -j qdisc', text: 'tbf 8001: drops went from 0 to 66' }],
  ruledOut: [],
  cannotTell: [],
  remedies: [{ text: 'Give it a longer queue', command: 'ip netns exec blue tc qdisc change dev veth0 root tbf rate 1mbit burst 5kb latency 200ms', undo: 'ip netns exec blue tc qdisc change dev veth0 root tbf rate 1mbit burst 5kb limit 3000b', risk: 'low' }],
};

export const seccomp: Incident = {
  ...base,
  id: '7seccmp',
  severity: 'warning',
  count: 5,
  bytes: 0,
  cause: { id: 'security.seccomp', title: 'a seccomp filter refused the call' },
  confidence: 0.8,
  explanation: 'python3 (pid 3100) runs under a seccomp filter. Its sendto returned EPERM before any packet was made; nothing was dropped, and no other gate refuses with this error here.',
  where: { netns: HOME },
  victims: [{ process: { pid: 3100, comm: 'python3', cmdline: 'python3 /srv/app.py', container: 'web-1' }, flow: { protocol: 'udp', source: '0.0.0.0', destination: '10.0.0.2:514' }, syscall: 'sendto', errno: 'EPERM', count: 5 }],
  culprit: { kind: 'process', text: 'the seccomp filter of python3 (pid 3100), container web-1', pid: 3100, seccomp: 2 },
  evidence: [{ source: '/proc/3100/status', text: 'Seccomp: 2, Seccomp_filters: 1' }],
  ruledOut: [{ cause: 'netfilter.rule-drop', because: 'no packet was dropped in this task' }],
  cannotTell: [{ cause: 'security.lsm', because: 'reading /sys/kernel/security/lsm: ENOENT', wouldTell: 'mount securityfs and look at the audit log' }],
  remedies: [{ text: "Allow sendto in the container's seccomp profile and start it again", risk: 'medium' }],
};

export const policyDrop: Incident = {
  ...base,
  id: '8policy',
  severity: 'critical',
  count: 8,
  bytes: 480,
  cause: { id: 'netfilter.policy-drop', title: 'no rule matched, and the chain drops what no rule lets through' },
  confidence: 0.96,
  explanation: 'TCP to port 8080 comes in. No rule of chain input in table inet filter matches it, and the policy of that chain is drop.',
  where: { netns: BLUE, interface: 'eth0', hook: 'INPUT', reason: 'NETFILTER_DROP', symbol: 'nft_do_chain+0x3e8 [nf_tables]' },
  victims: [{ flow: { protocol: 'tcp', source: '[fd00::2]:45678', destination: '[fd00::1]:8080' }, count: 8 }],
  culprit: { kind: 'policy', text: 'table inet filter, chain input: policy drop', family: 'inet', table: 'filter', chain: 'input', policy: 'drop' },
  evidence: [{ source: 'nft -j list ruleset', text: 'chain input { type filter hook input priority 0; policy drop; }, 4 rules, none for tcp dport 8080' }],
  ruledOut: [],
  cannotTell: [],
  remedies: [{ text: 'Let this port in', command: 'ip netns exec blue nft add rule inet filter input tcp dport 8080 accept', risk: 'low' }],
};

export const cgroup: Incident = {
  ...base,
  id: '9cgroup',
  severity: 'warning',
  count: 40,
  bytes: 4000,
  cause: { id: 'bpf.cgroup-drop', title: 'a BPF program of the cgroup dropped it' },
  confidence: 0.95,
  explanation: 'The program deny_egress (id 77) is attached to cgroup /system.slice/app.service for egress and said no.',
  where: { netns: HOME, interface: 'eth0', reason: 'BPF_CGROUP_EGRESS', symbol: 'ip_finish_output+0x12c' },
  victims: [{ process: { pid: 5151, comm: 'app', unit: 'app.service' }, flow: { protocol: 'tcp', source: '10.0.0.1:50000', destination: '10.0.0.9:5432' }, syscall: 'connect', errno: 'EPERM', count: 40 }],
  culprit: { kind: 'bpf-program', text: 'cgroup_skb program deny_egress (id 77) on /system.slice/app.service', id: 77, name: 'deny_egress', attach: 'cgroup_inet_egress' },
  evidence: [{ source: 'bpf-programs', text: 'id 77 cgroup_skb deny_egress, run 40 times' }],
  ruledOut: [],
  cannotTell: [],
  remedies: [{ text: 'Detach the program', command: 'bpftool cgroup detach /sys/fs/cgroup/system.slice/app.service cgroup_inet_egress id 77', risk: 'high' }],
};

export const noListener: Incident = {
  ...base,
  id: 'anolist',
  state: 'closed',
  severity: 'info',
  count: 2,
  bytes: 120,
  cause: { id: 'socket.no-listener', title: 'nobody listens on that port' },
  confidence: 0.99,
  explanation: 'A UDP packet came for 10.0.0.1:9999. No socket has that port.',
  where: { netns: HOME, interface: 'eth0', reason: 'NO_SOCKET', symbol: '__udp4_lib_rcv+0x8ab' },
  victims: [{ flow: { protocol: 'udp', source: '10.0.0.2:40404', destination: '10.0.0.1:9999' }, count: 2 }],
  culprit: { kind: 'socket', text: 'none on udp port 9999', port: 9999 },
  evidence: [{ source: 'sock_diag', text: 'no UDP socket with local port 9999' }],
  ruledOut: [],
  cannotTell: [],
  remedies: [],
};

export const unknown: Incident = {
  ...base,
  id: 'bunknow',
  severity: 'warning',
  count: 7,
  bytes: 700,
  cause: { id: 'unknown', title: 'none of the known causes fits' },
  confidence: 0.3,
  explanation: 'Packets were dropped at 0xffffffffc0a81234, in a module that kallsyms does not name. No cause that whydrop knows explains it.',
  where: { netns: HOME, interface: 'eth0', reason: 'NOT_SPECIFIED', symbol: '0xffffffffc0a81234', stack: ['0xffffffffc0a81234', '__netif_receive_skb_core+0x2c1', 'process_backlog+0x8e'] },
  victims: [{ flow: { protocol: '253', source: '10.0.0.2', destination: '10.0.0.1' }, count: 7 }],
  culprit: { kind: 'unknown', text: 'not known' },
  evidence: [{ source: 'drop probe', text: '7 packets dropped with NOT_SPECIFIED' }],
  ruledOut: [],
  cannotTell: [{ cause: 'unknown', because: 'kernel.kptr_restrict hides the symbol', wouldTell: 'sysctl kernel.kptr_restrict=1 and run whydrop as root' }],
  remedies: [{ text: 'Let whydrop see kernel symbols', command: 'sysctl -w kernel.kptr_restrict=1', undo: 'sysctl -w kernel.kptr_restrict=2', risk: 'low' }],
};

/** What a hostile process name, rule comment or log line may hold. */
export const EVIL = '\u001b[2J\u001b]52;c;cm0gLXJmIC8K\u0007\u001b[31mroot\r\nCRITICAL fake line\u202e gpj\u0000\u009b5m<script>alert(1)</script>"\'`&\ud800';

export const hostile: Incident = {
  ...base,
  id: 'chostil',
  severity: 'critical',
  count: 12,
  bytes: 999,
  cause: { id: 'netfilter.rule-drop', title: `a rule with a bad comment ${EVIL}` },
  confidence: 0.9,
  explanation: `It says ${EVIL}.`,
  where: { netns: { inode: 4026532999, name: EVIL }, interface: EVIL, hook: EVIL, reason: EVIL, symbol: EVIL, stack: [EVIL, EVIL] },
  victims: [{ process: { pid: 666, comm: EVIL, cmdline: EVIL, unit: EVIL, container: EVIL }, flow: { protocol: EVIL, source: EVIL, destination: EVIL }, syscall: EVIL, errno: EVIL, count: 12 }],
  culprit: { kind: 'rule', text: `comment ${EVIL}`, comment: EVIL, [EVIL]: EVIL },
  evidence: [{ source: EVIL, time: EVIL, text: EVIL }],
  ruledOut: [{ cause: EVIL, because: EVIL }],
  cannotTell: [{ cause: EVIL, because: EVIL, wouldTell: EVIL }],
  remedies: [{ text: EVIL, command: `echo ${EVIL}`, undo: EVIL, risk: 'high' }],
};

export const wide: Incident = {
  ...base,
  id: 'dwide00',
  severity: 'warning',
  count: 1,
  bytes: 60,
  cause: { id: 'socket.listen-overflow', title: 'the program accepts connections too slowly' },
  confidence: 0.95,
  explanation: '受信プロセスの名前は日本語です。 The accept queue of 服务器 (pid 77) is full: 5 of 4. 👩‍💻 emoji and combining áé̂ stay in line.',
  where: { netns: { inode: 4026533000, name: '网络' }, interface: 'eth0', reason: 'TCP_OVERFLOW', symbol: 'tcp_conn_request+0x3d1' },
  victims: [{ process: { pid: 77, comm: '服务器' }, flow: { protocol: 'tcp', source: '10.0.0.7:40000', destination: '10.0.0.1:80' }, count: 1 }],
  culprit: { kind: 'socket', text: '服务器 (pid 77) listening on 0.0.0.0:80 with a backlog of 4', pid: 77, backlog: 4 },
  evidence: [{ source: 'sock_diag', text: 'listener 0.0.0.0:80: 5 connections wait, 4 may' }],
  ruledOut: [],
  cannotTell: [],
  remedies: [{ text: 'Raise the limit that caps every backlog; the program must ask for more too', command: 'sysctl -w net.core.somaxconn=4096', undo: 'sysctl -w net.core.somaxconn=4', risk: 'low' }],
};

/** Ranked as a run would rank them. */
export const INCIDENTS: readonly Incident[] = [rcvbufFull, ruleDrop, hostile, policyDrop, insertRace, qdisc, rpFilter, cgroup, mtu, neighbour, seccomp, wide, unknown, noListener];

export const PROBES: WatchState['probes'] = [
  { id: 'drop-bpf', state: 'armed' },
  { id: 'calls-bpf', state: 'armed' },
  { id: 'exec-bpf', state: 'unavailable', why: 'attaching to sched:sched_process_exec: EACCES', fix: 'run whydrop as root, or give it CAP_BPF and CAP_PERFMON', without: 'programs that end within milliseconds keep only their pid' },
  { id: 'conntrack-events', state: 'armed' },
];

export const LOSSES: WatchState['losses'] = [{ source: 'bpf-ring', count: 3120, text: 'the sample ring was full: counts are exact, 3120 packets have no description; watching fewer namespaces would avoid it' }];

/** A minute of losses, calm, then a burst. */
const burst = (peak: number, at: number): number[] => Array.from({ length: 60 }, (_, i) => Math.round(peak * Math.exp(-((i - at) ** 2) / 40)));

export const STATE: WatchState = {
  now: NOW,
  started: NOW - 63_000,
  hostname: 'edge-7',
  kernel: '6.18.5-amd64',
  netns: [HOME, BLUE],
  probes: PROBES,
  incidents: INCIDENTS,
  rates: [
    { cause: 'socket.rcvbuf-full', perSecond: burst(9000, 50) },
    { cause: 'netfilter.rule-drop', perSecond: burst(120, 40) },
    { cause: 'qdisc.tail-drop', perSecond: burst(14, 30) },
    { cause: 'route.rp-filter', perSecond: burst(6, 55) },
  ],
  losses: LOSSES,
  cost: { cpuSeconds: 0.412, peakRss: 96_000_000, eventsSeen: 82_731, perEventNs: 710 },
  diagrams: new Map([[insertRace.id, raceDiagram]]),
};

export const REPORT: ReportInput = {
  host: { hostname: 'edge-7', kernel: '6.18.5-amd64', machine: 'x86_64', cpus: 2, whydrop: '0.1.0' },
  from: '2026-11-22T23:53:08.000Z',
  to: '2026-11-22T23:54:08.000Z',
  netns: STATE.netns,
  incidents: INCIDENTS,
  probes: PROBES,
  losses: LOSSES,
  cost: STATE.cost,
  timeline: { stepMs: 1000, series: STATE.rates.map((r) => ({ cause: r.cause, counts: r.perSecond })) },
  counters: [
    { name: 'Udp RcvbufErrors', points: Array.from({ length: 31 }, (_, i) => [i * 2000, 11 + Math.round(81250 / (1 + Math.exp(-(i - 25))))] as const) },
    { name: 'nf_conntrack insert_failed', points: [[0, 17], [53_000, 17], [53_120, 18], [54_000, 20], [60_000, 20]] },
  ],
  diagrams: new Map([[insertRace.id, raceDiagram]]),
  command: 'whydrop watch --netns blue --for 60s',
};
