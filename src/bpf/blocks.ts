/**
 * Building blocks that the verifier accepts, shared by our programs. Registers: R6 the context, R7 the object at hand,
 * R8 the record being filled (ring-buffer memory), R9 a pointer being followed. R0–R5 are clobbered by every block.
 */
import type { Btf } from '../formats/btf.ts';
import { HELPER, FP, R0, R1, R2, R3, R4, R8, R9, type Assembler, type Program, type Size } from './assembler.ts';
import { COUNT_VALUE, SOCK } from './layout.ts';

/** How kernel memory is read: directly (tp_btf, the verifier knows the types) or by bpf_probe_read_kernel (raw tracepoint). */
export type Access = 'direct' | 'probe';

/** Byte offset of a field, or undefined when this kernel has no such field. Several candidates (`a|b`) are tried in turn. */
export interface Offsets {
  (struct: string, path: string): number | undefined;
  /** Of a field that the program cannot do without: when it is missing there is no program, see {@link finished}. */
  need(struct: string, path: string): number;
  /** The first needed field that this kernel does not have. */
  missing(): string | undefined;
}

/** Offsets by BTF; `more` knows the types of a module. */
export function offsetsOf(btf: Btf, more: Btf = btf): Offsets {
  let missing: string | undefined;
  const find = (struct: string, path: string): number | undefined => {
    for (const name of path.split('|')) {
      const field = btf.field(struct, name) ?? more.field(struct, name);
      if (field !== undefined && field.bitSize === 0 && field.bitOffset % 8 === 0) return field.bitOffset / 8;
    }
    return undefined;
  };
  const need = (struct: string, path: string): number => {
    const offset = find(struct, path);
    if (offset === undefined) missing ??= `${struct}.${path.split('|')[0]}`;
    return offset ?? 0; // the program is not used then
  };
  return Object.assign(find, { need, missing: () => missing });
}

/** The program, if every field that it needs is there. */
export function finished(a: Assembler, offsets: Offsets): Program | { readonly missing: string } {
  const missing = offsets.missing();
  return missing === undefined ? a.finish() : { missing };
}

/** Stack slots: two scratch words below everything else. */
const SCRATCH = -8;

/** dst = *(base + offset). `base` must be R6–R9, `dst` any. */
export function field(a: Assembler, access: Access, size: Size, dst: number, base: number, offset: number): void {
  if (access === 'direct') return a.load(size, dst, base, offset);
  probeRead(a, base, offset, size);
  a.load(size, dst, FP, SCRATCH);
}

/** Reads into the scratch word by helper: zero when the address is bad. */
function probeRead(a: Assembler, base: number, offset: number, size: Size): void {
  a.movReg(R1, FP);
  a.alu('add', R1, SCRATCH);
  a.mov(R2, size);
  a.movReg(R3, base);
  if (offset !== 0) a.alu('add', R3, offset);
  a.call(HELPER.probeReadKernel);
}

/** dst = the word at base + offset, always by helper. */
export function follow(a: Assembler, dst: number, base: number, offset: number, size: Size = 8): void {
  probeRead(a, base, offset, size);
  a.load(size, dst, FP, SCRATCH);
}

/** Copies kernel memory at base + offset into the record. */
export function copy(a: Assembler, at: number, base: number, offset: number, size: number): void {
  a.movReg(R1, R8);
  a.alu('add', R1, at);
  a.mov(R2, size);
  a.movReg(R3, base);
  if (offset !== 0) a.alu('add', R3, offset);
  a.call(HELPER.probeReadKernel);
}

/** Copies a field into the record where the kernel has it; the record is zero there otherwise. */
export function copyField(a: Assembler, offsets: Offsets, at: number, base: number, struct: string, path: string, size: number): void {
  const offset = offsets(struct, path);
  if (offset !== undefined) copy(a, at, base, offset, size);
}

/** Zeroes the record: ring-buffer memory holds what was there before. */
export function zeroRecord(a: Assembler, size: number): void {
  a.mov(R1, 0);
  for (let at = 0; at + 8 <= size; at += 8) a.store(8, R8, at, R1);
}

/** Time, CPU, and who runs on it. */
export function who(a: Assembler, at: { time: number; cpu: number; pidTgid: number; uid: number; cgroup: number; comm: number }): void {
  a.call(HELPER.ktimeGetNs);
  a.store(8, R8, at.time, R0);
  a.call(HELPER.getSmpProcessorId);
  a.store(4, R8, at.cpu, R0);
  a.call(HELPER.getCurrentPidTgid);
  a.store(8, R8, at.pidTgid, R0);
  a.call(HELPER.getCurrentUidGid);
  a.store(4, R8, at.uid, R0);
  a.call(HELPER.getCurrentCgroupId);
  a.store(8, R8, at.cgroup, R0);
  a.movReg(R1, R8);
  a.alu('add', R1, at.comm);
  a.mov(R2, 16);
  a.call(HELPER.getCurrentComm);
}

