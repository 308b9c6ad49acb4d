import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assembler, FP, HELPER, R0, R1, R2, R6, R9, type Program } from '../../src/bpf/assembler.ts';
import { callProgram } from '../../src/bpf/call.ts';
import { connectProgram } from '../../src/bpf/connect.ts';
import { dropArguments, dropProgram } from '../../src/bpf/drop.ts';
import { execProgram } from '../../src/bpf/exec.ts';
import { CALL, COUNT_KEY, COUNT_ROW, DROP, EXEC, HEAD_BYTES, SOCK, STACK_FRAMES, ARGV_BYTES, FILENAME_BYTES, TUPLE_BYTES } from '../../src/bpf/layout.ts';
import { parseBtf, type Btf } from '../../src/formats/btf.ts';

const hex = (p: Program): string[] => Array.from({ length: p.instructions.length / 8 }, (_, i) => Buffer.from(p.instructions.subarray(i * 8, i * 8 + 8)).toString('hex'));
const VMLINUX = '/sys/kernel/btf/vmlinux';
const live = existsSync(VMLINUX) ? parseBtf(new Uint8Array(readFileSync(VMLINUX))) : undefined;
const skip = live === undefined ? 'this kernel has no BTF' : false;

/* Encodings by hand from RFC 9669: opcode, src:dst, offset, immediate. */
test('instructions are encoded as RFC 9669 says', () => {
  const a = assembler();
  a.mov(R0, -1);
  a.movReg(R6, R1);
  a.load(8, R9, R6, 16);
  a.load(4, R1, FP, -8);
  a.load(2, R1, R6, 6);
  a.load(1, R1, R6, 7);
  a.store(8, FP, -16, R2);
  a.storeImm(4, FP, -4, 7);
  a.alu('and', R1, -8);
  a.aluReg('sub', R1, R9);
  a.toHost(R1, 16);
  a.call(HELPER.ktimeGetNs);
  a.exit();
  assert.deepEqual(hex(a.finish()), [
    'b7000000ffffffff', 'bf16000000000000', '7969100000000000', '61a1f8ff00000000', '6961060000000000', '7161070000000000',
    '7b2af0ff00000000', '620afcff07000000', '57010000f8ffffff', '1f91000000000000', 'dc01000010000000', '8500000005000000', '9500000000000000',
  ]);
});

test('jumps lead to their labels, backwards and over wide instructions too', () => {
  const a = assembler();
  a.label('again');
  a.jumpIf('eq', R1, 5, 'end');
  a.constant(R2, 0x1122334455667788n);
  a.jumpIfReg('lt', R1, R2, 'again');
  a.label('end');
  a.exit();
  assert.deepEqual(hex(a.finish()), ['1501030005000000', '1802000088776655', '0000000044332211', 'ad21fcff00000000', '9500000000000000']);
});

test('maps are named until a program is loaded', () => {
  const a = assembler();
  a.exit();
  a.mapFd(R1, 'counts');
  const program = a.finish();
  assert.deepEqual(program.maps, [[1, 'counts']]);
  assert.deepEqual(hex(program).slice(1), ['1811000000000000', '0000000000000000']);
});

test('a label that is missing, or there twice, is a bug and is said so', () => {
  const missing = assembler();
  missing.jump('nowhere');
  assert.throws(() => missing.finish(), /nowhere/);
  const twice = assembler();
  twice.label('here');
  assert.throws(() => twice.label('here'), /here/);
});

