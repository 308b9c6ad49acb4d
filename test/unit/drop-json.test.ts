import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyse } from '../../src/app/analyze/judge.ts';
import { recogniseEvidence } from '../../src/formats/evidence-file.ts';
import type { EvidenceRecord, TraceRecord } from '../../src/formats/evidence-record.ts';

/* Written by the serialisation code of retis (1.0, 1.5, 1.6 and its main branch of May 2026) and of pwru (output.go, August 2026); no text of theirs. */

const all = (text: string): readonly EvidenceRecord[] => recogniseEvidence('x.json', text).parts.flatMap((p) => p.records);
const drops = (text: string): readonly TraceRecord[] => all(text).filter((r) => r.kind === 'trace');
const lines = (...events: readonly object[]): string => `${events.map((e) => JSON.stringify(e)).join('\n')}\n`;

/* An Ethernet frame with a UDP packet 10.0.0.1:40000 > 10.0.0.2:9000, four bytes of payload. */
const FRAME = Buffer.from('020000000002020000000001' + '0800' + '45000020000040004011' + '26cb' + '0a0000010a000002' + '9c402328000c0000' + '78787878', 'hex').toString('base64');
const common = (timestamp: number) => ({ timestamp, smp_id: 1, task: { pid: 412, tgid: 411, comm: 'sender' } });
const TRACKING = { orig_head: 18446616576100907520, timestamp: 30419169061793, skb: 18446616546107689472 };
const STARTUP = { common: { timestamp: 30415793489711 }, startup: { retis_version: 'v1.7.0', cmdline: 'retis collect', clock_monotonic_offset: { sec: 1742309146, nsec: 691042000 }, machine: { kernel_release: '6.12.9-200.fc41.x86_64', kernel_version: '#1 SMP', hardware_name: 'x86_64' } } };
const side = (src: string, sport: number, dst: string, dport: number) => ({ ip: { src, dst, version: 'v4' }, proto: { udp: { sport, dport } } });
const CT = { state: 'new', zone_id: 0, zone_dir: 'Default', orig: side('10.0.0.1', 40000, '10.0.0.2', 9000), reply: side('10.0.0.2', 9000, '10.0.0.1', 40000), mark: 7, ct_status: 0x100 };
const NFT = { table_name: 'fw', chain_name: 'in', verdict: 'drop', table_handle: 3, chain_handle: 1, rule_handle: 4, policy: false };
const STACK = ['sk_skb_reason_drop+0x90', 'nft_do_chain+0x3e8', 'nft_do_chain_inet+0xa4', 'nf_hook_slow+0x43', 'ip_local_deliver+0xe0', 'process_backlog+0x80'];
const DROP = {
  common: common(30419169457160), kernel: { symbol: 'skb:kfree_skb', probe_type: 'raw_tracepoint', stack_trace: STACK }, 'skb-tracking': TRACKING, 'skb-drop': { drop_reason: 'NETFILTER_DROP' },
  packet: { len: 46, capture_len: 46, data: FRAME }, netns: { cookie: 12, inum: 4026532738 }, dev: { name: 'veth0', ifindex: 7 },
};
const STEP = { common: common(30419169411111), kernel: { symbol: '__nft_trace_packet', probe_type: 'kprobe' }, 'skb-tracking': TRACKING, nft: NFT, ct: CT };

test('retis: namespace, device, kernel; the rule that nftables named and the conntrack entry, of an event before of the same packet', () => {
  const text = lines(STARTUP, STEP, DROP);
  assert.equal(recogniseEvidence('x', text).unread, 0);
  assert.ok(all(text).some((r) => r.kind === 'kernel' && r.release === '6.12.9-200.fc41.x86_64'));
  const [drop, more] = drops(text);
  assert.equal(more, undefined);
  assert.deepEqual([drop?.told?.netns, drop?.told?.interface, drop?.told?.ifindex, drop?.tid, drop?.keeps], [{ inode: 4026532738 }, 'veth0', 7, 411, undefined]);
  assert.deepEqual(drop?.told?.verdict, { table: 'fw', chain: 'in', rule: 4 });
  const tuple = { family: 4, protocol: 17, source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 40000, destinationPort: 9000 };
  assert.deepEqual(drop?.told?.conntrack, { info: 2, status: 0x100, mark: 7, original: tuple, reply: { family: 4, protocol: 17, source: '10.0.0.2', destination: '10.0.0.1', sourcePort: 9000, destinationPort: 40000 } });
  // another packet on another CPU has neither
  const other = drops(lines(STARTUP, STEP, { ...DROP, common: { ...common(1e12), smp_id: 0 }, 'skb-tracking': { ...TRACKING, orig_head: 5 } }))[0];
  assert.deepEqual([other?.told?.verdict, other?.told?.conntrack], [undefined, undefined]);
  // a policy has no rule; another verdict is no drop
  assert.deepEqual(drops(lines({ ...STEP, nft: { ...NFT, policy: true } }, DROP))[0]?.told?.verdict, { table: 'fw', chain: 'in' });
  assert.equal(drops(lines({ ...STEP, nft: { ...NFT, verdict: 'accept' } }, DROP))[0]?.told?.verdict, undefined);
});

