import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { mono, netnsInode } from '../../src/base/brand.ts';
import { placeText } from '../../src/base/symbol.ts';
import type { DropEvent } from '../../src/model/event.ts';
import type { TracePageRecord } from '../../src/model/record.ts';
import { symbolsOf } from '../../src/timeline/symbols.ts';
import { tracePages, type TraceEvent, type TracePages } from '../../src/timeline/trace-page.ts';
import { fuzzBytes, fuzzText } from '../fuzz/fuzz.ts';

const folder = new URL('../../fixtures/tracefs/', import.meta.url);
const text = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
const recordsOf = (name: string, tasks?: string): TracePageRecord[] => text(name).trimEnd().split('\n').map((line) => {
  const [, cpu, hex] = line.split(' ');
  return { record: 'trace-page', time: mono(0n), cpu: Number(cpu), bytes: Uint8Array.from(Buffer.from(hex!, 'hex')), ...(tasks === undefined ? {} : { tasks }) };
});
const formatsOf = (v: string) => ({
  header_page: text(`header_page-${v}`), header_event: text(`header_event-${v}`), 'skb/kfree_skb': text(`kfree_skb-${v}.format`), 'ftrace/kernel_stack': text(`kernel_stack-${v}.format`),
  'sched/sched_process_exec': text(`sched_process_exec-${v}.format`), 'syscalls/sys_exit_sendto': text(`sys_exit_sendto-${v}.format`),
});
const formats = formatsOf('6.18');
const symbols = symbolsOf(text('kallsyms-6.18-drops.txt'));
const decoder = (v = '6.18'): TracePages => {
  const there = v === '6.18' ? symbols : symbolsOf(text(`kallsyms-${v}-drops.txt`));
  return tracePages({ formats: formatsOf(v), symbols: () => there, dropReasons: [] });
};
const all = (name: string, tasks?: string): TraceEvent[] => {
  const d = decoder(/-([\d.]+)\.pages$/.exec(name)![1]);
  return [...recordsOf(name, tasks).flatMap((r) => d.page(r)), ...d.flush()];
};
const TASKS = JSON.stringify([{ tid: 15041, pid: 15040, parent: 7, uid: 0, netns: 4026532738, comm: 'python3', argv: ['python3', 'x.py'] }]);

for (const v of ['6.1', '6.12', '6.18']) {
  test(`${v}: drops with their stacks, and the calls that failed, as the kernel printed them`, () => {
    const trace = text(`drops-${v}.trace`);
    const tid = Number(/python3-(\d+)/.exec(trace)![1]);
    const tasks = JSON.stringify([{ tid, pid: tid - 1, parent: 7, uid: 0, netns: 4026532738, comm: 'python3', argv: ['python3', 'x.py'] }]);
    const events = all(`drops-${v}.pages`, tasks);
    assert.deepEqual(events.map((e) => e.kind === 'drop' ? e.reason.name : e.kind === 'call' ? `${e.syscall} ${e.errno}` : e.kind),
      Array.from({ length: 4 }, () => ['NETFILTER_DROP', 'sendto EPERM', 'NO_SOCKET']).flat());
    const printed = [...trace.matchAll(/ (\d+)\.(\d{6}): kfree_skb: .*?location=(\S+)(?: \[\w+\])? reason: (\w+)\n.*<stack trace>\n((?: => .*\n)+)/g)];
    const drops = events.filter((e) => e.kind === 'drop');
    assert.equal(drops.length, printed.length);
    drops.forEach((drop, i) => {
      const [, seconds, micros, location, reason, stack] = printed[i]!;
      assert.equal((drop.time + 500n) / 1000n, BigInt(seconds! + micros!));
      if (location!.includes('+')) assert.equal(placeText(drop.place).split(' ')[0], location!.split('/')[0]); // 6.1 prints a hash
      assert.equal(drop.reason.name, reason);
      const frames = stack!.trim().split('\n').map((l) => l.trim().slice(3));
      assert.deepEqual(drop.stack.map((p) => p.name), frames.slice(frames.findIndex((f) => /^(sk_skb_reason_drop|kfree_skb_reason)$/.test(f))), 'without the tracer\'s own frames');
      assert.ok(drop.stack.some((p) => p.name === drop.place.name));
      assert.deepEqual([drop.protocol, drop.probe], [0x0800, 'tracefs']);
    });
    const [output, , input] = events;
    assert.ok(output?.kind === 'drop' && input?.kind === 'drop');
    assert.deepEqual([output.softirq, input.softirq], [false, true]);
    assert.deepEqual([output.netns, input.netns], [4026532738, 0], 'in softirq the task\'s namespace says nothing');
    assert.deepEqual(output.task, { pid: tid - 1, tid, comm: 'python3', uid: 0 });
  });
}

