/**
 * The connect probe: TCP connection attempts that came to nothing, also where no call tells. A non-blocking connect()
 * returns EINPROGRESS, and its error goes to getsockopt(SO_ERROR) or to nobody. On the raw tracepoint inet_sock_set_state
 * (net/ipv4/af_inet.c): who begins (→ SYN_SENT) is kept by socket, since the end comes in softirq or a timer; an end in
 * CLOSE with sk_err set, or given up by the program unanswered, is described. A record has the layout CALL.
 */
import type { Btf } from '../formats/btf.ts';
import { assembler, FP, HELPER, R0, R1, R2, R3, R4, R6, R7, R8, R9, type Program } from './assembler.ts';
import { copy, finished, follow, netInode, NET_OF_SOCK, offsetsOf, reserve, socket, submit, watchedNetns } from './blocks.ts';
import { CALL, CONNECT_ARGS, CONNECTING, kindWord, RECORD_KIND } from './layout.ts';

/** Slot of the map `lost`. */
export const CONNECT_LOST = 4;

const SYN_SENT = 2, CLOSE = 7; //       include/net/tcp_states.h
const O_NONBLOCK = 0o4000; //           include/uapi/asm-generic/fcntl.h
const EINPROGRESS = 115;
/** A program that gives up sooner was not waiting for a lost answer: the first SYN is sent again after a second. */
const PATIENCE_NS = 900_000_000;

const KEY = -24, NETNS = -32, VALUE = -96;

export function connectProgram(btf: Btf, filter: boolean): Program | { readonly missing: string } {
  const args = btf.tracepoint('inet_sock_set_state')?.args ?? [];
  if (!(args[0]?.pointer === true && args[0].name === 'sock') || args.length < 3) return { missing: 'tracepoint inet_sock_set_state' };
  const offsets = offsetsOf(btf);
  const net = offsets('sock', NET_OF_SOCK), inum = offsets('net', 'ns.inum');
  const skSocket = offsets('sock', 'sk_socket'), file = offsets('socket', 'file'), flags = offsets('file', 'f_flags'), error = offsets('sock', 'sk_err');
  if (net === undefined || inum === undefined || skSocket === undefined || file === undefined || flags === undefined || error === undefined) return { missing: 'sock.sk_err, socket.file' };

  const a = assembler();
  a.movReg(R6, R1);
  a.load(8, R7, R6, 0);
  a.load(4, R1, R6, 8);
  a.load(4, R2, R6, 16);
  a.store(8, FP, KEY, R7);
  a.jumpIf('eq', R2, SYN_SENT, 'begins');
  a.jumpIf('ne', R1, SYN_SENT, 'leave');
  a.jumpIf('eq', R2, CLOSE, 'ends');
  a.jump('forget'); // connected

  a.label('begins');
  follow(a, R9, R7, net);
  netInode(a, offsets, R8);
  a.store(4, FP, NETNS, R8);
  if (filter) watchedNetns(a, NETNS, 'leave');
  a.call(HELPER.getCurrentPidTgid);
  a.store(8, FP, VALUE + CONNECTING.pidTgid, R0);
  a.call(HELPER.getCurrentUidGid);
  a.store(8, FP, VALUE + CONNECTING.uid, R0); // the group in the high half is overwritten below
  a.call(HELPER.getCurrentCgroupId);
  a.store(8, FP, VALUE + CONNECTING.cgroup, R0);
  a.call(HELPER.ktimeGetNs);
  a.store(8, FP, VALUE + CONNECTING.began, R0);
  a.storeImm(8, FP, VALUE + CONNECTING.comm, 0);
  a.storeImm(8, FP, VALUE + CONNECTING.comm + 8, 0);
  a.movReg(R1, FP);
  a.alu('add', R1, VALUE + CONNECTING.comm);
  a.mov(R2, 16);
  a.call(HELPER.getCurrentComm);
  // a socket that no descriptor holds is the kernel's own: it has no flags
  follow(a, R9, R7, skSocket);
  follow(a, R9, R9, file);
  follow(a, R1, R9, flags, 4);
  a.alu('and', R1, O_NONBLOCK);
  a.store(4, FP, VALUE + CONNECTING.nonblocking, R1);
  a.mapFd(R1, 'connecting');
  a.movReg(R2, FP);
  a.alu('add', R2, KEY);
  a.movReg(R3, FP);
  a.alu('add', R3, VALUE);
  a.mov(R4, 0); // BPF_ANY
  a.call(HELPER.mapUpdate);
  a.jump('leave');

  a.label('ends');
  a.mapFd(R1, 'connecting');
  a.movReg(R2, FP);
  a.alu('add', R2, KEY);
  a.call(HELPER.mapLookup);
  a.jumpIf('eq', R0, 0, 'leave');
  a.movReg(R6, R0);
  a.call(HELPER.ktimeGetNs);
  a.load(8, R1, R6, CONNECTING.began);
  a.aluReg('sub', R0, R1);
  a.store(8, FP, VALUE, R0); // how long it waited
  follow(a, R1, R7, error, 4);
  a.jumpIf('eq', R1, 0, 'given-up');
  // a blocking connect() returns the error itself: the call probe has it
  a.load(4, R2, R6, CONNECTING.nonblocking);
  a.jumpIf('eq', R2, 0, 'forget');
  a.jump('describe');
  a.label('given-up');
  a.load(8, R2, FP, VALUE);
  a.jumpIf('lt', R2, PATIENCE_NS, 'forget');
  a.mov(R1, EINPROGRESS);
  a.label('describe');
  a.store(8, FP, VALUE + 8, R1);
  reserve(a, 'calls-ring', CALL.size, CONNECT_LOST, 'forget');
  a.storeImm(4, R8, CALL.kind, kindWord(RECORD_KIND.connect));
  a.call(HELPER.ktimeGetNs);
  a.store(8, R8, CALL.time, R0);
  a.call(HELPER.getSmpProcessorId);
  a.store(4, R8, CALL.cpu, R0);
  for (const [from, to] of [[CONNECTING.pidTgid, CALL.pidTgid], [CONNECTING.cgroup, CALL.cgroup], [CONNECTING.comm, CALL.comm], [CONNECTING.comm + 8, CALL.comm + 8]] as const) {
    a.load(8, R1, R6, from);
    a.store(8, R8, to, R1);
  }
  a.load(4, R1, R6, CONNECTING.uid);
  a.store(4, R8, CALL.uid, R1);
  a.load(8, R1, FP, VALUE + 8);
  a.store(4, R8, CALL.errno, R1);
  a.load(8, R1, FP, VALUE);
  a.store(8, R8, CALL.args + CONNECT_ARGS.waited, R1);
  copy(a, CALL.args + CONNECT_ARGS.resent, R7, offsets.need('tcp_sock', 'total_retrans'), 4);
  copy(a, CALL.args + CONNECT_ARGS.port, R7, offsets.need('inet_sock', 'inet_sport'), 2);
  follow(a, R9, R7, net);
  netInode(a, offsets, R1);
  a.store(4, R8, CALL.netns, R1);
  a.movReg(R9, R7);
  socket(a, offsets, CALL.sk);
  submit(a);

  a.label('forget');
  a.mapFd(R1, 'connecting');
  a.movReg(R2, FP);
  a.alu('add', R2, KEY);
  a.call(HELPER.mapDelete);
  a.label('leave');
  a.mov(R0, 0);
  a.exit();
  return finished(a, offsets);
}
