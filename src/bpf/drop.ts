/**
 * The drop probe: a program on the tracepoint skb:kfree_skb. It counts every drop exactly per (location, reason, network
 * namespace, interface, ethertype) in a per-CPU hash, and within a budget per counter and CPU describes the packet: head,
 * stack, task, sockets, conntrack entry. Under flood only the counting goes on.
 */
import type { Btf } from '../formats/btf.ts';
import { assembler, FP, HELPER, R0, R1, R2, R3, R4, R6, R7, R8, R9, type Program } from './assembler.ts';
import { budget, clockOf, copy, copyField, counter, field, finished, follow, netInode, NET_OF_SOCK, offsetsOf, reserve, socket, submit, taskNetns, watchedNetns, who, type Access } from './blocks.ts';
import { newcomer } from './newcomer.ts';
import { BUDGET, COUNT_KEY, COUNT_VALUE, DROP, HEAD_BYTES, kindWord, RECORD_KIND, STACK_FRAMES, TUPLE_BYTES } from './layout.ts';

export interface DropOptions {
  readonly access: Access;
  /** Watch only the namespaces in the map `netns`. */
  readonly filter: boolean;
  /** ns of a jiffy, where it is known. */
  readonly tickNs?: number;
}

/** Descriptions of one counter on one CPU: this many at once, then one every so often. Every drop of a slow leak is described. */
export const SAMPLE_BURST = 64;
export const SAMPLE_REFILL_NS = 25_000_000;

/** Slots of the map `lost`. */
export const DROP_LOST = { ring: 0, counters: 1 } as const;

/** Smallest number that is an ethertype (include/uapi/linux/if_ether.h). */
const ETH_P_802_3_MIN = 0x0600;

/**
 * Inode numbers of namespaces begin at PROC_DYNAMIC_FIRST, 0xf0000000 (fs/proc/generic.c), those of the first namespaces
 * just below (include/uapi/linux/nsfs.h). What is below 0xe0000000 was not read from a struct net.
 */
const NETNS_SHIFT = 28, NETNS_LOWEST = 0xe;
const AF_INET = 2, AF_INET6 = 10;

/** Stack slots. The key of the counter is at KEY, its initial value at VALUE. */
const KEY = -64;
const VALUE = -112;
/** Out of which budget it is described: BUDGET. */
const OUT_OF = -40;

/** The argument's place on the tracepoint, found by its type: kernels added arguments over time. */
export interface DropArguments {
  readonly skb: number;
  readonly location: number;
  readonly reason?: number;
  readonly receiver?: number;
}

export function dropArguments(btf: Btf): DropArguments | undefined {
  const args = btf.tracepoint('kfree_skb')?.args ?? [];
  const skb = args.findIndex((t) => t.pointer && t.name === 'sk_buff');
  const location = args.findIndex((t) => t.pointer && t.name === '');
  const reason = args.findIndex((t) => !t.pointer && t.name === 'skb_drop_reason');
  const receiver = args.findIndex((t) => t.pointer && t.name === 'sock');
  if (skb < 0 || location < 0) return undefined;
  return { skb, location, ...(reason < 0 ? {} : { reason }), ...(receiver < 0 ? {} : { receiver }) };
}