test('without the tasks there is the thread\'s number and no more', () => {
  const [drop] = all('drops-6.18.pages');
  assert.ok(drop?.kind === 'drop');
  assert.deepEqual([drop.task, drop.netns], [{ pid: 15041, tid: 15041, comm: '' }, 0]);
});

test('a stack on the next page finds its drop; the first page of an overrun buffer begins with a stack whose drop is gone', () => {
  for (const v of ['6.1', '6.12', '6.18']) {
    const trace = text(`lost-${v}.trace`);
    const drops = all(`lost-${v}.pages`).filter((e): e is DropEvent => e.kind === 'drop');
    assert.equal(drops.length, (trace.match(/ kfree_skb: /g) ?? []).length);
    assert.ok(trace.indexOf('<stack trace>') < trace.indexOf(' kfree_skb: '), 'the fixture does begin so');
    assert.equal(drops.filter((d) => d.stack.length === 0).length, 0);
  }
});

test('a page read before its last stack was written: flush gives the drop, the stack comes too late', () => {
  const d = decoder();
  const [record] = recordsOf('drops-6.18.pages');
  const short = Uint8Array.from(record!.bytes.subarray(0, 16 + 44)); // the first event alone
  new DataView(short.buffer).setUint32(8, 44, true);
  assert.deepEqual(d.page({ ...record!, bytes: short }), []);
  const [drop] = d.flush();
  assert.ok(drop?.kind === 'drop');
  assert.deepEqual([drop.reason.name, drop.stack], ['NETFILTER_DROP', []]);
  assert.deepEqual(d.flush(), []);
});

test('a kernel without reasons, and one whose reason has no name', () => {
  const old = formats['skb/kfree_skb'].replace(/.*enum skb_drop_reason.*\n/, '').replace(/^print fmt.*$/m, 'print fmt: "x"');
  const events = (d: TracePages): string[] => recordsOf('drops-6.18.pages').flatMap((r) => d.page(r)).flatMap((e) => e.kind === 'drop' ? [`${e.reason.number} ${e.reason.name}`] : []);
  assert.deepEqual(new Set(events(tracePages({ formats: { ...formats, 'skb/kfree_skb': old }, symbols: () => symbols, dropReasons: [] }))), new Set(['0 NOT_SPECIFIED']));
  const nameless = formats['skb/kfree_skb'].replace('{ 12, "NETFILTER_DROP" }, ', '');
  assert.equal(events(tracePages({ formats: { ...formats, 'skb/kfree_skb': nameless }, symbols: () => symbols, dropReasons: [] }))[0], '12 12');
  assert.equal(events(tracePages({ formats: { ...formats, 'skb/kfree_skb': nameless }, symbols: () => symbols, dropReasons: [[12, 'FROM_BTF']] }))[0], '12 FROM_BTF');
});

test('any bytes, any tasks, any formats', () => {
  const [record] = recordsOf('drops-6.18.pages', TASKS);
  fuzzBytes({ seeds: [record!.bytes], rounds: 1500, decode: (bytes) => { const d = decoder(); return [d.page({ ...record!, bytes }), d.flush(), [...d.damaged]]; } });
  fuzzText({ seeds: [TASKS], rounds: 500, decode: (tasks) => { const d = decoder(); return [d.page({ ...record!, tasks }), d.flush()]; } });
  fuzzText({ seeds: [formats['ftrace/kernel_stack'], text('kfree_skb-6.1.format').slice(0, 1200)], rounds: 300, decode: (t) => {
    const d = tracePages({ formats: { ...formats, 'skb/kfree_skb': t, 'ftrace/kernel_stack': t, 'syscalls/sys_exit_sendto': t }, symbols: () => symbols, dropReasons: [] });
    return [d.page(record!), d.flush()];
  } });
});

test('a received packet that its namespace counts is taken for one of the watched namespace, others are not', () => {
  const mine = netnsInode(4026532738);
  const d = tracePages({ formats, symbols: () => symbols, dropReasons: [], watched: mine });
  const drops = [...recordsOf('drops-6.18.pages').flatMap((r) => d.page(r)), ...d.flush()].filter((e) => e.kind === 'drop');
  assert.deepEqual([...new Set(drops.map((e) => `${e.reason.name} ${e.softirq} ${e.netns}`))].toSorted(), ['NETFILTER_DROP false 0', `NO_SOCKET true ${mine}`]);
});
