import { ipv4Text, ipv6Text, endpoint, inetText, splitEndpoint } from '../base/inet.ts';
import { address, mono, netnsInode, type Mono } from '../base/brand.ts';
import { cString } from '../base/bytes.ts';
import { errnoText } from '../base/errno.ts';
import { plainName } from '../base/symbol.ts';
import { CALL, CALL_KEY, CALL_ROW, CONNECT_ARGS, COUNT_KEY, COUNT_ROW, DROP, EXEC, IP_SUMMED, kindWord, RECORD_KIND, SOCK, STACK_FRAMES, ARGV_BYTES, FILENAME_BYTES, HEAD_BYTES } from '../bpf/layout.ts';
import { decodePacket } from '../formats/packet.ts';
import type { CallCountEvent, CallEvent, DropCountEvent, DropEvent, DropReason, ExecEvent, PacketConntrack, Place, SocketIdentity, Task, Tuple } from '../model/event.ts';
import type { Symbols } from './symbols.ts';

/** Names for what the records hold as numbers. */
export interface Names {
  reason(number: number): DropReason;
  syscall(nr: number): string;
  readonly symbols: () => Symbols;
}

const UNSET = 0xffff;
const AF_INET = 2, AF_INET6 = 10;

/** One drop sample; undefined when the bytes are not of this layout. */
export function decodeDrop(bytes: Uint8Array, names: Names): DropEvent | undefined {
  if (bytes.length < DROP.size) return undefined;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (v.getUint32(DROP.kind, true) !== kindWord(RECORD_KIND.drop)) return undefined;
  const symbols = names.symbols();
  const stack = stackOf(v, symbols);
  const place = symbols.find(address(v.getBigUint64(DROP.location, true)));
  const protocol = v.getUint32(DROP.protocol, true);
  const length = v.getUint32(DROP.length, true);
  const device = cString(bytes, DROP.device, 16);
  const iif = v.getUint32(DROP.iif, true);
  const socket = socketOf(bytes, v, DROP.sk);
  const receiver = socketOf(bytes, v, DROP.receiver);
  const conntrack = conntrackOf(bytes, v);
  return {
    kind: 'drop',
    time: mono(v.getBigUint64(DROP.time, true)),
    cpu: v.getUint32(DROP.cpu, true),
    netns: netnsInode(v.getUint32(DROP.netns, true)),
    ifindex: v.getUint32(DROP.ifindex, true),
    ...(device === '' ? {} : { interface: device }),
    ...(iif === 0 ? {} : { incoming: iif }),
    skb: address(v.getBigUint64(DROP.skb, true)),
    place,
    reason: names.reason(v.getUint32(DROP.reason, true)),
    protocol,
    length,
    mark: v.getUint32(DROP.mark, true),
    packet: decodePacket(bytes.subarray(DROP.head, DROP.head + Math.min(v.getUint16(DROP.copied, true), HEAD_BYTES)), headersOf(v, protocol, length)),
    stack,
    softirq: stack.some((f) => f.name !== undefined && SOFTIRQ.has(plainName(f.name))),
    task: taskOf(bytes, v, DROP),
    ...(socket === undefined ? {} : { socket }),
    ...(receiver === undefined ? {} : { receiver }),
    ...(conntrack === undefined ? {} : { conntrack }),
    probe: 'bpf',
  };
}

/** Functions that only run in softirq: below them the current task is whoever was interrupted. */
const SOFTIRQ: ReadonlySet<string> = new Set(['handle_softirqs', '__do_softirq', 'do_softirq', '__softirqentry_text_start', 'net_rx_action', 'process_backlog', '__irq_exit_rcu', 'run_ksoftirqd', 'call_timer_fn', 'run_timer_softirq', 'tasklet_action_common', 'rcu_core', 'asm_sysvec_apic_timer_interrupt', 'process_one_work']);

/** What lies between the program and the place that dropped: left out of the stack. */
const TRACING = /^(bpf_|__bpf|__traceiter_|trace_|__perf_|perf_trace_|trace_event_raw_event_|bpf_trace_run|kfree_skb|__kfree_skb|sk_skb_reason_drop|consume_skb|kfree_skb_list)/;

function stackOf(v: DataView, symbols: Symbols): readonly Place[] {
  const bytes = v.getInt32(DROP.stackBytes, true);
  const frames: Place[] = [];
  for (let i = 0; i < Math.min(Math.floor(bytes / 8), STACK_FRAMES); i++) {
    const at = v.getBigUint64(DROP.stack + 8 * i, true);
    if (at === 0n) break;
    frames.push(symbols.findReturn(address(at)));
  }
  // the program's own frame has no symbol in kallsyms or one of BPF's; the dropping function comes behind kfree_skb and kin
  let from = 0;
  while (from < frames.length && (frames[from]?.name === undefined || TRACING.test(frames[from]?.name ?? ''))) from++;
  return from === frames.length ? frames : frames.slice(from);
}

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
  return {
    ...(macIs ? { mac: mac - window } : {}),
    ...(hasNetwork && (!macIs || network > mac) ? { network: network - window } : macIs ? {} : { network: data - window }),
    ...(transport !== UNSET && transport > network && transport >= window ? { transport: transport - window } : {}),
    protocol,
    ...(hasNetwork ? { length: length + (data - network) } : {}),
    checksumOffloaded: summed === IP_SUMMED.partial || summed === IP_SUMMED.unnecessary,
  };
}

