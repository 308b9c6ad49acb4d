import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseEventFormat, readBig, readNumber, readText } from '../../src/formats/event-format.ts';
import { fuzzBytes, fuzzText } from '../fuzz/fuzz.ts';

const text = (name: string): string => readFileSync(new URL(`../../fixtures/tracefs/${name}`, import.meta.url), 'utf8');

/** As kernels before 5.17 have it: no reason. */
const OLD = `name: kfree_skb
ID: 1146
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:void * location;	offset:16;	size:8;	signed:0;
	field:unsigned short protocol;	offset:24;	size:2;	signed:0;

print fmt: "skbaddr=%p protocol=%u location=%p", REC->skbaddr, REC->protocol, REC->location
`;

test('kfree_skb of three kernels: the same names, other places and numbers', () => {
  const [old, six1, six18] = [OLD, text('kfree_skb-6.1.format'), text('kfree_skb-6.18.format')].map(parseEventFormat);
  for (const f of [old!, six1!, six18!]) assert.deepEqual([f.status, f.name, f.fields.get('location')?.offset], ['ok', 'kfree_skb', 16]);
  assert.deepEqual([old!.id, six1!.id, six18!.id], [1146, 1373, 2310]);
  assert.deepEqual([old, six1, six18].map((f) => f!.fields.get('protocol')?.offset), [24, 24, 32]);
  assert.deepEqual([old, six1, six18].map((f) => f!.fields.get('reason')?.offset), [undefined, 28, 36]);
  assert.deepEqual(six18!.fields.get('reason'), { name: 'reason', type: 'enum skb_drop_reason', offset: 36, size: 4, signed: false });
  assert.equal(old!.names.size, 0);
  const netfilter = [six1, six18].map((f) => [...f!.names.get('reason')!].find(([, name]) => name === 'NETFILTER_DROP')?.[0]);
  assert.deepEqual(netfilter, [7, 12]);
  assert.deepEqual([six1, six18].map((f) => f!.names.get('reason')!.size), [66, 127]);
});

test('arrays, dynamic text and signs', () => {
  const stack = parseEventFormat(text('kernel_stack-6.18.format'));
  assert.deepEqual(stack.fields.get('caller'), { name: 'caller', type: 'unsigned long', offset: 16, size: 64, signed: false, array: 8 });
  const exec = parseEventFormat(text('sched_process_exec-6.18.format'));
  assert.deepEqual(exec.fields.get('filename'), { name: 'filename', type: 'char[]', offset: 8, size: 4, signed: false, location: 'data' });
  const payload = new Uint8Array(64);
  const view = new DataView(payload.buffer);
  view.setUint32(4 + 8, (8 << 16) | 20, true);
  payload.set(Buffer.from('/bin/ip\0'), 4 + 20);
  assert.equal(readText(payload, 4, 40, exec.fields.get('filename')), '/bin/ip');
  assert.equal(readText(payload, 4, 24, exec.fields.get('filename')), undefined, 'past the payload');
  const exit = parseEventFormat(text('sys_exit_sendto-6.18.format'));
  view.setBigInt64(16, -105n, true);
  assert.equal(readBig(view, 0, 40, exit.fields.get('ret')), -105n);
  view.setInt32(4, -2, true);
  assert.equal(readNumber(view, 0, 40, exit.fields.get('common_pid')), -2);
  assert.equal(readNumber(view, 62, 40, exit.fields.get('common_pid')), undefined, 'past the bytes');
  assert.equal(readNumber(view, 0, 6, exit.fields.get('common_pid')), undefined, 'past the payload');
});

test('values of print tables: hex, shifts, several tables, flags', () => {
  const f = parseEventFormat('name: x\nID: 1\nformat:\n\tfield:u32 a;\toffset:8;\tsize:4;\tsigned:0;\n\nprint fmt: "%s %s", __print_flags(REC->a, "|", { (1 << 3), "THREE" }, { 0x10UL, "FOUR" }, { 1UL << 5, "FIVE" }, { SOME_ENUM, "NOT" }), __print_symbolic(REC->b, { -1, "MINUS" }, { 0x40000, "SUB" })\n');
  assert.deepEqual([...f.names.get('a')!], [[8, 'THREE'], [16, 'FOUR'], [32, 'FIVE']]);
  assert.deepEqual([...f.names.get('b')!], [[-1, 'MINUS'], [0x40000, 'SUB']]);
});

test('any text, any payload', () => {
  const seeds = [OLD, text('kfree_skb-6.1.format').slice(0, 1500), text('kernel_stack-6.18.format'), text('sched_process_exec-6.18.format')];
  assert.equal(parseEventFormat('').status, 'malformed');
  fuzzText({ seeds, rounds: 2000, decode: (t) => { const f = parseEventFormat(t); return [f.status, f.name, f.id, [...f.fields], [...f.names].map(([k, v]) => [k, [...v]])]; } });
  const format = parseEventFormat(text('sched_process_exec-6.18.format'));
  fuzzBytes({ seeds: [new Uint8Array(40).fill(9)], rounds: 1000, decode: (b) => [...format.fields.values()].map((f) => [readBig(new DataView(b.buffer, b.byteOffset, b.length), 1, b.length, f), readText(b, 1, b.length - 1, f), readText(b, 1, 1000, f)]) });
});