/** The program, or the first field that this kernel does not have. */
export function dropProgram(btf: Btf, conntrack: Btf, options: DropOptions): Program | { readonly missing: string } {
  const offsets = offsetsOf(btf, conntrack);
  const args = dropArguments(btf);
  if (args === undefined) return { missing: 'tracepoint kfree_skb' };
  const at = offsets.need;
  const clock = clockOf(options.tickNs);
  const { access } = options;
  const a = assembler();
  const netOfDevice = at('net_device', 'nd_net.net');
  const netOfSock = at('sock', NET_OF_SOCK);

  a.movReg(R6, R1);
  a.load(8, R7, R6, args.skb * 8);

  // frees that are no drops
  if (args.reason !== undefined) {
    a.load(4, R1, R6, args.reason * 8);
    for (const [name, value] of btf.enumValues('skb_drop_reason')) {
      if (name === 'SKB_CONSUMED' || name === 'SKB_NOT_DROPPED_YET') a.jumpIf('eq', R1, value, 'leave');
    }
    a.store(4, FP, KEY + COUNT_KEY.reason, R1);
  } else a.storeImm(4, FP, KEY + COUNT_KEY.reason, 0);
  a.load(8, R1, R6, args.location * 8);
  a.store(8, FP, KEY + COUNT_KEY.location, R1);

  // ethertype, host order
  field(a, access, 2, R1, R7, at('sk_buff', 'protocol'));
  a.toHost(R1, 16);
  a.store(4, FP, KEY + COUNT_KEY.protocol, R1);

  // interface and namespace: of the device, else of a socket, else of the route, else of the task
  field(a, access, 8, R9, R7, at('sk_buff', 'dev'));
  a.jumpIf('eq', R9, 0, 'no-device');
  field(a, access, 4, R1, R9, at('net_device', 'ifindex'));
  a.store(4, FP, KEY + COUNT_KEY.ifindex, R1);
  field(a, access, 8, R9, R9, netOfDevice);
  field(a, access, 4, R8, R9, at('net', 'ns.inum'));
  // a packet that was in a socket's queue has something else in its device's place (struct sk_buff: dev_scratch, rbnode)
  a.movReg(R1, R8);
  a.alu('rsh', R1, NETNS_SHIFT);
  a.jumpIf('ge', R1, NETNS_LOWEST, 'have-netns');
  a.label('no-device');
  a.storeImm(4, FP, KEY + COUNT_KEY.ifindex, 0);
  // no device and no ethertype (netlink puts its own protocol there): messages of Unix and netlink sockets are no packets;
  // but TCP's segments get theirs with the IP header, and without a route never do (__ip_queue_xmit): the socket tells
  a.load(4, R1, FP, KEY + COUNT_KEY.protocol);
  a.jumpIf('ge', R1, ETH_P_802_3_MIN, 'packet');
  field(a, access, 8, R9, R7, at('sk_buff', 'sk'));
  a.jumpIf('eq', R9, 0, 'leave');
  follow(a, R1, R9, at('sock', '__sk_common.skc_family'), 2);
  a.jumpIf('eq', R1, AF_INET, 'packet');
  a.jumpIf('ne', R1, AF_INET6, 'leave');
  a.label('packet');
  field(a, access, 8, R9, R7, at('sk_buff', 'sk'));
  a.jumpIf('eq', R9, 0, 'not-sent');
  field(a, access, 8, R9, R9, netOfSock);
  field(a, access, 4, R8, R9, at('net', 'ns.inum'));
  a.jump('have-netns');
  a.label('not-sent');
  if (args.receiver !== undefined) {
    a.load(8, R9, R6, args.receiver * 8);
    a.jumpIf('eq', R9, 0, 'no-sock');
    follow(a, R9, R9, netOfSock);
    a.jump('have-net-probe');
    a.label('no-sock');
  }
  const refdst = offsets('sk_buff', '_skb_refdst');
  const dstDevice = offsets('dst_entry', 'dev');
  if (refdst !== undefined && dstDevice !== undefined) {
    follow(a, R9, R7, refdst);
    a.alu('and', R9, -2); // SKB_DST_NOREF
    a.jumpIf('eq', R9, 0, 'no-route');
    follow(a, R9, R9, dstDevice);
    a.jumpIf('eq', R9, 0, 'no-route');
    follow(a, R9, R9, netOfDevice);
    a.jump('have-net-probe');
    a.label('no-route');
  }
  // out of a UDP socket's queue: its reader's, when reading found the checksum wrong; else RCU frees it under any task
  field(a, access, 8, R1, R7, at('sk_buff', 'dev'));
  a.jumpIf('eq', R1, 0, 'of-task');
  for (const [name, value] of btf.enumValues('skb_drop_reason')) {
    if (name !== 'SKB_DROP_REASON_UDP_CSUM') continue;
    a.load(4, R1, FP, KEY + COUNT_KEY.reason);
    a.jumpIf('eq', R1, value, 'of-task');
  }
  a.mov(R8, 0);
  a.jump('have-netns');
  a.label('of-task');
  taskNetns(a, offsets, R8);
  a.jump('have-netns');
  a.label('have-net-probe');
  netInode(a, offsets, R8);
  a.jump('have-netns');
  a.label('have-netns');
  a.store(4, FP, KEY + COUNT_KEY.netns, R8);

  // count; a counter that is there is of a namespace that is watched
  field(a, access, 4, R8, R7, at('sk_buff', 'len'));
  counter(a, 'counts', KEY, VALUE, DROP_LOST.counters, 'leave', () => {
    if (options.filter) watchedNetns(a, KEY + COUNT_KEY.netns, 'leave');
  });
  a.load(8, R1, R0, COUNT_VALUE.bytes);
  a.aluReg('add', R1, R8);
  a.store(8, R0, COUNT_VALUE.bytes, R1);
  a.storeImm(8, FP, OUT_OF, BUDGET.own);
  budget(a, clock, SAMPLE_BURST, SAMPLE_REFILL_NS, 'spent');
  a.jump('describe');
  a.label('spent');
  newcomer(a, offsets, access, clock, KEY, 'leave');
  a.storeImm(8, FP, OUT_OF, BUDGET.newcomer);

  a.label('describe');
  describe();

  a.label('leave');
  a.mov(R0, 0);
  a.exit();
  return finished(a, offsets);

  function describe(): void {
    reserve(a, 'ring', DROP.size, DROP_LOST.ring, 'leave');
    a.storeImm(4, R8, DROP.kind, kindWord(RECORD_KIND.drop));
    a.load(8, R1, R9, COUNT_VALUE.packets);
    a.store(8, R8, DROP.nth, R1);
    who(a, DROP);
    a.store(8, R8, DROP.skb, R7);
    for (const [from, to, size] of [[COUNT_KEY.location, DROP.location, 8], [COUNT_KEY.reason, DROP.reason, 4], [COUNT_KEY.netns, DROP.netns, 4], [COUNT_KEY.ifindex, DROP.ifindex, 4], [COUNT_KEY.protocol, DROP.protocol, 4], [OUT_OF - KEY, DROP.budget, 4]] as const) {
      a.load(size, R1, FP, KEY + from);
      a.store(size, R8, to, R1);
    }
    a.jumpIf('ne', R1, BUDGET.own, 'unspent'); // what the loop loaded last
    a.load(8, R1, R9, COUNT_VALUE.tokens);
    a.jumpIf('ne', R1, 0, 'unspent');
    a.storeImm(4, R8, DROP.budget, BUDGET.spent);
    a.label('unspent');
    for (const [to, path, size] of [
      [DROP.length, 'len', 4], [DROP.dataLength, 'data_len', 4], [DROP.mark, 'mark', 4], [DROP.iif, 'skb_iif', 4],
      [DROP.mac, 'mac_header', 2], [DROP.network, 'network_header', 2], [DROP.transport, 'transport_header', 2],
    ] as const) copy(a, to, R7, at('sk_buff', path), size);

    const summed = btf.field('sk_buff', 'ip_summed');
    if (summed !== undefined && summed.bitSize > 0) {
      follow(a, R1, R7, Math.floor(summed.bitOffset / 8), 1);
      a.alu('rsh', R1, summed.bitOffset % 8);
      a.alu('and', R1, (1 << summed.bitSize) - 1);
      a.store(4, R8, DROP.ipSummed, R1);
    }
    const device = offsets('net_device', 'name');
    if (device !== undefined) {
      a.load(4, R1, R8, DROP.ifindex); // 0: what stands there is no device
      a.jumpIf('eq', R1, 0, 'no-name');
      follow(a, R9, R7, at('sk_buff', 'dev'));
      a.jumpIf('eq', R9, 0, 'no-name');
      copy(a, DROP.device, R9, device, 16);
      a.label('no-name');
    }
    head();
    conntrackEntry();
    follow(a, R9, R7, at('sk_buff', 'sk'));
    socket(a, offsets, DROP.sk);
    if (args?.receiver !== undefined) {
      a.load(8, R9, R6, args.receiver * 8);
      // as a scalar: the verifier would want its nullness tested again
      a.store(8, R8, DROP.receiver, R9);
      a.load(8, R9, R8, DROP.receiver);
      socket(a, offsets, DROP.receiver);
    }
    a.movReg(R1, R6);
    a.movReg(R2, R8);
    a.alu('add', R2, DROP.stack);
    a.mov(R3, 8 * STACK_FRAMES);
    a.mov(R4, 0);
    a.call(HELPER.getStack);
    a.store(4, R8, DROP.stackBytes, R0);
    submit(a);
  }

  /** The packet's first bytes in the linear area: from the MAC header where it is set and before the data, else from the network header or the data. */
  function head(): void {
    const skbHead = offsets('sk_buff', 'head');
    const skbData = offsets('sk_buff', 'data');
    const tail = offsets('sk_buff', 'tail');
    if (skbHead === undefined || skbData === undefined || tail === undefined) return;
    const [start, data] = [-16 - 8, -16 - 16]; // stack slots
    follow(a, R9, R7, skbHead);
    a.jumpIf('eq', R9, 0, 'no-head');
    follow(a, R1, R7, skbData);
    a.aluReg('sub', R1, R9);
    a.store(2, R8, DROP.data, R1);
    a.alu('and', R1, 0xffff);
    a.store(8, FP, data, R1);
    a.store(8, FP, start, R1);
    // the lowest header offset that is set begins the window
    for (const where of [DROP.network, DROP.mac]) {
      const skip = a.fresh('head.skip');
      a.load(2, R1, R8, where);
      a.jumpIf('eq', R1, 0xffff, skip);
      if (where === DROP.network) a.jumpIf('eq', R1, 0, skip);
      a.load(8, R2, FP, start);
      a.jumpIfReg('ge', R1, R2, skip);
      a.store(8, FP, start, R1);
      a.label(skip);
    }
    follow(a, R1, R7, tail, 4); // sk_buff_data_t is an offset on 64 bit
    a.load(8, R2, FP, start);
    a.store(2, R8, DROP.window, R2);
    a.movReg(R3, R9);
    a.aluReg('add', R3, R2);
    a.jumpIfReg('le', R1, R2, 'no-head');
    a.aluReg('sub', R1, R2);
    a.jumpIf('le', R1, HEAD_BYTES, 'head.fits');
    a.mov(R1, HEAD_BYTES);
    a.label('head.fits');
    a.store(2, R8, DROP.copied, R1);
    a.movReg(R2, R1);
    a.alu('and', R2, 0xff); // for the verifier; HEAD_BYTES is below 256
    a.movReg(R1, R8);
    a.alu('add', R1, DROP.head);
    a.call(HELPER.probeReadKernel);
    a.label('no-head');
  }

  function conntrackEntry(): void {
    const nfct = offsets('sk_buff', '_nfct');
    const tuplehash = offsets('nf_conn', 'tuplehash');
    const tuple = offsets('nf_conntrack_tuple_hash', 'tuple');
    const stride = conntrack.size('nf_conntrack_tuple_hash') ?? btf.size('nf_conntrack_tuple_hash');
    const status = offsets('nf_conn', 'status');
    if (nfct === undefined || tuplehash === undefined || tuple === undefined || stride === undefined || status === undefined) return;
    follow(a, R9, R7, nfct);
    a.store(8, R8, DROP.nfct, R9);
    a.alu('and', R9, -8); // NFCT_PTRMASK
    a.jumpIf('eq', R9, 0, 'no-conntrack');
    copy(a, DROP.original, R9, tuplehash + tuple, TUPLE_BYTES);
    copy(a, DROP.reply, R9, tuplehash + stride + tuple, TUPLE_BYTES);
    copy(a, DROP.status, R9, status, 8);
    copyField(a, offsets, DROP.ctMark, R9, 'nf_conn', 'mark', 4);
    a.label('no-conntrack');
  }
}