function conntrackOf(bytes: Uint8Array, v: DataView): PacketConntrack | undefined {
  const nfct = v.getBigUint64(DROP.nfct, true);
  if (nfct === 0n) return undefined;
  const info = Number(nfct & 7n);
  const entry = nfct & ~7n;
  if (entry === 0n) return { address: address(0n), status: 0, info };
  const original = tupleOf(bytes, v, DROP.original);
  const reply = tupleOf(bytes, v, DROP.reply);
  return {
    address: address(entry),
    status: Number(v.getBigUint64(DROP.status, true) & 0xffffffffn),
    info,
    ...(original === undefined ? {} : { original }),
    ...(reply === undefined ? {} : { reply }),
    mark: v.getUint32(DROP.ctMark, true),
  };
}

const PROTO_ICMP = 1, PROTO_ICMP6 = 58;

/** struct nf_conntrack_tuple: 16 bytes source, u16 source port, u16 family, 16 bytes destination, u16 port, u8 protocol. */
function tupleOf(bytes: Uint8Array, v: DataView, at: number): Tuple | undefined {
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

function socketOf(bytes: Uint8Array, v: DataView, at: number): SocketIdentity | undefined {
  const sock = v.getBigUint64(at + SOCK.address, true);
  if (sock === 0n) return undefined;
  const family = v.getUint16(at + SOCK.family, true);
  const type = v.getUint16(at + SOCK.type, true);
  const inode = Number(v.getBigUint64(at + SOCK.inode, true));
  const localPort = v.getUint16(at + SOCK.localPort, true);
  const remotePort = v.getUint16(at + SOCK.remotePort);
  const text = (from: number): string | undefined => (family === AF_INET ? ipv4Text(bytes, from) : family === AF_INET6 ? ipv6Text(bytes, from) : undefined);
  const local = text(at + SOCK.local);
  const remote = text(at + SOCK.remote);
  const rcvbuf = v.getInt32(at + SOCK.rcvbuf, true);
  return {
    address: address(sock),
    family,
    ...(type === 0 ? {} : { type }),
    protocol: v.getUint16(at + SOCK.protocol, true),
    state: v.getUint8(at + SOCK.state),
    ...(inode === 0 ? {} : { inode }),
    ...(local === undefined ? {} : { local: endpoint(local, localPort) }),
    ...(remote === undefined || remotePort === 0 ? {} : { remote: endpoint(remote, remotePort) }),
    ...(rcvbuf === 0 ? {} : { receiveQueued: v.getInt32(at + SOCK.rmem, true), receiveBuffer: rcvbuf }),
  };
}

function taskOf(bytes: Uint8Array, v: DataView, at: { pidTgid: number; uid: number; comm: number; cgroup: number }): Task {
  return {
    pid: v.getUint32(at.pidTgid + 4, true),
    tid: v.getUint32(at.pidTgid, true),
    comm: cString(bytes, at.comm, 16),
    uid: v.getUint32(at.uid, true),
    cgroup: v.getBigUint64(at.cgroup, true),
  };
}

/** One failed call. */
export function decodeCall(bytes: Uint8Array, names: Names): CallEvent | undefined {
  if (bytes.length < CALL.size) return undefined;
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = v.getUint32(CALL.kind, true);
  if (kind === kindWord(RECORD_KIND.connect)) return connectOf(bytes, v);
  if (kind !== kindWord(RECORD_KIND.call)) return undefined;
  const syscall = names.syscall(v.getUint32(CALL.nr, true));
  const args = Array.from({ length: 6 }, (_, i) => v.getBigUint64(CALL.args + 8 * i, true));
  const destination = sockaddr(bytes, v, CALL.address, v.getUint32(CALL.addressLength, true));
  const socket = socketOf(bytes, v, CALL.sk);
  const length = syscall === 'sendto' || syscall === 'write' ? Number((args[2] ?? 0n) & 0xffffffffn) : undefined;
  return {
    kind: 'call',
    time: mono(v.getBigUint64(CALL.time, true)),
    cpu: v.getUint32(CALL.cpu, true),
    netns: netnsInode(v.getUint32(CALL.netns, true)),
    task: taskOf(bytes, v, CALL),
    syscall,
    errno: errnoText(v.getUint32(CALL.errno, true)),
    ...(syscall === 'socket' ? {} : { fd: Number((args[0] ?? 0n) & 0xffffffffn) }),
    ...(destination === undefined ? {} : { destination }),
    ...(length === undefined ? {} : { length }),
    args,
    ...(socket === undefined ? {} : { socket }),
    seccomp: v.getUint32(CALL.seccomp, true) !== 0,
  };
}

/** A TCP connection attempt that came to nothing. */
function connectOf(bytes: Uint8Array, v: DataView): CallEvent {
  const socket = socketOf(bytes, v, CALL.sk);
  const at = CALL.args;
  const local = splitEndpoint(socket?.local ?? '');
  return {
    kind: 'call',
    time: mono(v.getBigUint64(CALL.time, true)),
    cpu: v.getUint32(CALL.cpu, true),
    netns: netnsInode(v.getUint32(CALL.netns, true)),
    task: taskOf(bytes, v, CALL),
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
    task: taskOf(bytes, v, EXEC),
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