test('parts of a record do not overlap and end within it', () => {
  const fits = (parts: readonly (readonly [at: number, size: number])[], size: number): void => {
    const sorted = parts.toSorted((a, b) => a[0] - b[0]);
    for (const [i, [from, length]] of sorted.entries()) assert.ok(from + length <= (sorted[i + 1]?.[0] ?? size), `${from}+${length}`);
    assert.equal(size % 8, 0);
  };
  fits([[DROP.kind, 4], [DROP.cpu, 4], [DROP.time, 8], [DROP.skb, 8], [DROP.location, 8], [DROP.reason, 4], [DROP.netns, 4], [DROP.ifindex, 4], [DROP.protocol, 4], [DROP.length, 4], [DROP.dataLength, 4],
    [DROP.mark, 4], [DROP.iif, 4], [DROP.pidTgid, 8], [DROP.uid, 4], [DROP.ipSummed, 4], [DROP.cgroup, 8], [DROP.comm, 16], [DROP.device, 16], [DROP.mac, 2], [DROP.network, 2], [DROP.transport, 2], [DROP.data, 2],
    [DROP.window, 2], [DROP.copied, 2], [DROP.budget, 4], [DROP.nth, 8], [DROP.nfct, 8], [DROP.original, TUPLE_BYTES], [DROP.reply, TUPLE_BYTES], [DROP.status, 8], [DROP.ctMark, 4], [DROP.stackBytes, 4], [DROP.sk, SOCK.rcvbuf + 4], [DROP.receiver, SOCK.rcvbuf + 4],
    [DROP.head, HEAD_BYTES], [DROP.stack, 8 * STACK_FRAMES]], DROP.size);
  fits([[CALL.kind, 4], [CALL.cpu, 4], [CALL.time, 8], [CALL.pidTgid, 8], [CALL.uid, 4], [CALL.nr, 4], [CALL.cgroup, 8], [CALL.comm, 16], [CALL.errno, 4], [CALL.netns, 4], [CALL.args, 48], [CALL.addressLength, 4], [CALL.seccomp, 4], [CALL.address, 32], [CALL.sk, SOCK.size]], CALL.size);
  fits([[EXEC.kind, 4], [EXEC.cpu, 4], [EXEC.time, 8], [EXEC.pidTgid, 8], [EXEC.uid, 4], [EXEC.parent, 4], [EXEC.cgroup, 8], [EXEC.comm, 16], [EXEC.netns, 4], [EXEC.argvLength, 4], [EXEC.filename, FILENAME_BYTES], [EXEC.argv, ARGV_BYTES]], EXEC.size);
  fits([[COUNT_KEY.location, 8], [COUNT_KEY.reason, 4], [COUNT_KEY.netns, 4], [COUNT_KEY.ifindex, 4], [COUNT_KEY.protocol, 4], [COUNT_ROW.packets, 8], [COUNT_ROW.bytes, 8]], COUNT_ROW.size);
});

test('arguments are found by type, wherever a kernel has put them', () => {
  const tracepoint = (...args: readonly (readonly [boolean, string])[]): Btf => ({ tracepoint: () => ({ typedef: 1, args: args.map(([pointer, name]) => ({ pointer, name })) }) }) as unknown as Btf;
  assert.deepEqual(dropArguments(tracepoint([true, 'sk_buff'], [true, ''])), { skb: 0, location: 1 }); // before 5.17
  assert.deepEqual(dropArguments(tracepoint([true, 'sk_buff'], [true, ''], [false, 'skb_drop_reason'])), { skb: 0, location: 1, reason: 2 }); // 5.17 to 6.10
  assert.deepEqual(dropArguments(tracepoint([true, 'sk_buff'], [true, ''], [false, 'skb_drop_reason'], [true, 'sock'])), { skb: 0, location: 1, reason: 2, receiver: 3 }); // 6.11
  assert.equal(dropArguments(tracepoint([true, 'sock'])), undefined);
});

/** A kernel that lacks some fields. */
const without = (btf: Btf, ...gone: readonly string[]): Btf => ({ ...btf, field: (struct, path) => (gone.includes(`${struct}.${path}`) ? undefined : btf.field(struct, path)) });
const isProgram = (p: Program | { readonly missing: string }): p is Program => 'instructions' in p;

