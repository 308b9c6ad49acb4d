import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { analyse } from '../../src/app/analyze/judge.ts';
import { formatName, recogniseEvidence } from '../../src/formats/evidence-file.ts';
import type { TraceRecord } from '../../src/formats/evidence-record.ts';

const traces = (text: string): readonly TraceRecord[] => recogniseEvidence('x.txt', text).parts.flatMap((p) => p.records).filter((r) => r.kind === 'trace');
const verdicts = (text: string) => analyse([recogniseEvidence('x.txt', text)]).incidents.map((i) => [i.cause.id, i.count, i.victims[0]?.process?.comm, i.victims[0]?.flow?.destination]);

/* Made here: bpftrace 0.17 on Linux 6.18, a SYN and a datagram that iptables refused. */
const BPFTRACE = readFileSync(new URL('../../fixtures/analyze/tools/bpftrace-tcpdrop.txt', import.meta.url), 'utf8');

test('bpftrace tcpdrop: the socket, the task, the stack below the freeing functions', () => {
  const drops = traces(BPFTRACE);
  const syn = drops.find((d) => d.comm === 'curl');
  assert.equal(formatName(syn!), 'bpftrace tcpdrop');
  assert.deepEqual(syn?.told?.tuple, { family: 4, protocol: 6, source: '127.0.0.1', sourcePort: 48588, destination: '127.0.0.1', destinationPort: 82 });
  assert.deepEqual(syn?.stack.slice(0, 3).map((f) => [f.name, f.offset]), [['__traceiter_kfree_skb', 65], ['sk_skb_reason_drop', 144], ['nft_do_chain', 1000]]);
  assert.ok(verdicts(BPFTRACE).some((v) => v[0] === 'netfilter.rule-drop' && v[2] === 'curl' && v[3] === '127.0.0.1:82'));
});

/* By the format strings of bcc's tcpdrop 0.26: `%-8s %-7d %-2d %-20s > %-20s %s (%s)`, then frames behind a tab. */
const BCC = `TIME     PID     IP SADDR:SPORT          > DADDR:DPORT          STATE (FLAGS)
20:49:06 0       4  10.32.119.56:443     > 10.66.65.252:22912   CLOSE (ACK)
\ttcp_v4_rcv+0x135
\tip_local_deliver_finish+0x62
\tip_local_deliver+0x6f

20:50:00 4711    6  fd00::1:40000        > fd00::2:80           SYN_SENT (SYN)
\tnft_do_chain+0x3e8
\tnf_hook_slow+0x43
\tip6_output+0x5f
`;

test('bcc tcpdrop: both families, flags, frames with hexadecimal offsets', () => {
  const [ack, syn] = traces(BCC);
  assert.deepEqual([ack?.told?.tuple?.destination, ack?.told?.flags, ack?.stack[0]], ['10.66.65.252', 16, { name: 'tcp_v4_rcv', offset: 0x135 }]);
  assert.deepEqual([syn?.told?.tuple?.source, syn?.told?.tuple?.sourcePort, syn?.told?.flags, syn?.fields.get('protocol')], ['fd00::1', 40000, 2, String(0x86dd)]);
  assert.equal(recogniseEvidence('x', BCC).unread, 0);
});

/* By the format strings of dropwatch 1.5.4, and the example of its packet mode in the cover letter of drop_monitor (2019). */
const DROPWATCH = `Initializing kallsyms db
dropwatch> start
Enabling monitoring...
Kernel monitoring activated.
Issue Ctrl-C to stop monitoring
3 drops at nft_do_chain+3e8 (0xffffffff81a2c3e8) [software]
1 drops at location 0xffffffff81000000 [software]
2500 drops at tcp_v4_rcv+91 (0xffffffff81900091) [software]
1 drops at ttl_value_is_too_small [hardware]
drop at: ip6_mc_input+0x8b8/0xef8 (0xffffffff9e2bb0e8)
origin: software
input port ifindex: 4
input port name: eth0
timestamp: Mon Aug 12 10:53:37 2019 024444587 nsec
protocol: 0x86dd
length: 110
original length: 120
drop reason: NOT_SPECIFIED

`;

