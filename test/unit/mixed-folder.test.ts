import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyse } from '../../src/app/analyze/judge.ts';
import { readEvidence } from '../../src/app/analyze/read.ts';
import { recognisedRows, recognisedText } from '../../src/app/analyze/text.ts';
import { netnsInName, recogniseEvidence } from '../../src/formats/evidence-file.ts';

/*
 * A folder as sosreport lays it out, made by the tools themselves in a guest with Debian's 6.1: an nft rule drops UDP port
 * 9999 on input, a rule of iptables-legacy TCP port 8082; the sender is in namespace peer. perf saw the drops, without headers.
 */
const { files, unreadable } = readEvidence([new URL('../../fixtures/analyze/sosreport-6.1', import.meta.url).pathname]);
const rows = new Map(recognisedRows(files).map((r) => [r.file, r]));

test('each file is recognised by what is in it, or is said to be of no use, with what would be; nothing is passed over', () => {
  assert.deepEqual(unreadable, []);
  const said = (file: string): string => rows.get(file)?.formats.map((f) => f.format).join(', ') ?? '-';
  assert.deepEqual(Object.fromEntries([...rows.keys()].map((f) => [f, said(f)])), {
    'addr.json': 'ip -j address', 'before/ct': 'conntrack -S', 'before/link': 'ip -s link', 'before/nstat': 'nstat', 'before/snmp': '/proc/net/snmp', date: 'application log', 'legacy.txt': 'rules (iptables-save)',
    'link.json': 'ip -j link', 'link.txt': 'ip -s link', lsns: 'lsns', 'neigh.json': 'ip -j neighbour', 'nft-a.txt': 'rules (nft)', 'perf.txt': 'kernel release, ftrace text with stacks',
    'proc/net/arp': '/proc/net/arp, not used (collect ip -j neigh)', 'proc/net/dev': '/proc/net/dev', 'proc/net/netstat': '/proc/net/netstat', 'proc/net/route': '/proc/net/route, not used (collect ip -j route show table all)',
    'proc/net/snmp': '/proc/net/snmp', 'proc/net/sockstat': '/proc/net/sockstat, not used', 'proc/net/softnet_stat': '/proc/net/softnet_stat', 'proc/net/stat/nf_conntrack': '/proc/net/stat/nf_conntrack', ps: 'ps',
    'route.json': 'ip -j route, ip -j route (IPv6)', 'rule.json': 'ip -j rule', 'rules.json': 'rules (nft -j)', 'sos_commands/kernel/dmesg': 'dmesg, kernel release', 'sos_commands/kernel/sysctl_-a': 'sysctl',
    'sos_commands/networking/conntrack_-L': 'conntrack -L', 'sos_commands/networking/conntrack_-S': 'conntrack -S', 'sos_commands/networking/ethtool_-S_va': 'ethtool -S, not used',
    'sos_commands/networking/ip_-d_address': 'ip address', 'sos_commands/networking/ip_-s_-d_link': 'ip -s link', 'sos_commands/networking/ip_neigh_show': 'ip neigh, not used (collect ip -j neigh)',
    'sos_commands/networking/ip_netns': 'ip netns, not used (collect lsns -t net)', 'sos_commands/networking/ip_netns_exec_peer_ip_-s_link': 'ip -s link', 'sos_commands/networking/ip_netns_exec_peer_ip_address': 'ip address',
    'sos_commands/networking/ip_netns_exec_peer_iptables-save': '', 'sos_commands/networking/ip_netns_exec_peer_nft_list_ruleset': '', 'sos_commands/networking/ip_netns_exec_peer_ss_-s': 'ss -s, not used',
    'sos_commands/networking/ip_route_show_table_all': 'ip route, ip route (IPv6)', 'sos_commands/networking/iptables-save': '', 'sos_commands/networking/iptables_-vnxL': 'rules (iptables -L)',
    'sos_commands/networking/nft_list_ruleset': 'rules (nft)', 'sos_commands/networking/nstat_-zas': 'nstat', 'sos_commands/networking/ss_-peaonmi': 'ss, not used (collect ss -p as root)', 'sos_commands/networking/ss_-s': 'ss -s, not used',
    'sos_commands/networking/tc_-s_qdisc_show': 'tc -s qdisc, not used (collect tc -s -j qdisc)', uname: 'kernel release', uptime: '/proc/uptime, not used',
  });
  assert.deepEqual([...rows.values()].filter((r) => r.unread > 0).map((r) => [r.file, r.example]), []);
  assert.match(recognisedText([...rows.values()], unreadable), /iptables-save +empty/);
});

