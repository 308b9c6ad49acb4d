import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatName, recogniseEvidence } from '../../src/formats/evidence-file.ts';
import type { EvidenceRecord } from '../../src/formats/evidence-record.ts';
import { droppersIn } from '../../src/formats/rule-text.ts';
import { wallTime } from '../../src/formats/wall-time.ts';

const read = (text: string): readonly EvidenceRecord[] => recogniseEvidence('x.txt', text).parts.flatMap((p) => p.records);
const iso = (text: string): string | undefined => {
  const t = wallTime(text);
  return t === undefined ? undefined : `${new Date(Number(t.stamp.ns / 1_000_000n)).toISOString()}${t.stamp.zone ? '' : '?'}`;
};
const fixture = (path: string): string => readFileSync(new URL(`../../fixtures/analyze/${path}`, import.meta.url), 'utf8');

test('dates: C and Chinese locales, ISO, OpenVPN, epoch; CST is China only beside a Chinese date', () => {
  assert.equal(iso('2013年 07月 18日 星期四 13:02:15 CST'), '2013-07-18T05:02:15.000Z');
  assert.equal(iso('2013年07月18日 下午 1:02:15'), '2013-07-18T13:02:15.000Z?');
  assert.equal(iso('Thu Jul 18 13:02:15 CST 2013'), '2013-07-18T13:02:15.000Z?');
  assert.equal(iso('Thu Jul 18 13:02:15 UTC 2013'), '2013-07-18T13:02:15.000Z');
  assert.equal(iso('2026-11-22 22:49:21 us=586294 write'), '2026-11-22T22:49:21.586Z?');
  assert.equal(iso('2026-11-22T22:49:21.5+01:00 x'), '2026-11-22T21:49:21.500Z');
  assert.equal(iso('[1795387761.206981]\t[NEW]'), '2026-11-22T22:49:21.206Z');
  assert.equal(iso('Nov 22 22:49:21 host x'), undefined, 'no year: no date');
  assert.equal(iso('nothing'), undefined);
});

test('ftrace of 2.6.3x, of 6.1 with latency columns and hashed pointers, of 6.18 with symbols', () => {
  const old = read(fixture('openvpn-2013/ftrace-stacks.txt')).filter((r) => r.kind === 'trace');
  assert.equal(old.length, 3);
  assert.equal(old[0]?.tid, 27369);
  assert.equal(old[0]?.time, 2_876_582_821_000n);
  assert.equal(old[0]?.flags, undefined);
  assert.equal(old[0]?.fields.get('location'), 'ffffffff812ad914');
  assert.deepEqual(old[0]?.stack.map((f) => f.name), ['kfree_skb', 'nf_hook_slow', 'T.889', 'ip_output', 'ip_local_out', 'ip_push_pending_frames', 'udp_push_pending_frames', 'udp_sendmsg']);
  assert.deepEqual([old[2]?.comm, old[2]?.tid], ['<idle>', 0]);
  const blotted = read(fixture('openvpn-2013/ftrace-nostack.txt'))[0];
  assert.ok(blotted?.kind === 'trace' && blotted.tid === undefined && blotted.comm === '<VPNd>');

  const context = read(fixture('openvpn-6.1/trace.context.txt')).filter((r) => r.kind === 'trace');
  const clash = context.find((r) => r.event === 'clash' && r.time === 21_560_366_000n);
  assert.deepEqual([clash?.at?.name, clash?.at?.module, clash?.fields.get('src'), clash?.fields.get('dir'), clash?.flags], ['nf_ct_resolve_clash', 'nf_conntrack', '0x200630a', '1', 'bN.2.']);
  const verdict = context.find((r) => r.event === 'clash_ret' && r.time === 21_560_390_000n);
  assert.deepEqual([verdict?.at?.name, verdict?.caller?.name, verdict?.fields.get('verdict')], ['nf_ct_resolve_clash', '__nf_conntrack_confirm.cold', '0']);
  assert.deepEqual(['NR', 'ret'].map((k) => context.find((r) => r.event === 'sys_exit')?.fields.get(k)), ['44', '-1']);

  const now = read(fixture('rule-drop-6.18/trace.txt')).filter((r) => r.kind === 'trace');
  assert.equal(now[0]?.fields.get('location'), 'nf_hook_slow+0x7d/0x110');
  assert.equal(now[0]?.fields.get('reason'), 'NETFILTER_DROP');
  assert.equal(now[3]?.stack[3]?.name, 'nft_do_chain_ipv4');
});

