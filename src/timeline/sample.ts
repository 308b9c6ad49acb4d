import { ipv4Text, ipv6Text, endpoint, inetText, splitEndpoint } from '../base/inet.ts';
import { address, mono, netnsInode, type Mono } from '../base/brand.ts';
import { cString } from '../base/bytes.ts';
import { errnoText } from '../base/errno.ts';
import { plainName } from '../base/symbol.ts';
import { BUDGET, CALL, CALL_KEY, CALL_ROW, CONNECT_ARGS, COUNT_KEY, COUNT_ROW, DROP, EXEC, IP_SUMMED, kindWord, RECORD_KIND, SOCK, STACK_FRAMES, TUPLE_BYTES, ARGV_BYTES, FILENAME_BYTES, HEAD_BYTES } from '../bpf/layout.ts';
import { decodePacket } from '../formats/packet.ts';
import type { CallCountEvent, CallEvent, DropCountEvent, DropEvent, DropReason, ExecEvent, PacketConntrack, Place, SocketIdentity, Task, Tuple } from '../model/event.ts';
import { forEach, remember } from '../base/remember.ts';
import type { Shed } from './shed.ts';
import type { Symbols } from './symbols.ts';

/** Names for what the records hold as numbers. */
export interface Names {
  reason(number: number): DropReason;
  syscall(nr: number): string;
  readonly symbols: () => Symbols;
}

const UNSET = 0xffff;
const AF_INET = 2, AF_INET6 = 10;

type Filling<T> = { -readonly [K in keyof T]: T[K] };

/** One drop sample; undefined when the bytes are not of this layout. What repeats is one object for all its events. */
export function decodeDrop(bytes: Uint8Array, names: Names, shedBefore?: Shed): DropEvent | undefined {
  if (bytes.length < DROP.size) return undefined;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (v.getUint32(DROP.kind, true) !== kindWord(RECORD_KIND.drop)) return undefined;
  const named = namesIn(names.symbols());
  const { places, softirq } = named.stack(v, DROP.stack, 2 * Math.min(Math.max(0, v.getInt32(DROP.stackBytes, true) >> 3), STACK_FRAMES));
  const protocol = v.getUint32(DROP.protocol, true);
  const length = v.getUint32(DROP.length, true);
  const event: Filling<DropEvent> = {
    kind: 'drop',
    time: mono(v.getBigUint64(DROP.time, true)),
    cpu: v.getUint32(DROP.cpu, true),
    netns: netnsInode(v.getUint32(DROP.netns, true)),
    ifindex: v.getUint32(DROP.ifindex, true),
    skb: address(v.getBigUint64(DROP.skb, true)),
    place: named.place(v, DROP.location, 2),
    reason: names.reason(v.getUint32(DROP.reason, true)),
    protocol,
    length,
    mark: v.getUint32(DROP.mark, true),
    packet: decodePacket(new Uint8Array(bytes.buffer, bytes.byteOffset + DROP.head, Math.min(v.getUint16(DROP.copied, true), HEAD_BYTES)), headersOf(v, protocol, length)),
    stack: places,
    softirq,
    task: taskAt(v, DROP.pidTgid, TASK_WORDS),
    probe: 'bpf',
  };
  const device = v.getUint8(DROP.device) === 0 ? '' : deviceAt(v, DROP.device, 4);
  if (device !== '') event.interface = device;
  const incoming = v.getUint32(DROP.iif, true);
  if (incoming !== 0) event.incoming = incoming;
  const socket = socketOf(v, DROP.sk);
  if (socket !== undefined) event.socket = socket;
  const receiver = socketOf(v, DROP.receiver);
  if (receiver !== undefined) event.receiver = receiver;
  const conntrack = conntrackOf(v);
  if (conntrack !== undefined) event.conntrack = conntrack;
  const budget = v.getUint32(DROP.budget, true);
  if (budget === BUDGET.newcomer) event.newcomer = true;
  if (budget === BUDGET.spent) event.spent = true;
  const shed = shedBefore?.(event, v.getBigUint64(DROP.nth, true));
  if (shed !== undefined) event.shed = shed;
  return event;
}

const bytesOf = (v: DataView): Uint8Array => new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
const deviceAt = remember(4, 64, (v, at) => cString(bytesOf(v), at, 16));

