import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address, mono, netnsInode } from '../../src/base/brand.ts';
import { undescribedOf, type ExportedEvent } from '../../src/exports/index.ts';
import type { CallCountEvent, CallEvent, DropCountEvent, DropEvent } from '../../src/model/event.ts';

const KEY = { place: { address: address(1n), name: 'f' }, reason: { number: 8, name: 'NETFILTER_DROP' }, netns: netnsInode(7), ifindex: 3, protocol: 0x800 } as const;
const S = 1_000_000_000n;
const reading = (at: bigint, packets: number, over: Partial<DropCountEvent> = {}): DropCountEvent => ({ kind: 'drop-count', time: mono(at), ...KEY, packets, bytes: packets * 10, ...over });
const drop = (at: bigint, incident?: string, over: Partial<DropEvent> = {}): ExportedEvent => ({
  event: { kind: 'drop', time: mono(at), ...KEY, interface: 'eth0', cpu: 0, skb: address(2n), length: 10, mark: 0, packet: {}, stack: [], softirq: false, task: { pid: 1, tid: 1, comm: 'x' }, probe: 'bpf', ...over } as DropEvent,
  ...(incident === undefined ? {} : { incident: { id: incident, cause: `c.${incident}` } }),
});
const call = (at: bigint, over: Partial<CallEvent> = {}): ExportedEvent => ({ event: { kind: 'call', time: mono(at), cpu: 0, netns: netnsInode(7), task: { pid: 9, tid: 9, comm: 'vpn' }, syscall: 'sendto', errno: 'EPERM', args: [], ...over } });
const calls = (at: bigint, n: number, over: Partial<CallCountEvent> = {}): CallCountEvent => ({ kind: 'call-count', time: mono(at), pid: 9, syscall: 'sendto', errno: 'EPERM', calls: n, ...over });
const sum = (rows: readonly { readonly count: number }[]): number => rows.reduce((n, r) => n + r.count, 0);

test('a counter without a description is there whole, in the seconds when it moved', () => {
  const rows = undescribedOf([reading(S, 5), reading(S + 9n, 8), reading(2n * S, 8), reading(5n * S, 100)], []);
  assert.deepEqual(rows.map((r) => [r.time, r.count, r.bytes, r.incident]), [[S + 9n, 8, 80, undefined], [5n * S, 92, 920, undefined]]);
  assert.equal(rows[0]?.interface, undefined);
});

test('samples are taken off in the interval in which they were counted; late ones cost nothing', () => {
  const rows = undescribedOf([reading(S, 3), reading(2n * S, 10)], [drop(1n), drop(2n), drop(S + 1n), drop(2n * S + 1n)]);
  assert.deepEqual(rows.map((r) => [r.time, r.count]), [[S, 1], [2n * S, 5]]);
  assert.ok(rows.every((r) => r.interface === 'eth0'));
  // described before the reading that counts them, and fewer counted than described: nothing is missing
  assert.deepEqual(undescribedOf([reading(S, 1), reading(2n * S, 3)], [drop(1n), drop(2n), drop(3n), drop(4n)]), []);
});

test('shares are whole numbers that add up to the counter, second by second', () => {
  const samples = [...Array.from({ length: 2 }, (_, i) => drop(BigInt(i), 'a')), drop(5n, 'b'), ...Array.from({ length: 9 }, (_, i) => drop(BigInt(10 + i), 'new', { newcomer: true }))];
  const readings = Array.from({ length: 50 }, (_, i) => reading(BigInt(i + 1) * S, 12 + (i + 1) * 7));
  const rows = undescribedOf(readings, samples);
  assert.equal(sum(rows), 350);
  assert.equal(rows.reduce((n, r) => n + r.bytes, 0), 3500);
  for (let i = 1; i <= 50; i++) assert.equal(sum(rows.filter((r) => r.time === BigInt(i) * S)), 7);
  const of = (id: string): number => sum(rows.filter((r) => r.incident?.id === id));
  assert.ok(Math.abs(of('a') - 350 * 2 / 3) <= 1 && Math.abs(of('b') - 350 / 3) <= 1, `${of('a')} ${of('b')}`);
  assert.equal(of('new'), 0, 'what was described because it was new stands for itself');
  assert.ok(rows.every((r) => Number.isInteger(r.count) && r.count > 0));
});

test('calls: only counters of which one was described; connection attempts and tracefs drops are in no counter', () => {
  const rows = undescribedOf([calls(S, 40), calls(S, 1000, { pid: 10 }), reading(S, 6)], [call(1n), call(2n), call(3n, { attempt: { waited: 1n, resent: 2 } }), drop(4n, undefined, { probe: 'tracefs' })]);
  assert.deepEqual(rows.map((r) => [r.counter.kind, r.count, r.like?.task.comm]), [['call-count', 38, 'vpn'], ['drop-count', 6, undefined]]);
});
