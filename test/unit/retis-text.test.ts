import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyse } from '../../src/app/analyze/judge.ts';
import { recogniseEvidence } from '../../src/formats/evidence-file.ts';
import type { TraceRecord } from '../../src/formats/evidence-record.ts';

/* By the format strings of retis' events (1.0 to May 2026), both ways of time, sections on lines of their own and on one line. */
const TEXT = `53529978697438 (1) [sender] 412/411 [k] __nft_trace_packet #30b1a1b2c3d4ffff888100200300 (skb ffff888100200300)
  02:00:00:00:00:02 > 02:00:00:00:00:01 ethertype IPv4 (0x0800) 10.0.0.1.40000 > 10.0.0.2.9000 tos 0x0 ttl 64 id 5 off 0 [DF] len 46 proto UDP (17) len 18
  ns 0x1/4026532738 if 7 (veth0) rxif 7
  table fw (3) chain in (1) handle 4 drop
  ct_state NEW status 0x100 udp orig [10.0.0.1.40000 > 10.0.0.2.9000] reply [10.0.0.2.9000 > 10.0.0.1.40000] zone 0 mark 0x7
53529978701985 (1) [sender] 412/411 [tp] skb:kfree_skb #30b1a1b2c3d4ffff888100200300 (skb ffff888100200300) drop (reason NETFILTER_DROP)
    sk_skb_reason_drop+0x90
    nft_do_chain+0x3e8
    nft_do_chain_inet+0xa4
    nf_hook_slow+0x43
    ip_local_deliver+0xe0
    process_backlog+0x80
  10.0.0.1.40000 > 10.0.0.2.9000 tos 0x0 ttl 64 id 5 off 0 [DF] len 46 proto UDP (17) len 18
  ns 0x1/4026532738 if 7 (veth0) rxif 7
53529978999999 (0) [swapper/0] 0 [tp] net:netif_receive_skb #40b1a1b2c3d4ffff888100200400 (skb ffff888100200400)
`;
const traces = (text: string): readonly TraceRecord[] => recogniseEvidence('x', text).parts.flatMap((p) => p.records).filter((r) => r.kind === 'trace');

test('retis print: the same of its text as of its JSON', () => {
  assert.equal(recogniseEvidence('x', TEXT).unread, 0);
  const drops = traces(TEXT);
  assert.equal(drops.length, 1, 'steps on the way are no losses');
  const [d] = drops;
  assert.deepEqual([d?.comm, d?.tid, d?.cpu, d?.time, d?.fields.get('reason'), d?.stack.length, d?.stack[1]], ['sender', 411, 1, 53_529_978_701_985n, 'NETFILTER_DROP', 6, { name: 'nft_do_chain', offset: 0x3e8 }]);
  assert.deepEqual([d?.told?.tuple, d?.told?.interface, d?.told?.ifindex, d?.told?.netns, d?.told?.verdict], [{ family: 4, protocol: 17, source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 40000, destinationPort: 9000 }, 'veth0', 7, { inode: 4026532738 }, { table: 'fw', chain: 'in', rule: 4 }]);
  assert.deepEqual([d?.told?.conntrack?.info, d?.told?.conntrack?.status, d?.told?.conntrack?.original?.destinationPort], [2, 0x100, 9000]);
  const [incident] = analyse([recogniseEvidence('print.txt', TEXT)]).incidents;
  assert.deepEqual([incident?.cause.id, incident?.confidence, incident?.culprit['handle'], incident?.where.netns.inode], ['netfilter.rule-drop', 0.95, 4, 4026532738]);
});