test('dropwatch: counts as that many drops, bounded; a packet with its time and device', () => {
  const file = recogniseEvidence('x', DROPWATCH);
  const records = file.parts.flatMap((p) => p.records);
  const drops = traces(DROPWATCH);
  const at = (location: string): number => drops.filter((d) => d.fields.get('location') === location).length;
  assert.deepEqual([at('nft_do_chain+0x3e8'), at('0xffffffff81000000'), at('tcp_v4_rcv+0x91'), at('ttl_value_is_too_small')], [3, 1, 1000, 1]);
  assert.ok(records.some((r) => r.kind === 'trace-loss' && r.lost === 1500), 'what is not described is told');
  const packet = drops.find((d) => d.fields.get('location')?.startsWith('ip6_mc_input') === true);
  assert.deepEqual([packet?.told, packet?.fields.get('protocol'), packet?.time], [{ length: 120, interface: 'eth0', ifindex: 4 }, String(0x86dd), BigInt(Date.UTC(2019, 7, 12, 10, 53, 37)) * 1_000_000n + 24_444_587n]);
  assert.equal(file.unread, 0);
  assert.ok(verdicts(DROPWATCH).some((v) => v[0] === 'netfilter.rule-drop' && v[1] === 3));
});

/* By the format strings of pwru's output.go (2026). */
const PWRU = `SKB                CPU PROCESS          TIMESTAMP        NETNS      MARK/x        IFACE       PROTO  MTU   LEN   TUPLE FUNC CALLER
0xffff9f7c12345600 2   ~local/bin/curl:412 123456789012     4026531840 0            eth0:2      0x0800 1500  60    10.0.0.1:44022->10.0.0.2:80(tcp) ip_local_out __ip_queue_xmit
0xffff9f7c12345600 2   ~local/bin/curl:412 123456799012     4026531840 0            eth0:2      0x0800 1500  60    10.0.0.1:44022->10.0.0.2:80(tcp:SYN) sk_skb_reason_drop(SKB_DROP_REASON_NETFILTER_DROP) nft_do_chain
0xffff9f7c12345700 0   <empty>:0        123456899012     sk_skb_reason_drop(SKB_DROP_REASON_NO_SOCKET)
sk_skb_reason_drop
udp_queue_rcv_one_skb
__udp4_lib_rcv
`;
const PWRU_JSON = `{"skb":"0xffff9f7c12345600","cpu":2,"process":"~local/bin/curl:412","func":"ip_local_out","time":123456789012,"tuple":{"saddr":"10.0.0.1","daddr":"10.0.0.2","sport":44022,"dport":80,"proto":6}}
{"skb":"0xffff9f7c12345600","cpu":2,"process":"~local/bin/curl:412","func":"sk_skb_reason_drop(SKB_DROP_REASON_NETFILTER_DROP)","caller_func":"nft_do_chain","time":123456799012,"netns":4026531840,"iface":"eth0:2","proto":2048,"mtu":1500,"len":60,"tuple":{"saddr":"10.0.0.1","daddr":"10.0.0.2","sport":44022,"dport":80,"proto":6,"flags":"SYN"},"stack":"\\nsk_skb_reason_drop\\nnft_do_chain\\nnf_hook_slow\\nip_local_out"}
`;

test('pwru, as a table and as JSON: only what was freed with a reason is a drop', () => {
  for (const [text, many] of [[PWRU, 2], [PWRU_JSON, 1]] as const) {
    const drops = traces(text);
    assert.equal(drops.length, many);
    const [syn] = drops;
    assert.deepEqual([syn?.comm, syn?.tid, syn?.cpu, syn?.time, syn?.fields.get('reason'), syn?.fields.get('location'), syn?.told?.interface, syn?.told?.length], ['curl', 412, 2, 123_456_799_012n, 'NETFILTER_DROP', 'nft_do_chain', 'eth0', 60]);
    assert.deepEqual(syn?.told?.tuple, { family: 4, protocol: 6, source: '10.0.0.1', sourcePort: 44022, destination: '10.0.0.2', destinationPort: 80 });
    assert.equal(recogniseEvidence('x', text).unread, 0);
    assert.ok(verdicts(text).some((v) => v[0] === 'netfilter.rule-drop' && v[3] === '10.0.0.2:80'));
  }
  assert.deepEqual(traces(PWRU)[1]?.stack.map((f) => f.name), ['sk_skb_reason_drop', 'udp_queue_rcv_one_skb', '__udp4_lib_rcv']);
});