test('perf script and trace-cmd report are the same events', () => {
  const perf = read(`openvpn   180 [003]    21.560411: skb:kfree_skb: skbaddr=0xff43669484882200 protocol=2048 location=0xffffffff97839f84 reason: NETFILTER_DROP
\tffffffff97790a2c kfree_skb_reason+0xbc ([kernel.kallsyms])
\tffffffff97839f84 nf_hook_slow+0xa4 ([kernel.kallsyms])
\tffffffffc0356020 __nf_conntrack_confirm+0x10 ([nf_conntrack])
`)[0];
  assert.ok(perf?.kind === 'trace');
  assert.deepEqual([perf.event, perf.tid, perf.cpu, perf.stack.length, perf.stack[1]?.offset, perf.stack[2]?.module], ['kfree_skb', 180, 3, 3, 0xa4, 'nf_conntrack']);
  const report = read('cpus=4\n         openvpn-180   [003]    21.560411: kfree_skb:            skbaddr=0xff43669484882200 protocol=2048 location=0xffffffff97839f84 reason=NETFILTER_DROP\n')[0];
  assert.ok(report?.kind === 'trace' && report.event === 'kfree_skb' && report.fields.get('reason') === 'NETFILTER_DROP');
});

test('a poll of the table: dates between listings, an empty listing is one too', () => {
  const polls = read(fixture('openvpn-2013/conntrack-poll.txt'));
  assert.deepEqual(polls.map((p) => (p.kind === 'conntrack-listing' ? p.entries.length : -1)), [1, 0, 0]);
  const entry = polls[0]?.kind === 'conntrack-listing' ? polls[0].entries[0] : undefined;
  assert.deepEqual([entry?.timeout, entry?.original.sourcePort, entry?.reply.sourcePort, entry?.packets, entry?.mark, entry?.status], [179, 16796, 61194, 301_514n, 100, 0xe]);
});

test('conntrack -E: changes, requesters, entries without a time-out, ICMP ids', () => {
  const events = read(fixture('openvpn-6.1/conntrack-E.seedb.txt')).filter((r) => r.kind === 'conntrack-event');
  assert.equal(events.length, 217);
  const flush = events.filter((e) => e.change === 'destroy' && e.portid === 421);
  assert.deepEqual(flush.map((e) => e.entry.id), [2486298599, 714998991, 572585874, 3555691389]);
  assert.deepEqual(flush.map((e) => e.program), ['conntrack', 'conntrack', undefined, undefined]);
  const rewritten = events.find((e) => e.entry.reply.destinationPort === 48180);
  assert.deepEqual([rewritten?.entry.timeout, rewritten?.entry.original.sourcePort, rewritten?.entry.id], [undefined, 1194, 2735385035]);
  const icmp = read('icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=77 src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=77 mark=0 use=1 id=123\n')[0];
  assert.ok(icmp?.kind === 'conntrack-listing');
  assert.deepEqual([icmp.entries[0]?.original.sourcePort, icmp.entries[0]?.original.destinationPort, icmp.entries[0]?.id], [77, 0x800, 123]);
  const tcp = read('ipv4     2 tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=22 src=10.0.0.2 dst=10.0.0.1 sport=22 dport=4000 [ASSURED] mark=0 zone=0 use=2\n')[0];
  assert.ok(tcp?.kind === 'conntrack-listing' && tcp.entries[0]?.tcpState === 'established' && tcp.entries[0].timeout === 431999);
});

