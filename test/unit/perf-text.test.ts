import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { analyse } from '../../src/app/analyze/judge.ts';
import { recogniseEvidence } from '../../src/formats/evidence-file.ts';
import type { EvidenceRecord, TraceRecord } from '../../src/formats/evidence-record.ts';

/* Made with perf 6.1, trace-cmd 3.1.6, bcc 0.26 and bpftrace 0.17 in QEMU guests with Debian's 6.1 and 6.12 (fixtures/analyze/tools/README.md). */
const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/analyze/tools/${name}`, import.meta.url), 'utf8');
const all = (text: string): readonly EvidenceRecord[] => recogniseEvidence('x', text).parts.flatMap((p) => p.records);
const traces = (text: string): readonly TraceRecord[] => all(text).filter((r) => r.kind === 'trace');

test('perf script with header and stacks: the kernel release, frames of the kernel alone, nothing left over', () => {
  const text = fixture('perf-script-6.1.txt');
  assert.equal(recogniseEvidence('x', text).unread, 0);
  assert.ok(all(text).some((r) => r.kind === 'kernel' && r.release === '6.1.0-56-cloud-amd64'));
  const drops = traces(text);
  assert.equal(drops.length, 8);
  const sent = drops.find((d) => d.comm === 'python3' && d.stack.some((f) => f.name === 'tcp_connect'));
  assert.deepEqual([sent?.tid, sent?.stack.at(-1)?.name, sent?.fields.get('reason'), sent?.time], [164, 'entry_SYSCALL_64_after_hwframe', 'NETFILTER_DROP', 11_636_651_341n]);
  assert.ok(drops.every((d) => d.stack.every((f) => f.address! >= 1n << 63n)), 'no frame of user space');
});

test('perf script -F: whatever of comm, pid, cpu, time and period is there; without a time only the order', () => {
  const file = recogniseEvidence('x', fixture('perf-script-fields-6.1.txt'));
  assert.equal(file.unread, 0);
  const told = file.parts.map((p) => {
    const first = p.records.find((r) => r.kind === 'trace');
    return [p.heading.replace('perf script ', ''), p.records.length, first?.comm, first?.tid, first?.cpu, first?.keeps ?? first?.time, first?.stack.length, first?.fields.get('reason')];
  });
  assert.deepEqual(told, [
    ['-F comm,pid,tid,cpu,time,event,ip,sym,symoff,trace', 2, 'python3', 164, 1, 11_549_433_000n, 23, 'NETFILTER_DROP'],
    ['-F comm,tid,time,event,ip,sym,trace', 2, 'python3', 164, 0, 11_549_433_000n, 23, 'NETFILTER_DROP'],
    ['-F tid,cpu,time,event,trace', 3, '<...>', 164, 1, 11_549_433_000n, 0, 'NETFILTER_DROP'],
    ['-F comm,pid,cpu,time,event,trace,period', 3, 'python3', 164, 1, 11_549_433_000n, 0, 'NETFILTER_DROP'],
    ['-F time,event,trace', 3, '<...>', undefined, 0, 11_549_433_000n, 0, 'NETFILTER_DROP'],
    ['-F comm,tid,event,sym,trace', 3, 'python3', 164, 0, 'order', 0, 'NETFILTER_DROP'],
    ['(recorded without -g)', 3, 'python3', 166, 0, 19_929_409_000n, 0, 'NO_SOCKET'],
  ]);
});

test('perf script --reltime and perf trace: their times begin with the recording and are no clock', () => {
  const relative = traces(fixture('perf-script-reltime-6.12.txt'));
  assert.deepEqual([relative.length, relative.every((d) => d.keeps === 'order')], [5, true]);
  const traced = traces(fixture('perf-trace-6.12.txt'));
  assert.deepEqual([traced.length, traced[0]?.comm, traced[0]?.tid, traced[0]?.fields.get('protocol'), traced[0]?.stack.slice(0, 2).map((f) => f.name), traced[0]?.stack.at(-1)?.name], [3, 'python3', 234, '2048', ['sk_skb_reason_drop', 'nft_do_chain'], 'entry_SYSCALL_64_after_hwframe']);
  assert.equal(recogniseEvidence('x', fixture('perf-trace-6.12.txt')).unread, 0);
});

test('perf: what was lost is told; lines of logs that look alike are none', () => {
  assert.ok(all('curl 412 [000] 12.345678: skb:kfree_skb: skbaddr=0x1 protocol=2048 location=0xffffffff81000000 reason: NO_SOCKET\nswapper     0 [000]    12.500000: PERF_RECORD_LOST lost 34\n').some((r) => r.kind === 'trace-loss' && r.lost === 34));
  for (const line of ['error 5 net: timed out', 'sshd 412 tcp: connected', '12:00:01 net:check: fine', 'foo [1] bar:baz: 7', 'skb:kfree_skb: alone']) assert.deepEqual(traces(`${line}\n`), [], line);
});

test('trace-cmd report: stacks that begin on the line of their event, the instance in front', () => {
  const text = fixture('trace-cmd-report-6.1.txt');
  assert.equal(recogniseEvidence('x', text).unread, 0);
  const drops = traces(text).filter((d) => d.event === 'kfree_skb');
  assert.deepEqual([drops.length, drops[0]?.comm, drops[0]?.tid, drops[0]?.stack.slice(1, 4).map((f) => f.name)], [9, 'python3', 203, ['kfree_skb_reason', 'nft_do_chain', 'nft_do_chain_inet']]);
});

test('tcpdrop of bcc on 6.1: bytes of Python around frames; of IPv6 packets being sent it prints the addresses the wrong way round', () => {
  const text = fixture('bcc-tcpdrop-6.1.txt');
  assert.equal(recogniseEvidence('x', text).unread, 0);
  const [four, six] = traces(text);
  assert.deepEqual([four?.told?.tuple?.destination, four?.told?.tuple?.destinationPort, four?.told?.flags, four?.stack[1]], ['10.77.0.2', 82, 2, { name: 'nft_do_chain', offset: 0x47f }]);
  assert.deepEqual([six?.told?.tuple?.source, six?.told?.tuple?.destination, six?.told?.tuple?.destinationPort], ['fd77::1', 'fd77::2', 82]);
  const received = traces('12:00:00 0       6  fd77::2:82           > fd77::1:43996        ESTABLISHED (ACK)\n\ttcp_v6_rcv+0x1\n\tip6_protocol_deliver_rcu+0x2\n')[0];
  assert.equal(received?.told?.tuple?.source, 'fd77::2');
  const { incidents, reconstruction } = analyse([recogniseEvidence('x', text)]);
  assert.match(reconstruction.facts.clocks, /^The files tell times of a day only/);
  assert.deepEqual(incidents.map((i) => [i.cause.id, i.count, i.where.symbol]), [['netfilter.rule-drop', 2, 'nft_do_chain+0x47f']]);
});

test('tcpdrop.bt on 6.12: wide columns, both families', () => {
  const text = fixture('bpftrace-tcpdrop-6.12.txt');
  assert.equal(recogniseEvidence('x', text).unread, 0);
  assert.deepEqual(traces(text).map((d) => [d.comm, d.told?.tuple?.destination, d.told?.tuple?.destinationPort, d.stack[1]?.name]), [['python3', '10.77.0.2', 82, 'nft_do_chain'], ['python3', 'fd77::2', 82, 'nft_do_chain'], ['python3', '10.77.0.2', 82, 'nft_do_chain'], ['python3', 'fd77::2', 82, 'nft_do_chain']]);
});

test('two summaries of dropwatch, which have no times, are not taken for one', () => {
  const summary = '3 drops at nft_do_chain+3e8 (0xffffffff81a2c3e8) [software]\n';
  const { incidents } = analyse([recogniseEvidence('a.txt', summary), recogniseEvidence('b.txt', summary)]);
  assert.deepEqual(incidents.map((i) => i.count), [6]);
});
