import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { KIND, parseBtf, type Btf } from '../../src/formats/btf.ts';

const fixture = new Uint8Array(readFileSync(new URL('../../fixtures/bpf/types.btf', import.meta.url)));
const types = parseBtf(fixture);
const VMLINUX = '/sys/kernel/btf/vmlinux';
const live = existsSync(VMLINUX) ? parseBtf(new Uint8Array(readFileSync(VMLINUX))) : undefined;
const skip = live === undefined ? 'this kernel has no BTF' : false;
const at = (btf: Btf, struct: string, path: string): number | undefined => btf.field(struct, path)?.bitOffset;

test('fields are found through anonymous structs and unions, typedefs and pointers to nothing', () => {
  assert.equal(types.status, 'complete');
  // offsets as gcc's own offsetof() has them, in bits
  assert.equal(at(types, 'sk_buff', 'next'), 0);
  assert.equal(at(types, 'sk_buff', 'dev'), 128);
  assert.equal(at(types, 'sk_buff', 'dev_scratch'), 128);
  assert.equal(at(types, 'sk_buff', 'rbnode.c'), 128);
  assert.equal(at(types, 'sk_buff', 'sk'), 192);
  assert.equal(at(types, 'sk_buff', 'data_len'), 288);
  assert.equal(at(types, 'sock', '__sk_common.skc_family'), 64);
  assert.equal(at(types, 'sock', '__sk_common.skc_state'), 80);
  assert.equal(at(types, 'sock', '__sk_common.skc_net.net'), 128);
  assert.equal(at(types, 'sock', 'sk_rcvbuf'), 192);
  assert.equal(at(types, 'net', 'ns.inum'), 128);
  assert.equal(types.size('sk_buff'), 48);
  assert.equal(types.size('net'), 24);
});

test('bit fields have a bit offset and a size, plain fields beside them none', () => {
  const bits = (name: string) => {
    const field = types.field('sk_buff', name);
    return field && [field.bitOffset, field.bitSize];
  };
  assert.deepEqual(bits('cloned'), [320, 1]);
  assert.deepEqual(bits('nohdr'), [321, 1]);
  assert.deepEqual(bits('fclone'), [322, 2]);
  assert.deepEqual(bits('rest'), [324, 4]);
  assert.deepEqual(bits('plain'), [328, 0]);
  assert.deepEqual(bits('wide'), [352, 20]);
  assert.deepEqual(bits('high'), [372, 12]);
});

test('what is not there is undefined, never a guess', () => {
  for (const [struct, path] of [['sk_buff', 'device'], ['sk_buff', 'de'], ['sk_buff', 'sk.sk_rcvbuf'], ['sk_buff', 'len.x'], ['skbuff', 'dev'], ['sock', '__sk_common.skc_net.net.ns'], ['sk_buff', ''], ['', 'dev']] as const) {
    assert.equal(types.field(struct, path), undefined, `${struct}.${path}`);
  }
  assert.equal(types.find(KIND.union, 'sk_buff'), undefined);
  assert.equal(types.size('no_such'), undefined);
  assert.deepEqual(types.enumValues('no_such'), []);
  assert.equal(types.tracepoint('consume_skb'), undefined);
});

test('a tracepoint tells its arguments by type; enum values come in order', () => {
  const tracepoint = types.tracepoint('kfree_skb');
  assert.equal(tracepoint?.typedef, types.find(KIND.typedef, 'btf_trace_kfree_skb'));
  assert.deepEqual(tracepoint?.args, [{ pointer: true, name: 'sk_buff' }, { pointer: true, name: '' }, { pointer: false, name: 'skb_drop_reason' }, { pointer: true, name: 'sock' }]);
  assert.deepEqual(types.enumValues('skb_drop_reason'), [['SKB_NOT_DROPPED_YET', 0], ['SKB_CONSUMED', 1], ['SKB_DROP_REASON_NO_SOCKET', 3], ['SKB_DROP_REASON_MAX', 128]]);
});