test('counters under headings: each snapshot with its own text', () => {
  const file = recogniseEvidence('counters.after.txt', fixture('openvpn-6.1/counters.after.txt'));
  assert.equal(file.unread, 0);
  const stat = file.parts.filter((p) => p.heading.endsWith('stat/nf_conntrack'));
  assert.deepEqual(stat.map((p) => [p.words[0], p.records.length]), [['seeda', 1], ['seedb', 1]]);
  const names = file.parts.flatMap((p) => p.records).map(formatName);
  assert.deepEqual([...new Set(names)].sort(), ['/proc/net/netstat', '/proc/net/snmp', '/proc/net/softnet_stat', '/proc/net/stat/nf_conntrack', 'conntrack -S', 'ip -s link']);
});

test('the filter of what was normal, kernel options, kallsyms, event formats, commands, clocks', () => {
  const filter = read(fixture('openvpn-2013/kfree_skb.filter'))[0];
  assert.ok(filter?.kind === 'drop-filter' && filter.addresses.length === 14 && !filter.kept && filter.addresses[0] === 0xffffffffa026d04an);
  assert.deepEqual(read(fixture('openvpn-2013/kernel-options.txt')).map(formatName), ['kernel configuration']);
  assert.deepEqual(read(fixture('openvpn-6.1/kallsyms.txt')).map(formatName), ['kallsyms']);
  assert.deepEqual(read(fixture('openvpn-6.1/kfree_skb.format.txt')).map(formatName), ['tracefs event format']);
  const commands = read(fixture('openvpn-6.1/flush.log.txt'));
  assert.ok(commands.length === 60 && commands.every((c) => c.kind === 'command' && c.command === 'conntrack -F' && (c.netns === 'seeda' || c.netns === 'seedb')));
  assert.deepEqual(read(fixture('openvpn-6.1/clocks.txt')).map((c) => (c.kind === 'clocks' ? c.wall - c.mono : 0n)), [1795387740024502000n, 1795387740024662000n]);
});

test('what a trace lost is told', () => {
  const lost = (text: string): number => read(text).reduce((sum, r) => sum + (r.kind === 'trace-loss' ? r.lost : 0), 0);
  assert.equal(lost('# tracer: nop\n#\n# entries-in-buffer/entries-written: 350/400   #P:4\n#\n'), 50);
  assert.equal(lost('entries: 2\noverrun: 7\ncommit overrun: 0\nbytes: 244\noldest event ts:    18.971027\nnow ts:    26.795903\ndropped events: 1\nread events: 0\n'), 8);
});

test('what can drop in a listing', () => {
  assert.deepEqual(droppersIn('iptables-save', '*filter\n:INPUT DROP [4:240]\n:OUTPUT ACCEPT [0:0]\n[3:90] -A OUTPUT -p udp -m udp --dport 9 -j DROP\n[0:0] -A OUTPUT -j LOG --log-prefix "DROP "\nCOMMIT\n').map((d) => [d.text, d.packets]), [['filter INPUT: policy DROP', 4], ['filter OUTPUT: -p udp -m udp --dport 9 -j DROP', 3]]);
  assert.deepEqual(droppersIn('nft', 'table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy accept;\n\t\tudp dport 7 counter packets 1 bytes 30 drop\n\t\tudp dport 8 counter accept comment "no drop"\n\t}\n}\n').map((d) => d.chain), ['ip filter INPUT']);
  assert.deepEqual(droppersIn('nft', fixture('openvpn-6.1/snapshot.txt').match(/table ip nat \{[^]*?\n\}\n/)![0]), []);
});

test('prose about an error is no log', () => {
  const file = recogniseEvidence('README.md', '# What happened\n\nOpenVPN said `write UDPv4: Operation not permitted` and we did not know why.\nThen we looked at the rules, and there were none.\nA week went by.\n');
  assert.deepEqual(file.parts.flatMap((p) => p.records), []);
});