/** Functions that only run in softirq: below them the current task is whoever was interrupted. */
const SOFTIRQ: ReadonlySet<string> = new Set(['handle_softirqs', '__do_softirq', 'do_softirq', '__softirqentry_text_start', 'net_rx_action', 'process_backlog', '__irq_exit_rcu', 'run_ksoftirqd', 'call_timer_fn', 'run_timer_softirq', 'tasklet_action_common', 'rcu_core', 'asm_sysvec_apic_timer_interrupt', 'process_one_work']);

/** What lies between the program and the place that dropped: left out of the stack. */
const TRACING = /^(bpf_|__bpf|__traceiter_|trace_|__perf_|perf_trace_|trace_event_raw_event_|bpf_trace_run|kfree_skb|__kfree_skb|sk_skb_reason_drop|consume_skb|kfree_skb_list)/;

interface Stack {
  readonly places: readonly Place[];
  readonly softirq: boolean;
}

function readStack(v: DataView, at: number, words: number, symbols: Symbols): Stack {
  const frames: Place[] = [];
  for (let i = 0; i < words; i += 2) {
    const frame = v.getBigUint64(at + 4 * i, true);
    if (frame === 0n) break;
    frames.push(symbols.findReturn(address(frame)));
  }
  // the program's own frame has no symbol in kallsyms or one of BPF's; the dropping function comes behind kfree_skb and kin
  let from = 0;
  while (from < frames.length && (frames[from]?.name === undefined || TRACING.test(frames[from]?.name ?? ''))) from++;
  const places = from === frames.length ? frames : frames.slice(from);
  return { places, softirq: places.some((f) => f.name !== undefined && SOFTIRQ.has(plainName(f.name))) };
}

/** Places and stacks by these symbols: as the symbols grow, they are read anew. */
const namesIn = forEach((symbols: Symbols) => ({
  place: remember(2, 256, (v, at) => symbols.find(address(v.getBigUint64(at, true)))),
  stack: remember(2 * STACK_FRAMES, 256, (v, at, words) => readStack(v, at, words, symbols)),
}));

/** Where the headers are within the copied window; what is unset or cannot be is left out. */
export function headersOf(v: DataView, protocol: number, length: number): Parameters<typeof decodePacket>[1] {
  const window = v.getUint16(DROP.window, true);
  const mac = v.getUint16(DROP.mac, true);
  const network = v.getUint16(DROP.network, true);
  const transport = v.getUint16(DROP.transport, true);
  const data = v.getUint16(DROP.data, true);
  const summed = v.getUint32(DROP.ipSummed, true);
  const hasNetwork = network !== 0 && network >= window && network <= data + length;
  // a network header that lies before the data, or at it, is a header; one behind it is left from another skb
  const macIs = mac !== UNSET && mac >= window && (!hasNetwork || network - mac >= 14);
  const at: Filling<Parameters<typeof decodePacket>[1]> = { protocol, checksumOffloaded: summed === IP_SUMMED.partial || summed === IP_SUMMED.unnecessary };
  if (macIs) at.mac = mac - window;
  if (hasNetwork && (!macIs || network > mac)) at.network = network - window;
  else if (!macIs) at.network = data - window;
  if (transport !== UNSET && transport > network && transport >= window) at.transport = transport - window;
  if (hasNetwork) at.length = length + (data - network);
  return at;
}

function conntrackOf(v: DataView): PacketConntrack | undefined {
  const low = v.getUint32(DROP.nfct, true);
  if (low === 0 && v.getUint32(DROP.nfct + 4, true) === 0) return undefined;
  const info = low & 7; // NFCT_INFOMASK
  const entry = v.getBigUint64(DROP.nfct, true) - BigInt(info);
  if (entry === 0n) return { address: address(0n), status: 0, info };
  const conntrack: Filling<PacketConntrack> = { address: address(entry), status: v.getUint32(DROP.status, true), info, mark: v.getUint32(DROP.ctMark, true) };
  const original = tupleAt(v, DROP.original, TUPLE_WORDS);
  if (original !== undefined) conntrack.original = original;
  const reply = tupleAt(v, DROP.reply, TUPLE_WORDS);
  if (reply !== undefined) conntrack.reply = reply;
  return conntrack;
}

const PROTO_ICMP = 1, PROTO_ICMP6 = 58;