/** dst = inode number of a network namespace, from a pointer to struct net in R9; 0 when it is null. R9 is spent. */
export function netInode(a: Assembler, offsets: Offsets, dst: number): void {
  follow(a, dst, R9, offsets.need('net', 'ns.inum'), 4);
}

/** dst = inode number of the current task's network namespace. R9 is spent. */
export function taskNetns(a: Assembler, offsets: Offsets, dst: number): void {
  a.call(HELPER.getCurrentTask);
  a.movReg(R9, R0);
  follow(a, R9, R9, offsets.need('task_struct', 'nsproxy'));
  follow(a, R9, R9, offsets.need('nsproxy', 'net_ns'));
  netInode(a, offsets, dst);
}

/** possible_net_t (include/net/net_namespace.h) is empty without CONFIG_NET_NS. */
export const NET_OF_SOCK = '__sk_common.skc_net.net';
const TCP_TIME_WAIT = 6, TCP_NEW_SYN_RECV = 12, AF_INET = 2, AF_INET6 = 10;

/**
 * Describes the socket whose struct sock R9 points to at `at` in the record. R9 is kept on the stack meanwhile. Request
 * and time-wait sockets share only sock_common with full ones: nothing else of them is read.
 */
export function socket(a: Assembler, offsets: Offsets, at: number): void {
  const done = a.fresh('socket.done');
  const full = a.fresh('socket.full');
  const v6 = a.fresh('socket.v6');
  const ports = a.fresh('socket.ports');
  a.jumpIf('eq', R9, 0, done);
  a.store(8, R8, at + SOCK.address, R9);
  const common = '__sk_common.';
  const needed = (to: number, path: string, size: number): void => copy(a, at + to, R9, offsets.need('sock', path), size);
  needed(SOCK.family, `${common}skc_family`, 2);
  needed(SOCK.state, `${common}skc_state`, 1);
  a.load(2, R1, R8, at + SOCK.family);
  a.jumpIf('eq', R1, AF_INET6, v6);
  a.jumpIf('ne', R1, AF_INET, ports);
  needed(SOCK.local, `${common}skc_rcv_saddr`, 4);
  needed(SOCK.remote, `${common}skc_daddr`, 4);
  a.jump(ports);
  a.label(v6);
  // without CONFIG_IPV6 there are none
  copyField(a, offsets, at + SOCK.local, R9, 'sock', `${common}skc_v6_rcv_saddr`, 16);
  copyField(a, offsets, at + SOCK.remote, R9, 'sock', `${common}skc_v6_daddr`, 16);
  a.label(ports);
  needed(SOCK.localPort, `${common}skc_num`, 2);
  needed(SOCK.remotePort, `${common}skc_dport`, 2);
  a.load(1, R1, R8, at + SOCK.state);
  a.jumpIf('eq', R1, TCP_TIME_WAIT, full);
  a.jumpIf('eq', R1, TCP_NEW_SYN_RECV, full);
  needed(SOCK.type, 'sk_type', 2);
  needed(SOCK.protocol, 'sk_protocol', 2);
  needed(SOCK.rmem, 'sk_backlog.rmem_alloc', 4);
  copyField(a, offsets, at + SOCK.rcvbuf, R9, 'sock', 'sk_rcvbuf', 4);
  const inode = offsets('socket_alloc', 'vfs_inode.i_ino');
  const skSocket = offsets('sock', 'sk_socket');
  if (inode !== undefined && skSocket !== undefined) {
    const none = a.fresh('socket.orphan');
    a.store(8, FP, SCRATCH - 8, R9);
    follow(a, R9, R9, skSocket);
    a.jumpIf('eq', R9, 0, none);
    // struct socket is the first member of struct socket_alloc
    copy(a, at + SOCK.inode, R9, inode, 8);
    a.label(none);
    a.load(8, R9, FP, SCRATCH - 8);
  }
  a.label(full);
  follow(a, R9, R9, offsets.need('sock', NET_OF_SOCK));
  netInode(a, offsets, R1);
  a.store(4, R8, at + SOCK.netns, R1);
  a.label(done);
}

/** Leaves to `stranger` when the namespace whose inode number is on the stack at `slot` is not watched. */
export function watchedNetns(a: Assembler, slot: number, stranger: string): void {
  a.mapFd(R1, 'netns');
  a.movReg(R2, FP);
  a.alu('add', R2, slot);
  a.call(HELPER.mapLookup);
  a.jumpIf('eq', R0, 0, stranger);
}