test('programs are pure functions of the types, in every variant', { skip }, () => {
  assert.ok(live);
  for (const make of [
    () => dropProgram(live, live, { access: 'direct', filter: true }), () => dropProgram(live, live, { access: 'direct', filter: false }),
    () => dropProgram(live, live, { access: 'probe', filter: true }), () => callProgram(live, 'x64', { access: 'direct', filter: true, tickNs: 4_000_000 }), () => execProgram(live),
  ]) {
    const [one, two] = [make(), make()];
    assert.ok(isProgram(one) && isProgram(two), JSON.stringify(one));
    assert.deepEqual(one, two);
    assert.equal(hex(one).at(-1), '9500000000000000');
    assert.ok(hex(one).length < 4096, 'what kernels before 5.2 allow');
  }
});

test('a field that the job needs and the kernel lacks is named; one that is only nice to have is left out', { skip }, () => {
  assert.ok(live);
  const nameless = without(live, 'net.ns.inum');
  assert.deepEqual(dropProgram(nameless, nameless, { access: 'direct', filter: true }), { missing: 'net.ns.inum' });
  const poorer = without(live, 'sk_buff._nfct', 'sk_buff.ip_summed', 'sock.sk_rcvbuf');
  const [full, poor] = [dropProgram(live, live, { access: 'direct', filter: true }), dropProgram(poorer, poorer, { access: 'direct', filter: true })];
  assert.ok(isProgram(full) && isProgram(poor));
  assert.ok(poor.instructions.length < full.instructions.length);
  assert.ok('missing' in callProgram(live, 'pdp11', { access: 'probe', filter: false }));
});

/** Fields without which a program still does its job: what they would have told is absent from the record, never a guess. */
const OPTIONAL: ReadonlySet<string> = new Set([
  'sk_buff._skb_refdst', 'dst_entry.dev', 'sk_buff.ip_summed', 'net_device.name', 'sk_buff.tail', 'sk_buff.data', 'sk_buff._nfct', 'nf_conn.tuplehash', 'nf_conntrack_tuple_hash.tuple', 'nf_conn.status', 'nf_conn.mark',
  'sock.__sk_common.skc_v6_rcv_saddr', 'sock.__sk_common.skc_v6_daddr', 'sock.sk_rcvbuf', 'sock.sk_socket', 'socket_alloc.vfs_inode.i_ino', 'task_struct.seccomp.mode',
]);

test('whichever field a kernel lacks: no program reads at offset 0 instead', { skip }, () => {
  assert.ok(live);
  const programs: Readonly<Record<string, (btf: Btf) => Program | { readonly missing: string }>> = {
    'drop, direct': (b) => dropProgram(b, b, { access: 'direct', filter: true, tickNs: 4_000_000 }), 'drop, probe': (b) => dropProgram(b, b, { access: 'probe', filter: true }),
    call: (b) => callProgram(b, 'x64', { access: 'direct', filter: true }), connect: (b) => connectProgram(b, true), exec: (b) => execProgram(b),
  };
  let tried = 0;
  for (const [name, make] of Object.entries(programs)) {
    const asked = new Set<string>();
    const full = make({ ...live, field: (struct, path) => (asked.add(`${struct}.${path}`), live.field(struct, path)) });
    assert.ok(isProgram(full), name);
    assert.ok(asked.size > 5, name);
    for (const gone of asked) {
      const poor = make(without(live, gone));
      tried++;
      if (!isProgram(poor)) {
        assert.ok(!OPTIONAL.has(gone) || name === 'connect', `${name} could do without ${gone}`);
        assert.match(poor.missing, /\w\.\w/, `${name} without ${gone}`);
        continue;
      }
      assert.ok(OPTIONAL.has(gone), `${name} is made without ${gone}`);
      assert.ok(poor.instructions.length < full.instructions.length, `${name} without ${gone} leaves its part out`);
    }
  }
  assert.ok(tried > 100, `${tried} fields`);
});