/** struct nf_conntrack_tuple: 16 bytes source, u16 source port, u16 family, 16 bytes destination, u16 port, u8 protocol. */
function tupleOf(v: DataView, at: number): Tuple | undefined {
  const bytes = bytesOf(v);
  const l3 = v.getUint16(at + 18, true);
  const protocol = v.getUint8(at + 38);
  const family = l3 === AF_INET ? 4 : l3 === AF_INET6 ? 6 : undefined;
  if (family === undefined) return undefined;
  const source = inetText(family, bytes, at);
  const destination = inetText(family, bytes, at + 20);
  if (source === undefined || destination === undefined) return undefined;
  const icmp = protocol === PROTO_ICMP || protocol === PROTO_ICMP6;
  return {
    family, protocol, source, destination,
    sourcePort: v.getUint16(at + 16), // network order; ICMP: the echo id
    destinationPort: icmp ? (v.getUint8(at + 36) << 8) | v.getUint8(at + 37) : v.getUint16(at + 36),
  };
}

const TUPLE_WORDS = TUPLE_BYTES / 4;
const tupleAt = remember(TUPLE_WORDS, 256, tupleOf);

function socketOf(v: DataView, at: number): SocketIdentity | undefined {
  return v.getUint32(at + SOCK.address, true) === 0 && v.getUint32(at + SOCK.address + 4, true) === 0 ? undefined : socketAt(v, at, SOCK.size / 4);
}

const socketAt = remember(SOCK.size / 4, 1024, (v, at): SocketIdentity => {
  const family = v.getUint16(at + SOCK.family, true);
  const socket: Filling<SocketIdentity> = {
    address: address(v.getBigUint64(at + SOCK.address, true)),
    family,
    protocol: v.getUint16(at + SOCK.protocol, true),
    state: v.getUint8(at + SOCK.state),
  };
  const type = v.getUint16(at + SOCK.type, true);
  if (type !== 0) socket.type = type;
  const inode = v.getUint32(at + SOCK.inode, true) + v.getUint32(at + SOCK.inode + 4, true) * 2 ** 32;
  if (inode !== 0) socket.inode = inode;
  if (family === AF_INET || family === AF_INET6) {
    const bytes = bytesOf(v), version = family === AF_INET ? 4 : 6;
    const remotePort = v.getUint16(at + SOCK.remotePort);
    const local = inetText(version, bytes, at + SOCK.local), remote = remotePort === 0 ? undefined : inetText(version, bytes, at + SOCK.remote);
    if (local !== undefined) socket.local = endpoint(local, v.getUint16(at + SOCK.localPort, true));
    if (remote !== undefined) socket.remote = endpoint(remote, remotePort);
  }
  const buffer = v.getInt32(at + SOCK.rcvbuf, true);
  if (buffer !== 0) {
    socket.receiveQueued = v.getInt32(at + SOCK.rmem, true);
    socket.receiveBuffer = buffer;
  }
  return socket;
});

/** Every record has its task like this: u64 pid and tgid, u32 uid, another u32, u64 cgroup, 16 bytes of comm. */
const TASK_WORDS = 10;
const taskAt = remember(TASK_WORDS, 256, (v, at): Task => ({
  pid: v.getUint32(at + 4, true),
  tid: v.getUint32(at, true),
  comm: cString(bytesOf(v), at + 24, 16),
  uid: v.getUint32(at + 8, true),
  cgroup: v.getBigUint64(at + 16, true),
}));

/** One failed call. */
export function decodeCall(bytes: Uint8Array, names: Names): CallEvent | undefined {
  if (bytes.length < CALL.size) return undefined;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = v.getUint32(CALL.kind, true);
  if (kind === kindWord(RECORD_KIND.connect)) return connectOf(v);
  if (kind !== kindWord(RECORD_KIND.call)) return undefined;
  const syscall = names.syscall(v.getUint32(CALL.nr, true));
  const args: bigint[] = [];
  for (let i = 0; i < 6; i++) args.push(v.getBigUint64(CALL.args + 8 * i, true));
  const call: Filling<CallEvent> = {
    kind: 'call',
    time: mono(v.getBigUint64(CALL.time, true)),
    cpu: v.getUint32(CALL.cpu, true),
    netns: netnsInode(v.getUint32(CALL.netns, true)),
    task: taskAt(v, CALL.pidTgid, TASK_WORDS),
    syscall,
    errno: errnoText(v.getUint32(CALL.errno, true)),
    args,
    seccomp: v.getUint32(CALL.seccomp, true) !== 0,
  };
  if (syscall !== 'socket') call.fd = v.getUint32(CALL.args, true);
  const destination = sockaddr(bytes, v, CALL.address, v.getUint32(CALL.addressLength, true));
  if (destination !== undefined) call.destination = destination;
  if (syscall === 'sendto' || syscall === 'write') call.length = v.getUint32(CALL.args + 16, true);
  const socket = socketOf(v, CALL.sk);
  if (socket !== undefined) call.socket = socket;
  return call;
}