const RULES = JSON.stringify({ nftables: [
  { metainfo: { json_schema_version: 1 } }, { table: { family: 'inet', name: 'fw', handle: 3 } },
  { chain: { family: 'inet', table: 'fw', name: 'in', handle: 1, type: 'filter', hook: 'input', prio: 0, policy: 'accept' } },
  { rule: { family: 'inet', table: 'fw', chain: 'in', handle: 4, expr: [{ match: { op: '==', left: { meta: { key: 'mark' } }, right: 77 } }, { drop: null }] } },
  { rule: { family: 'inet', table: 'fw', chain: 'in', handle: 5, expr: [{ match: { op: '==', left: { payload: { protocol: 'udp', field: 'dport' } }, right: 9000 } }, { drop: null }] } },
] });

test('the rule that nftables traced is the culprit, also where another one would fit the headers; without the listing it is still named', () => {
  const [incident] = analyse([recogniseEvidence('events.json', lines(STARTUP, STEP, DROP)), recogniseEvidence('rules.json', RULES)]).incidents;
  assert.deepEqual([incident?.cause.id, incident?.confidence, incident?.culprit['handle'], incident?.where.netns.inode], ['netfilter.rule-drop', 0.99, 4, 4026532738]);
  assert.ok(incident?.evidence.some((e) => e.source === 'nft trace' && e.text.includes('handle 4')));
  assert.ok(incident?.evidence.some((e) => e.source === 'told by' && e.text === 'events.json, line 3'), JSON.stringify(incident?.evidence));
  assert.ok(incident?.evidence.some((e) => e.source.includes('(rules.json, line 1)')));
  const [without] = analyse([recogniseEvidence('events.json', lines(STARTUP, STEP, DROP))]).incidents;
  assert.deepEqual([without?.cause.id, without?.confidence, without?.culprit['handle'], without?.culprit['chain']], ['netfilter.rule-drop', 0.95, 4, 'in']);
  const untraced = analyse([recogniseEvidence('events.json', lines(STARTUP, DROP)), recogniseEvidence('rules.json', RULES)]).incidents[0];
  assert.equal(untraced?.culprit['handle'], 5, 'without the trace: the rule that fits');
});

test('retis of other ages: 1.5 (skb.dev, skb.ns.netns, skb.packet.packet, no ct_status), before 1.0 (flat), sorted files, jq', () => {
  const { packet, netns, dev, ...rest } = DROP;
  const older = drops(lines({ ...rest, skb: { dev, ns: { netns: netns.inum }, packet: { len: 46, capture_len: 46, packet: packet.data } }, ct: { ...CT, state: 'established', ct_status: undefined } }))[0];
  const now = drops(lines(DROP))[0];
  assert.deepEqual({ ...older?.told, conntrack: undefined }, { ...now?.told, conntrack: undefined });
  assert.deepEqual([older?.told?.conntrack?.status, older?.told?.conntrack?.info], [8, 0]);
  assert.equal(drops(lines({ ...DROP, ct: { ...CT, ct_status: undefined } }))[0]?.told?.conntrack, undefined, 'whether a new entry was in the table is not known');
  const flat = drops(lines({ ...rest, skb: { saddr: 'fd00::1', daddr: 'fd00::2', protocol: 6, sport: 5, dport: 80, tcp_flags: 2, dev_name: 'eth0', ifindex: 3, netns: 4026531840 } }))[0];
  assert.deepEqual([flat?.told?.tuple, flat?.told?.flags, flat?.told?.interface, flat?.told?.ifindex, flat?.told?.netns], [{ family: 6, protocol: 6, source: 'fd00::1', destination: 'fd00::2', sourcePort: 5, destinationPort: 80 }, 2, 'eth0', 3, { inode: 4026531840 }]);
  for (const text of [`${JSON.stringify([STEP, DROP])}\n`, JSON.stringify(DROP, undefined, 2), `${JSON.stringify(STEP, undefined, 2)}\n${JSON.stringify(DROP, undefined, 2)}\n`, JSON.stringify([STEP, DROP], undefined, 2)]) {
    assert.equal(drops(text).length, 1, text.slice(0, 30));
    assert.equal(recogniseEvidence('x', text).unread, 0);
  }
  assert.equal(drops(lines({ ...DROP, 'skb-drop': { subsys: 'openvswitch', drop_reason: 'OVS_DROP_EXPLICIT' } }))[0]?.fields.get('reason'), 'OVS_DROP_EXPLICIT');
});