test('retis collect on one line, in UTC, of other protocols; before 1.6 without a word for the reason', () => {
  const line = '2025-03-18 15:03:52.123456 (2) [curl] 99 [tp] skb:kfree_skb drop (reason NO_SOCKET) [sk_skb_reason_drop+0x1, tcp_v6_rcv+0x77] fd00::1.40000 > fd00::2.80 ttl 64 label 0x5 len 40 proto TCP (6) flags [S] seq 7 win 64 ns 4026531840 if 2 (eth0)\n';
  const [syn] = traces(line);
  assert.deepEqual([syn?.told?.tuple?.source, syn?.told?.tuple?.destinationPort, syn?.told?.flags, syn?.stamp?.ns, syn?.told?.interface], ['fd00::1', 80, 2, BigInt(Date.UTC(2025, 2, 18, 15, 3, 52)) * 1_000_000n + 123_456_000n, 'eth0']);
  const old = traces('4152973315243 [nc] 14839 [tp] skb:kfree_skb drop (NO_SOCKET)\n    kfree_skb_reason+0x8f\n    tcp_v6_rcv+0x77\n    ip6_protocol_deliver_rcu+0x6b\n')[0];
  assert.deepEqual([old?.fields.get('reason'), old?.comm, old?.stack.length, old?.cpu], ['NO_SOCKET', 'nc', 3, 0]);
  const ping = traces('4152973315243 [ping] 5 [tp] skb:kfree_skb drop (reason openvswitch/OVS_DROP_LAST_ACTION) 10.0.0.1 > 10.0.0.2 tos 0x0 ttl 1 len 84 proto ICMP (1) type 8 code 0\n')[0];
  assert.deepEqual([ping?.fields.get('reason'), ping?.told?.tuple], ['OVS_DROP_LAST_ACTION', { family: 4, protocol: 1, source: '10.0.0.1', destination: '10.0.0.2' }]);
  assert.deepEqual(traces('4152973315243 [ping] 5 [tp] skb:kfree_skb drop (reason CONSUMED)\n'), []);
});

test('pwru: module names without a blank, in callers and stacks; the columns until October 2023', () => {
  const [a] = traces('0xff452c7c65ea9e00 4   <empty>:0        4026531840 0            ens1f0:2     0x0800 9000  74    10.0.0.2:35676->10.0.0.1:443(tcp) kfree_skb_reason(SKB_DROP_REASON_NETFILTER_DROP) nft_do_chain[nf_tables]\nnft_do_chain[nf_tables]\nnft_do_chain_inet[nf_tables]\nnf_hook_slow\n');
  assert.deepEqual([a?.fields.get('location'), a?.stack], ['nft_do_chain [nf_tables]', [{ name: 'nft_do_chain', module: 'nf_tables' }, { name: 'nft_do_chain_inet', module: 'nf_tables' }, { name: 'nf_hook_slow' }]]);
  const [b] = traces('0xffff90f72f43fae8      2             [nc] kfree_skb_reason(SKB_DROP_REASON_NO_SOCKET) netns=4026533589 mark=0x2a ifindex=8 proto=8 mtu=1500 len=60 10.0.0.1:34998->10.0.0.2:80(tcp)\n');
  assert.deepEqual([b?.comm, b?.fields.get('reason'), b?.fields.get('protocol'), b?.told], ['nc', 'NO_SOCKET', String(0x800), { tuple: { family: 4, protocol: 6, source: '10.0.0.1', destination: '10.0.0.2', sourcePort: 34998, destinationPort: 80 }, length: 60, mark: 42, ifindex: 8, netns: { inode: 4026533589 } }]);
});

test('dmesg -T and journalctl: a sentence of the kernel with its date', () => {
  for (const text of ['[Mon Nov 23 07:17:24 2026] nf_conntrack: nf_conntrack: table full, dropping packet\n', '2026-11-23T07:17:24+0000 host kernel: nf_conntrack: nf_conntrack: table full, dropping packet\n']) {
    const [incident] = analyse([recogniseEvidence('k', text)]).incidents;
    assert.deepEqual([incident?.cause.id, incident?.first.slice(0, 19)], ['conntrack.table-full', '2026-11-23T07:17:24'], text);
  }
});