/** A TCP connection attempt that came to nothing. */
function connectOf(v: DataView): CallEvent {
  const socket = socketOf(v, CALL.sk);
  const at = CALL.args;
  const local = splitEndpoint(socket?.local ?? '');
  return {
    kind: 'call',
    time: mono(v.getBigUint64(CALL.time, true)),
    cpu: v.getUint32(CALL.cpu, true),
    netns: netnsInode(v.getUint32(CALL.netns, true)),
    task: taskAt(v, CALL.pidTgid, TASK_WORDS),
    syscall: 'connect',
    errno: errnoText(v.getUint32(CALL.errno, true)),
    ...(socket?.remote === undefined ? {} : { destination: socket.remote }),
    args: [],
    ...(socket === undefined ? {} : { socket: local === undefined ? socket : { ...socket, local: endpoint(local.address, v.getUint16(at + CONNECT_ARGS.port)) } }),
    attempt: { waited: v.getBigUint64(at + CONNECT_ARGS.waited, true), resent: v.getUint32(at + CONNECT_ARGS.resent, true) },
  };
}

/** struct sockaddr_in, sockaddr_in6. */
function sockaddr(bytes: Uint8Array, v: DataView, at: number, length: number): string | undefined {
  const family = v.getUint16(at, true);
  if (family === AF_INET && length >= 8) return endpoint(ipv4Text(bytes, at + 4) ?? '', v.getUint16(at + 2));
  if (family === AF_INET6 && length >= 24) return endpoint(ipv6Text(bytes, at + 8) ?? '', v.getUint16(at + 2));
  return undefined;
}

/** One execve. */
export function decodeExec(bytes: Uint8Array): ExecEvent | undefined {
  if (bytes.length < EXEC.size) return undefined;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (v.getUint32(EXEC.kind, true) !== kindWord(RECORD_KIND.exec)) return undefined;
  const length = Math.min(v.getUint32(EXEC.argvLength, true), ARGV_BYTES);
  const argv = utf8.decode(bytes.subarray(EXEC.argv, EXEC.argv + length)).split('\0');
  if (argv.at(-1) === '') argv.pop();
  return {
    kind: 'exec',
    time: mono(v.getBigUint64(EXEC.time, true)),
    task: taskAt(v, EXEC.pidTgid, TASK_WORDS),
    parent: v.getUint32(EXEC.parent, true),
    filename: cString(bytes, EXEC.filename, FILENAME_BYTES),
    argv,
    netns: netnsInode(v.getUint32(EXEC.netns, true)),
  };
}

const utf8 = new TextDecoder('utf-8');

/** The counters of failed calls, one event a row; a row that is cut is left out. */
export function decodeCallCounts(bytes: Uint8Array, time: Mono, names: Names): readonly CallCountEvent[] {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const events: CallCountEvent[] = [];
  for (let at = 0; at + CALL_ROW.size <= bytes.length; at += CALL_ROW.size) {
    const call = v.getUint32(at + CALL_KEY.call, true);
    const syscall = names.syscall(call >>> 16);
    // counted before it is known whether the descriptor is a socket
    if (syscall === 'write' || syscall === 'writev') continue;
    events.push({ kind: 'call-count', time, pid: v.getUint32(at + CALL_KEY.tgid, true), syscall, errno: errnoText(call & 0xffff), calls: Number(v.getBigUint64(at + CALL_ROW.calls, true)) });
  }
  return events;
}

/** The counters, one event a row; a row that is cut is left out. */
export function decodeCounts(bytes: Uint8Array, time: bigint, names: Names): readonly DropCountEvent[] {
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const events: DropCountEvent[] = [];
  for (let at = 0; at + COUNT_ROW.size <= bytes.length; at += COUNT_ROW.size) {
    events.push({
      kind: 'drop-count',
      time: mono(time),
      place: names.symbols().find(address(v.getBigUint64(at + COUNT_KEY.location, true))),
      reason: names.reason(v.getUint32(at + COUNT_KEY.reason, true)),
      netns: netnsInode(v.getUint32(at + COUNT_KEY.netns, true)),
      ifindex: v.getUint32(at + COUNT_KEY.ifindex, true),
      protocol: v.getUint32(at + COUNT_KEY.protocol, true),
      packets: Number(v.getBigUint64(at + COUNT_ROW.packets, true)),
      bytes: Number(v.getBigUint64(at + COUNT_ROW.bytes, true)),
    });
  }
  return events;
}