/* An Ethernet frame with a UDP packet 10.0.0.1:40000 > 10.0.0.2:9000, four bytes of payload. */
const FRAME = Buffer.from('020000000002020000000001' + '0800' + '45000020000040004011' + '26cb' + '0a0000010a000002' + '9c402328000c0000' + '78787878', 'hex').toString('base64');
const RETIS = `{"common":{"timestamp":30415793489711},"startup":{"retis_version":"v1.6.0","clock_monotonic_offset":{"sec":1742309146,"nsec":691042000}}}
{"common":{"timestamp":30419169061793,"smp_id":6,"task":{"pid":11330,"tgid":11329,"comm":"sender"}},"kernel":{"symbol":"net:net_dev_start_xmit","probe_type":"raw_tracepoint"},"packet":{"len":46,"capture_len":46,"data":"${FRAME}"}}
{"common":{"timestamp":30419169457160,"smp_id":6,"task":{"pid":11330,"tgid":11329,"comm":"sender"}},"kernel":{"symbol":"skb:kfree_skb","probe_type":"raw_tracepoint","stack_trace":["sk_skb_reason_drop+0x90","__udp4_lib_rcv+0x91","ip_protocol_deliver_rcu+0x28"]},"skb-drop":{"drop_reason":"NO_SOCKET"},"dev":{"name":"veth0","ifindex":11,"rx_ifindex":11},"netns":{"cookie":3,"inum":4026532741},"packet":{"len":46,"capture_len":46,"data":"${FRAME}"}}
`;