/** Reserves `size` bytes of the ring: R8 = record, or counts the loss and leaves. */
export function reserve(a: Assembler, ring: string, size: number, lostSlot: number, leave: string): void {
  const got = a.fresh('reserve.got');
  a.mapFd(R1, ring);
  a.mov(R2, size);
  a.mov(R3, 0);
  a.call(HELPER.ringbufReserve);
  a.jumpIf('ne', R0, 0, got);
  countLost(a, lostSlot, 'lost');
  a.jump(leave);
  a.label(got);
  a.movReg(R8, R0);
  zeroRecord(a, size);
}

/** Hands the record over. The kernel wakes who waits, unless he has not read the one before yet; `quiet`: never (BPF_RB_NO_WAKEUP). */
export function submit(a: Assembler, quiet = false): void {
  a.movReg(R1, R8);
  a.mov(R2, quiet ? 1 : 0);
  a.call(HELPER.ringbufSubmit);
}

/** Adds one to a slot of the per-CPU array of losses. */
export function countLost(a: Assembler, slot: number, map: string): void {
  const none = a.fresh('lost.none');
  a.storeImm(4, FP, SCRATCH, slot);
  a.mapFd(R1, map);
  a.movReg(R2, FP);
  a.alu('add', R2, SCRATCH);
  a.call(HELPER.mapLookup);
  a.jumpIf('eq', R0, 0, none);
  a.load(8, R1, R0, 0);
  a.alu('add', R1, 1);
  a.store(8, R0, 0, R1);
  a.label(none);
}

/**
 * R0 = the value of the per-CPU counter whose key is on the stack, made (all zero) when it is new, with one more in
 * `packets`. Leaves, and counts the loss, when the map is full. `valueSlot` is where its first value is put together;
 * `admit` is asked before a new one is made, not for one that is there.
 */
export function counter(a: Assembler, map: string, keySlot: number, valueSlot: number, lostSlot: number, leave: string, admit: () => void = () => {}): void {
  const known = a.fresh('counter.known');
  const lookup = (): void => {
    a.mapFd(R1, map);
    a.movReg(R2, FP);
    a.alu('add', R2, keySlot);
    a.call(HELPER.mapLookup);
    a.jumpIf('ne', R0, 0, known);
  };
  lookup();
  admit();
  for (let at = 0; at < COUNT_VALUE.size; at += 8) a.storeImm(8, FP, valueSlot + at, 0);
  a.mapFd(R1, map);
  a.movReg(R2, FP);
  a.alu('add', R2, keySlot);
  a.movReg(R3, FP);
  a.alu('add', R3, valueSlot);
  a.mov(R4, 1); // BPF_NOEXIST: another CPU may have made it
  a.call(HELPER.mapUpdate);
  lookup();
  countLost(a, lostSlot, 'lost');
  a.jump(leave);
  a.label(known);
  a.load(8, R1, R0, COUNT_VALUE.packets);
  a.alu('add', R1, 1);
  a.store(8, R0, COUNT_VALUE.packets, R1);
}

/** How a program tells the time for its budgets. */
export interface Clock {
  /** R0 = now; never 0. */
  now(a: Assembler): void;
  /** A span in the clock's own units, at least one. */
  span(ns: number): number;
}

/** By jiffies of so many ns, which the verifier turns into a plain load; without that number by the clock itself. */
export function clockOf(tickNs: number | undefined): Clock {
  return tickNs === undefined
    ? { now: (a) => a.call(HELPER.ktimeGetNs), span: (ns) => ns }
    : { now: (a) => a.call(HELPER.jiffies64), span: (ns) => Math.max(1, Math.ceil(ns / tickNs)) };
}

/**
 * The sampling budget of a counter, whose value R0 points to (layout: packets, bytes, tokens, refilled): falls through
 * when this event may be described, leaves to `spent` otherwise, with R0 = now. A counter that is new on this CPU
 * (`refilled` is 0) has `burst`, an empty one gets one more every `refillNs`. Under flood all that is left is a look at the
 * clock. R9 keeps the value meanwhile.
 */
export function budget(a: Assembler, clock: Clock, burst: number, refillNs: number, spent: string): void {
  const spend = a.fresh('budget.spend');
  const known = a.fresh('budget.known');
  const refill = a.fresh('budget.refill');
  a.movReg(R9, R0);
  a.load(8, R1, R9, COUNT_VALUE.tokens);
  a.jumpIf('ne', R1, 0, spend);
  clock.now(a);
  a.load(8, R2, R9, COUNT_VALUE.refilled);
  a.jumpIf('ne', R2, 0, known);
  a.mov(R1, burst);
  a.jump(refill);
  a.label(known);
  a.alu('add', R2, clock.span(refillNs));
  a.jumpIfReg('lt', R0, R2, spent);
  a.mov(R1, 1);
  a.label(refill);
  a.store(8, R9, COUNT_VALUE.refilled, R0);
  a.label(spend);
  a.alu('sub', R1, 1);
  a.store(8, R9, COUNT_VALUE.tokens, R1);
}