test('split BTF goes on where its base ends', () => {
  // the fixture on top of itself: ids and string offsets above the base's are the upper part's own
  const split = parseBtf(fixture, types);
  assert.equal(split.end, 2 * types.end - 1);
  assert.equal(split.find(KIND.struct, 'sk_buff'), types.find(KIND.struct, 'sk_buff'));
  assert.equal(at(split, 'sk_buff', 'dev'), 128);
});

test('bytes that are no BTF, or not all of it, say so', () => {
  assert.equal(parseBtf(new Uint8Array(0)).status, 'not-btf');
  assert.equal(parseBtf(new Uint8Array(64)).status, 'not-btf');
  assert.equal(parseBtf(fixture.subarray(0, fixture.length - 1)).status, 'cut');
  const odd = fixture.slice();
  odd[24 + 7] = 0x1f; // a kind that nobody knows
  assert.equal(parseBtf(odd).status, 'unknown-kind');
});

function askAll(btf: Btf): void {
  for (const path of ['dev', 'next', 'fclone', 'sk', '__sk_common.skc_net.net', 'ns.inum']) for (const struct of ['sk_buff', 'sock', 'net']) btf.field(struct, path);
  btf.size('sk_buff');
  btf.enumValues('skb_drop_reason');
  btf.tracepoint('kfree_skb');
}

test('mutated and cut blobs neither throw nor hang', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(fixture.length - 1), fc.nat(255)), { maxLength: 24 }), fc.integer({ min: 0, max: fixture.length }), (changes, length) => {
    const bytes = fixture.slice();
    for (const [where, value] of changes) bytes[where] = value;
    askAll(parseBtf(bytes));
    askAll(parseBtf(bytes.subarray(0, length)));
    askAll(parseBtf(bytes, types));
  }), { numRuns: 400, seed: 5 });
});

test('a struct that holds itself many times over is answered at once', () => {
  const u32 = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255];
  const types = [...u32(1), ...u32((KIND.struct << 24) | 2), ...u32(8), ...u32(0), ...u32(1), ...u32(0), ...u32(0), ...u32(1), ...u32(0)];
  const blob = Uint8Array.from([0x9f, 0xeb, 1, 0, ...u32(24), ...u32(0), ...u32(types.length), ...u32(types.length), ...u32(3), ...types, 0, 0x73, 0]);
  const btf = parseBtf(blob);
  assert.equal(btf.find(KIND.struct, 's'), 1);
  const from = performance.now();
  assert.equal(btf.field('s', 'x'), undefined);
  assert.ok(performance.now() - from < 2_000);
});

test('the running kernel: every field that the probes need is there and plausible', { skip }, () => {
  assert.ok(live);
  assert.equal(live.status, 'complete');
  assert.ok(live.end > 10_000, `${live.end} types`);
  assert.equal(at(live, 'sk_buff', 'dev'), at(live, 'sk_buff', 'dev_scratch'));
  assert.equal(at(live, 'sock', '__sk_common'), 0);
  assert.equal(at(live, 'socket_alloc', 'socket'), 0);
  for (const [struct, path] of [['net', 'ns.inum'], ['net_device', 'nd_net.net'], ['task_struct', 'nsproxy'], ['sock', '__sk_common.skc_net.net'], ['sk_buff', 'mac_header'], ['file', 'private_data']] as const) {
    const offset = at(live, struct, path);
    assert.ok(offset !== undefined && offset % 8 === 0 && offset / 8 < (live.size(struct) ?? 0), `${struct}.${path}`);
  }
  assert.equal(live.field('sk_buff', 'ip_summed')?.bitSize, 2);
  const reasons = new Map(live.enumValues('skb_drop_reason'));
  assert.equal(reasons.get('SKB_NOT_DROPPED_YET'), 0);
});