test('retis: the packet from its bytes, reason, stack and wall time', () => {
  const { incidents } = analyse([recogniseEvidence('events.json', RETIS)]);
  assert.deepEqual(incidents.map((i) => [i.cause.id, i.count, i.where.interface, i.where.reason, i.victims[0]?.flow?.source, i.victims[0]?.flow?.destination]), [['socket.no-listener', 1, 'veth0', 'NO_SOCKET', '10.0.0.1:40000', '10.0.0.2:9000']]);
  assert.match(incidents[0]?.first ?? '', /^2025-03-18T23:1[0-9]:/);
  const older = RETIS.replace('"packet":{"len":46,"capture_len":46,"data"', '"skb":{"packet":{"len":46,"capture_len":46,"packet"').replaceAll(`${FRAME}"}}\n`, `${FRAME}"}}}\n`);
  assert.ok(older !== RETIS);
  assert.equal(recogniseEvidence('x', RETIS).unread, 0);
});

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/analyze/tools/${name}`, import.meta.url), 'utf8');
const byPlace = (text: string): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const d of traces(text)) counts[`${d.fields.get('location')} ${d.fields.get('reason') ?? '-'}`] = (counts[`${d.fields.get('location')} ${d.fields.get('reason') ?? '-'}`] ?? 0) + 1;
  return counts;
};

test('dropwatch on 6.1, packet mode: also drops in a module, each with its own time', () => {
  const text = fixture('dropwatch-packet-6.1.txt');
  assert.deepEqual(byPlace(text), { 'nft_do_chain+0x47f [nf_tables] NETFILTER_DROP': 10, '__udp4_lib_rcv+0x9a2 NO_SOCKET': 5, 'ip6_mc_input+0x1e8 NOT_SPECIFIED': 7 });
  assert.equal(recogniseEvidence('x', text).unread, 1, 'the line that was cut when the guest was stopped');
  const [first] = traces(text);
  assert.deepEqual([first?.time, first?.told?.length], [BigInt(Date.UTC(2026, 10, 23, 5, 12, 31)) * 1_000_000n + 317_600_471n, 106]);
});

test('dropwatch on 6.1, summary mode: as many as it counted', () => {
  const text = fixture('dropwatch-summary-6.1.txt');
  assert.deepEqual(byPlace(text), { 'ip6_mc_input+0x1e8 -': 7, '__init_scratch_end+0x247af54f -': 13, '__udp4_lib_rcv+0x9a2 -': 5 });
  assert.equal(recogniseEvidence('x', text).unread, 0);
});

/* Lines that users of pwru showed (cilium/pwru issue 429, pull request 148), and one as output.go prints it for a packet freed after use. */
test('pwru without time stamps: interface and length; no reason; the older process column; what was consumed is no loss', () => {
  const [bare] = traces('0xffff997d135cf300 17  ~system-x86:3433 4026531840 0          vgif_r2_1:13   0x0800 1500  100   172.16.0.1:0->172.16.0.2:0(icmp) sk_skb_reason_drop\n');
  assert.deepEqual([bare?.cpu, bare?.tid, bare?.told?.interface, bare?.told?.length, bare?.fields.get('protocol'), bare?.fields.get('reason'), bare?.told?.tuple?.destination, bare?.keeps], [17, 3433, 'vgif_r2_1', 100, String(0x800), undefined, '172.16.0.2', 'order']);
  const old = traces('0xffff936378692ce8 6 [curl]             nf_hook_slow 172.20.10.2:33918->1.1.1.1:4240(tcp)\n0xffff936378692ce8 6 [curl] kfree_skb_reason(SKB_DROP_REASON_NETFILTER_DROP) 172.20.10.2:33918->1.1.1.1:4240(tcp)\n');
  assert.deepEqual(old.map((d) => [d.comm, d.fields.get('reason'), d.fields.get('location'), d.told?.tuple?.destinationPort]), [['curl', 'NETFILTER_DROP', undefined, 4240]]);
  assert.deepEqual(traces('0xffff936378692ce8 6   ping:4711        4026531840 0               eth0:2      0x0800 1500  84    10.0.0.1:0->10.0.0.2:0(icmp) sk_skb_reason_drop(SKB_CONSUMED)\n'), []);
  assert.deepEqual(traces('{"skb":"0xffff936378692ce8","process":"ping:4711","func":"sk_skb_reason_drop(SKB_CONSUMED)"}\n'), []);
});

/* The drop of retis-events/test_data/test_events.json (retis-org/retis), a flat skb section, shortened. */
test('retis before 1.0: the flow from its headers', () => {
  const [drop] = traces('{"common":{"smp_id":0,"task":{"comm":"napi/phy0-8197","pid":1360,"tgid":1360},"timestamp":23868955449721},"kernel":{"probe_type":"raw_tracepoint","symbol":"skb:kfree_skb"},"skb":{"daddr":"172.200.0.2","dev_name":"p1_r","etype":2048,"icmp_code":0,"icmp_type":0,"netns":4026535848,"protocol":1,"saddr":"172.200.0.3"},"skb-drop":{"drop_reason":"NO_SOCKET"}}\n');
  assert.deepEqual([drop?.told?.tuple, drop?.told?.interface, drop?.fields.get('reason')], [{ family: 4, protocol: 1, source: '172.200.0.3', destination: '172.200.0.2' }, 'p1_r', 'NO_SOCKET']);
});

test('no cut, no changed byte and no strange JSON makes a reader throw', () => {
  for (const text of [BPFTRACE, BCC, DROPWATCH, PWRU, PWRU_JSON, RETIS, fixture('dropwatch-packet-6.1.txt')]) {
    for (let n = 0; n < text.length; n += 13) {
      recogniseEvidence('x', text.slice(0, n));
      recogniseEvidence('x', `${text.slice(0, n)}"\\u0000{[${text.slice(n + 3)}`);
    }
  }
  for (const odd of ['{}', '[]', '{"common":1,"kernel":2}', '{"common":{},"kernel":{},"skb-drop":{}}', '{"func":"kfree_skb_reason(X)","skb":"0x1","tuple":{"saddr":1}}', '{"common":{"timestamp":1e300},"kernel":{},"skb-drop":{"drop_reason":7},"packet":{"data":"!!!!"}}', '{"startup":{"clock_monotonic_offset":{"sec":"x"}},"common":{}}']) analyse([recogniseEvidence('x', odd)]);
});