test('retis: an OVS upcall that was refused is told, one that went well is not', () => {
  const ovs = (ret: number) => ({ common: common(5e12), kernel: { symbol: 'queue_userspace_packet', probe_type: 'kretprobe' }, ovs: { event_type: 'upcall_enqueue', ret, cmd: 1, port: 4, upcall_ts: 1, upcall_cpu: 0, queue_id: 5 } });
  const { reconstruction } = analyse([recogniseEvidence('e.json', lines(STARTUP, ovs(0), ovs(-105), ovs(-105)))]);
  assert.deepEqual(reconstruction.facts.notes.map((n) => n.replace(/^.*ENOBUFS/, 'ENOBUFS')), ['ENOBUFS: ovs-vswitchd does not read its upcalls fast enough: packets of new flows are lost then. (e.json, line 3, and 1 times more)']);
});

const pwru = (extra: object) => ({ skb: '0xffff9f7c12345600', cpu: 2, process: '~local/bin/curl:412', func: 'sk_skb_reason_drop(SKB_DROP_REASON_NETFILTER_DROP)', caller_func: 'nft_do_chain', netns: 4026532738, mark: 5, iface: 'eth0:2', proto: 2048, mtu: 1500, len: 60, tuple: { saddr: '10.0.0.1', daddr: '10.0.0.2', sport: 44022, dport: 80, proto: 6, flags: 'SYN' }, ...extra });

test('pwru JSON: namespace, mark, device by name or index, IPv6 in brackets, byte order before October 2023', () => {
  const [a] = drops(lines(pwru({ netns_name: 'blue', time: 123456799012 })));
  assert.deepEqual([a?.told?.netns, a?.told?.mark, a?.told?.interface, a?.told?.ifindex, a?.told?.flags, a?.time, a?.keeps], [{ inode: 4026532738, name: 'blue' }, 5, 'eth0', 2, 2, 123_456_799_012n, undefined]);
  const [b] = drops(lines(pwru({ iface: '12', proto: 0xdd86, tuple: { saddr: '[fd00::1]', daddr: '[fd00::2]', sport: 1, dport: 2, proto: 17 } })));
  assert.deepEqual([b?.told?.tuple?.source, b?.told?.interface, b?.told?.ifindex, b?.fields.get('protocol')], ['fd00::1', undefined, 12, String(0x86dd)]);
});

test('pwru: relative times, in JSON and in the table, are no clock; absolute ones are wall times; the kernel clock stays', () => {
  const relative = lines(pwru({ func: 'ip_local_out', time: 0 }), pwru({ time: 84_133 }));
  assert.deepEqual(drops(relative).map((d) => [d.keeps, d.stamp]), [['order', undefined]]);
  const { incidents, reconstruction } = analyse([recogniseEvidence('p.json', relative)]);
  assert.match(reconstruction.facts.clocks, /^No file tells when/);
  assert.equal(incidents.length, 1);
  assert.equal(drops(lines(pwru({ time: 84_133 })))[0]?.keeps, 'order', 'an excerpt');
  assert.equal(drops(lines(pwru({ time: 99_000_000_000 }), pwru({ time: 5_000_000_000 })))[0]?.keeps, 'order', 'backwards by more than buffers explain');
  assert.equal(drops(lines(pwru({ time: 99_000_000_000 }), pwru({ time: 98_900_000_000 })))[0]?.keeps, undefined, 'buffers of CPUs');
  const [absolute] = drops(lines(pwru({ time: '2026-02-20T16:41:30.250' })));
  assert.deepEqual([absolute?.stamp?.ns, absolute?.stamp?.zone, absolute?.keeps], [BigInt(Date.UTC(2026, 1, 20, 16, 41, 30, 250)) * 1_000_000n, false, undefined]);
  assert.match(analyse([recogniseEvidence('p.json', lines(pwru({ time: '2026-02-20T16:41:30.250' })))]).incidents[0]?.first ?? '', /^2026-02-20T16:41:30/);
  assert.deepEqual(drops(lines(pwru({ time: '16:41:30.250' }))).map((d) => d.keeps), ['day'], 'before 2026 without a date');
  const row = (time: string, at: string) => `${time}0xffff9f7c12345600 2   curl:412         ${at}4026532738 0            eth0:2      0x0800 1500  60    10.0.0.1:44022->10.0.0.2:80(tcp:SYN) sk_skb_reason_drop(SKB_DROP_REASON_NETFILTER_DROP) nft_do_chain\n`;
  assert.deepEqual(drops(row('', '84133            ')).map((d) => [d.keeps, d.told?.netns, d.told?.flags]), [['order', { inode: 4026532738 }, 2]]);
  assert.deepEqual(drops(row('', '123456799012     ')).map((d) => [d.keeps, d.time]), [[undefined, 123_456_799_012n]]);
  const both = all(row('2026-02-20T16:41:30.250 ', '123456799012     '));
  assert.ok(both.some((r) => r.kind === 'clocks' && r.mono === 123_456_799_012n && r.zone === false), 'both clocks join its times with those of logs');
  assert.deepEqual(drops(row('', '').replace('60    10', '60        blue   10')).map((d) => d.told?.netns), [{ inode: 4026532738, name: 'blue' }], 'the column of --netns-names');
  assert.deepEqual(drops(row('', '').replace('60    10', '60    [0x00000001,0x00000000,0x00000000,0x00000000,0x00000000] 10')).map((d) => d.told?.tuple?.destinationPort), [80], 'the column of --output-skb-cb');
});