test('the rules of the host, not of a namespace that a file names: each drop its rule, by who freed it; file and line of what says so', () => {
  const { incidents, reconstruction } = analyse(files);
  const real = incidents.filter((i) => i.severity !== 'info');
  assert.deepEqual(real.map((i) => [i.cause.id, i.count, i.culprit['tool'], i.culprit['handle'] ?? i.culprit['position'], i.where.hook]), [['netfilter.rule-drop', 6, 'nft', 3, 'INPUT'], ['netfilter.rule-drop', 1, 'iptables-legacy', 1, 'INPUT']]);
  const cited = (n: number): readonly string[] => real[n]!.evidence.map((e) => `${e.source}: ${e.text}`);
  assert.ok(cited(0).includes('told by: perf.txt, 6 times from line 30 to line 285'), cited(0).join('\n'));
  assert.ok(cited(0).some((e) => e.includes('(rules.json, line 1): rule in handle 3')));
  assert.ok(cited(1).some((e) => e.includes('(legacy.txt, line 6): rule 1 of INPUT')));
  assert.equal(reconstruction.facts.kernel.release, '6.1.0-56-cloud-amd64');
  assert.equal(reconstruction.host.home, incidents[0]?.where.netns.inode);
});

test('without the listing in JSON, rules of the other backend are not blamed', () => {
  const { incidents } = analyse(files.filter((f) => f.name !== 'rules.json'));
  const real = incidents.filter((i) => i.severity !== 'info' && i.count === 6);
  assert.match(real[0]?.culprit.text ?? '', /udp dport 9999/);
});

test('sosreport writes the namespace into names of files', () => {
  for (const [name, netns] of [
    ['sos_commands/networking/ip_netns_exec_blue_ip_address', 'blue'], ['sos_commands/networking/namespaces/red-1/ip_netns_exec_red-1_iptables-save', 'red-1'], ['ip_netns_exec_qdhcp-0a_b_ss_-peaonmi', 'qdhcp-0a_b'],
    ['a/namespaces/x.y/nft', 'x.y'], ['ip_netns', undefined], ['ip_address', undefined],
  ] as const) assert.equal(netnsInName(name)[0], netns, name);
  const blue = recogniseEvidence('ip_netns_exec_blue_iptables-save', '# Generated by iptables-save v1.8.9 (nf_tables) on Mon\n*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n');
  assert.deepEqual([...analyse([blue]).reconstruction.host.netnsNames.values()], ['blue']);
});

test('retis beside ip -j and sysctl -a: the reverse-path filter is named, with the lines of its setting and of the routes', () => {
  const frame = Buffer.from(`5227199862 8f aaf393b17019 0800 45000020000040004011e0d6 ac1e0909 0a4d0001 0fa00035000c0000 78787878`.replaceAll(' ', ''), 'hex').toString('base64');
  const stack = ['sk_skb_reason_drop+0x90', 'ip_rcv_finish_core+0x1b0', 'ip_rcv+0x9', '__netif_receive_skb_one_core+0x89', 'process_backlog+0x81'];
  const event = { common: { timestamp: 30416793489711, smp_id: 0, task: { pid: 0, tgid: 0, comm: 'swapper/0' } }, kernel: { symbol: 'skb:kfree_skb', probe_type: 'raw_tracepoint', stack_trace: stack }, 'skb-drop': { drop_reason: 'IP_RPFILTER' }, packet: { len: 46, capture_len: 46, data: frame }, netns: { inum: 4026531840 }, dev: { name: 'va', ifindex: 2 } };
  const pick = files.filter((f) => ['addr.json', 'link.json', 'route.json', 'rule.json'].includes(f.name));
  const sysctl = 'net.ipv4.conf.all.rp_filter = 1\nnet.ipv4.conf.va.rp_filter = 1\nnet.ipv4.conf.eth0/100.rp_filter = 2\n';
  const [incident] = analyse([recogniseEvidence('retis.json', `${JSON.stringify(event)}\n`), recogniseEvidence('sysctl.txt', sysctl), ...pick]).incidents;
  assert.deepEqual([incident?.cause.id, incident?.where.interface, incident?.where.netns.inode], ['route.rp-filter', 'va', 4026531840]);
  const sources = incident?.evidence.map((e) => e.source) ?? [];
  assert.ok(sources.includes('sysctl (sysctl.txt, line 1)'), sources.join());
  assert.ok(sources.some((s) => s.endsWith('(route.json, line 1)')), sources.join());
});