test('a namespace by name in one file and by number in the other is one; the first namespace of the host is that of plain listings', () => {
  const drop = recogniseEvidence('p.json', lines(pwru({ netns_name: 'blue', caller_func: 'nft_do_chain', stack: '\nsk_skb_reason_drop\nnft_do_chain\nnft_do_chain_inet\nnf_hook_slow\nip_local_deliver\n' })));
  const rules = RULES.replace('9000', '80').replace('udp', 'tcp');
  const named = analyse([drop, recogniseEvidence('rules.txt', `== blue nft\n${rules}\n`)]).incidents[0];
  assert.deepEqual([named?.where.netns, named?.culprit['handle']], [{ inode: 4026532738, name: 'blue' }, 5]);
  const first = recogniseEvidence('p.json', lines(pwru({ netns: 4026531840, stack: 'sk_skb_reason_drop\nnft_do_chain\nnft_do_chain_inet\nnf_hook_slow\nip_local_deliver' }), pwru({ skb: '0xffff9f7c12345700', netns: 4026532738, stack: 'sk_skb_reason_drop\nnft_do_chain\nnft_do_chain_inet\nnf_hook_slow\nip_local_deliver' })));
  const two = analyse([first, recogniseEvidence('rules.json', rules)]).incidents;
  assert.deepEqual(two.map((i) => [i.where.netns.inode, i.culprit['handle']]).sort(), [[4026531840, 5], [4026532738, undefined]], 'rules of the host are not those of a container');
});

test('the bytes of a packet, cut anywhere', () => {
  for (let n = 0; n <= FRAME.length; n++) {
    const head = drops(lines({ ...DROP, packet: { len: 46, capture_len: 46, data: FRAME.slice(0, n) } }))[0]?.told?.head;
    assert.equal(head?.length, n < 16 ? undefined : Math.min(46, Math.floor((n * 6) / 8)), `${n}`);
  }
});

test('strange JSON: nothing throws, nothing is believed', () => {
  for (const odd of [
    lines({ ...DROP, netns: { inum: -1 }, dev: { name: 5, ifindex: 'x' }, ct: { state: 'new', ct_status: 'x', orig: 5 } }), lines({ ...DROP, netns: { inum: 1e300 } }), lines({ ...STEP, nft: { verdict: 'drop' } }, DROP),
    lines({ ...DROP, 'skb-tracking': { orig_head: null } }), lines(pwru({ netns: 1e300, time: 1e300, mark: 'x', iface: {}, proto: -5 })), lines(pwru({ time: -1 })), lines(pwru({ time: 'yesterday' })), '{\n'.repeat(3000), '[\n{\n', `[${'['.repeat(5000)}`,
    lines({ ...STARTUP, startup: { clock_monotonic_offset: { sec: 1e300, nsec: 'x' } } }), lines({ common: {}, ovs: { event_type: 'upcall_enqueue', ret: -1e9 } }),
  ]) analyse([recogniseEvidence('x', odd)]);
});
