import { address, netnsInode, type Address, type Netns } from '../../base/brand.ts';
import { errnoText } from '../../base/errno.ts';
import { parseEventFormat } from '../../formats/event-format.ts';
import type { Frame, TraceRecord } from '../../formats/evidence-record.ts';
import { inInterrupt, isHashed, symbolFrame } from '../../formats/ftrace-text.ts';
import { parseKallsyms } from '../../formats/kallsyms.ts';
import { decodePacket } from '../../formats/packet.ts';
import type { CallEvent, DropEvent, Place, Tuple } from '../../model/event.ts';
import type { Packet } from '../../model/packet.ts';
import { inverse } from '../conntrack/tuple.ts';
import type { Clocks } from './clocks.ts';
import { UNNAMED, type Collected, type Item } from './collected.ts';

/** A drop as the trace has it, not yet placed in a namespace. */
export interface TracedDrop {
  readonly event: DropEvent;
  readonly file: string;
  readonly line: number;
  /** A probe on nf_ct_resolve_clash saw this packet: it lost an insert race, by the kernel's own word. */
  readonly clash?: { readonly file: string; readonly found: 'original' | 'reply'; readonly time: bigint; readonly verdict?: number };
}

type Trace = Item<TraceRecord>;

/** Frames of the tracing and freeing machinery, above the function that dropped the packet. */
const MACHINERY = /^(?:trace_event_raw_event_|perf_trace_|bpf_trace_run|__bpf_trace_|__traceiter_|__?kfree_skb|kfree_skb|sk_skb_reason_drop|skb_release_|ftrace_|trace_|stack_trace|save_stack)/;
/** One event, told by two instances of the trace. */
const SAME_NS = 5_000_000n;

export function tracedDrops(collected: Collected, clocks: Clocks): readonly TracedDrop[] {
  const drops = collected.of('trace').filter((t) => t.record.event === 'kfree_skb' || t.record.event === 'skb:kfree_skb');
  const clashes = clashesNear(collected.of('trace').filter((t) => t.record.at?.name === 'nf_ct_resolve_clash' || t.record.event.includes('clash')));
  const protocols = new Map(collected.of('conntrack-event').flatMap(({ record: { entry: { original: o } } }) => [[`${o.source} ${o.destination}`, o.protocol], [`${o.destination} ${o.source}`, o.protocol]] as const));
  const names = symbolsIn(collected);
  const reasons = reasonsIn(collected);
  const groups = grouped(drops);
  // what a stack tells of a place is true for the same place without a stack
  const learned = new Map<bigint, string>();
  for (const group of groups) {
    const at = locationOf(group);
    const caller = callerIn(group);
    if (at !== undefined && !isHashed(at) && caller?.name !== undefined) learned.set(at, caller.name);
  }
  return groups.map((group) => dropOf(group, clocks, clashes, names, learned, reasons, protocols)).sort((a, b) => (a.event.time < b.event.time ? -1 : a.event.time > b.event.time ? 1 : 0));
}

/** Events that are one: told by traces of different files. */
function grouped(drops: readonly Trace[]): readonly (readonly Trace[])[] {
  const groups: Trace[][] = [];
  const perCpu = new Map<number, Trace[][]>();
  for (const drop of [...drops].sort((a, b) => (a.record.time < b.record.time ? -1 : a.record.time > b.record.time ? 1 : 0))) {
    const recent = perCpu.get(drop.record.cpu) ?? [];
    perCpu.set(drop.record.cpu, recent);
    const same = recent.slice(-16).find((g) => g.every((d) => d.file !== drop.file && isSame(d.record, drop.record)));
    if (same !== undefined) same.push(drop);
    else {
      const group = [drop];
      groups.push(group);
      recent.push(group);
    }
  }
  return groups;
}

function isSame(a: TraceRecord, b: TraceRecord): boolean {
  if (a.keeps !== undefined || b.keeps !== undefined || (a.stamp === undefined) !== (b.stamp === undefined)) return false; // no times to compare
  const away = a.time > b.time ? a.time - b.time : b.time - a.time;
  if (away > SAME_NS || (a.tid !== undefined && b.tid !== undefined && a.tid !== b.tid)) return false;
  const skbs = [hex(a.fields.get('skbaddr')), hex(b.fields.get('skbaddr'))];
  if (skbs[0] === undefined || skbs[1] === undefined) return true;
  return isHashed(skbs[0]) !== isHashed(skbs[1]) || skbs[0] === skbs[1];
}

function dropOf(group: readonly Trace[], clocks: Clocks, clashes: Clashes, names: (at: bigint) => Place | undefined, learned: ReadonlyMap<bigint, string>, reasons: ReadonlyMap<string, number>, protocols: ReadonlyMap<string, number>): TracedDrop {
  const lead = group.find((d) => d.record.stack.length > 0) ?? group[0]!;
  const { record } = lead;
  const at = locationOf([lead, ...group]);
  const symbol = group.map((d) => symbolFrame(d.record.fields.get('location') ?? '')).find((f) => f?.name !== undefined);
  const caller = callerIn(group);
  const looked = at === undefined ? undefined : names(at);
  const name = symbol?.name ?? looked?.name ?? caller?.name ?? (at === undefined ? undefined : learned.get(at));
  const offset = symbol?.offset ?? looked?.offset ?? caller?.offset;
  const module = symbol?.module ?? looked?.module ?? caller?.module;
  const skb = group.map((d) => hex(d.record.fields.get('skbaddr'))).sort((a, b) => Number(isHashed(a ?? 0n)) - Number(isHashed(b ?? 0n))).find((a) => a !== undefined) ?? 0n;
  const clash = clashOf(skb, record, clashes);
  const reason = group.map((d) => d.record.fields.get('reason')).find((r) => r !== undefined && /^[A-Z]\w+$/.test(r)) ?? 'NOT_SPECIFIED';
  const { stack, received } = stackOf(record.stack);
  const flags = inInterrupt(record.flags);
  const comm = group.map((d) => d.record.comm).find((c) => !c.startsWith('<')) ?? group.map((d) => d.record.comm).find((c) => !/^<(?:\.\.\.|idle)>$/.test(c)) ?? record.comm;
  const tid = group.map((d) => d.record.tid).find((t) => t !== undefined) ?? 0;
  const tuple = clash?.tuple === undefined ? undefined : { ...clash.tuple, protocol: protocols.get(`${clash.tuple.source} ${clash.tuple.destination}`) ?? clash.tuple.protocol };
  const { told } = record;
  const protocol = Number(record.fields.get('protocol') ?? 0) || 0;
  const packet = told?.head !== undefined ? decodePacket(told.head, { mac: 0, network: 14, protocol }) : tuple !== undefined ? packetOf(tuple) : told?.tuple !== undefined ? packetOf(told.tuple, told.flags) : { defects: [] };
  const event: DropEvent = {
    kind: 'drop', time: clocks.event(record), cpu: record.cpu, netns: told?.netns === undefined ? UNNAMED : netnsInode(told.netns.inode), ifindex: told?.ifindex ?? 0, ...(told?.interface === undefined ? {} : { interface: told.interface }), skb: address(skb),
    place: { address: address(at ?? standIn(name, offset)), ...(name === undefined ? {} : { name }), ...(offset === undefined ? {} : { offset }), ...(module === undefined ? {} : { module }) },
    reason: { number: reasons.get(reason) ?? 0, name: reason }, protocol: protocol || (packet.ip === undefined ? 0 : packet.ip.version === 4 ? 0x0800 : 0x86dd), length: told?.length ?? 0, mark: told?.mark ?? 0,
    packet, stack,
    softirq: flags ?? (tid === 0 || received), task: { pid: tid, tid, comm: comm.replace(/^<(?!\.\.\.|idle)(.*)>$/, '$1') },
    ...(tuple !== undefined ? { conntrack: { address: address(0n), status: 0, info: 2, original: tuple, reply: inverse(tuple) } } : told?.conntrack === undefined ? {} : { conntrack: { address: address(0n), ...told.conntrack } }),
    ...(told?.verdict === undefined ? {} : { verdict: told.verdict }),
    probe: 'tracefs',
  };
  return { event, file: lead.file, line: record.line, ...(clash === undefined ? {} : { clash: { file: clash.file, found: clash.dir === 1 ? 'reply' : 'original', time: clash.time, ...(clash.verdict === undefined ? {} : { verdict: clash.verdict }) } }) };
}

interface KnownStack {
  readonly stack: readonly Place[];
  /** The packet was being received. */
  readonly received: boolean;
}

/** One array of frames may be that of many events. */
const stacks = new WeakMap<readonly Frame[], KnownStack>();

function stackOf(frames: readonly Frame[]): KnownStack {
  const known = stacks.get(frames);
  if (known !== undefined) return known;
  const stack = frames.filter((f, i) => !(i < 8 && f.name !== undefined && MACHINERY.test(f.name))).map(placeOf);
  const made = { stack, received: stack.some((f) => /^(?:process_backlog|net_rx_action|__?netif_receive_skb|napi_gro|__napi_poll)/.test(f.name ?? '')) };
  stacks.set(frames, made);
  return made;
}

/** Failed calls that the trace saw: sys_exit with a negative result, and the exits of single calls. */
export function tracedCalls(collected: Collected, clocks: Clocks): readonly { readonly call: CallEvent; readonly file: string; readonly line: number }[] {
  return collected.of('trace').flatMap(({ record, file }) => {
    const value = Number(record.fields.get('ret') ?? (/^sys_exit_\w+$/.test(record.event) ? signed(/0x[0-9a-f]+/.exec(record.text)?.[0]) : NaN));
    if (!record.event.startsWith('sys_exit') || !(value < 0 && value > -4096)) return [];
    const nr = record.fields.get('NR');
    const syscall = nr !== undefined ? (X64[Number(nr)] ?? `system call ${nr}`) : (record.fields.get('syscall') ?? record.event.replace(/^sys_exit_/, ''));
    const tid = record.tid ?? 0;
    const call: CallEvent = { kind: 'call', time: clocks.event(record), cpu: record.cpu, netns: UNNAMED, task: { pid: tid, tid, comm: record.comm }, syscall, errno: errnoText(-value), args: [] };
    return [{ call, file, line: record.line }];
  });
}

/** arch/x86/entry/syscalls/syscall_64.tbl: the calls that send. */
const X64: Readonly<Record<number, string>> = { 1: 'write', 20: 'writev', 41: 'socket', 42: 'connect', 44: 'sendto', 45: 'recvfrom', 46: 'sendmsg', 47: 'recvmsg', 49: 'bind', 307: 'sendmmsg' };

/** The kernel printed a symbol and no address: something that tells places apart, as an address would. */
function standIn(name: string | undefined, offset: number | undefined): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const c of `${name ?? ''}+${offset ?? 0}`) hash = BigInt.asUintN(64, (hash ^ BigInt(c.codePointAt(0)!)) * 0x100000001b3n);
  return name === undefined ? 0n : hash;
}

const hex = (text: string | undefined): bigint | undefined => (text !== undefined && /^(?:0x)?[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text.replace(/^0x/, '')}`) : undefined);
const signed = (text: string | undefined): number => (text === undefined ? NaN : Number(BigInt.asIntN(64, BigInt(text))));

function locationOf(group: readonly Trace[]): bigint | undefined {
  const all = group.map((d) => hex(d.record.fields.get('location'))).filter((a) => a !== undefined);
  return all.find((a) => !isHashed(a)) ?? all[0];
}

function callerIn(group: readonly Trace[]): Frame | undefined {
  const stack = group.find((d) => d.record.stack.length > 0)?.record.stack ?? [];
  let freed = -1;
  for (let i = 0; i < Math.min(8, stack.length); i++) if (MACHINERY.test(stack[i]?.name ?? '')) freed = i;
  return freed < 0 ? undefined : stack[freed + 1];
}

const placeOf = (f: Frame): Place => ({ address: (f.address ?? 0n) as Address, ...(f.name === undefined ? {} : { name: f.name }), ...(f.offset === undefined ? {} : { offset: f.offset }), ...(f.module === undefined ? {} : { module: f.module }) });

function clashOf(skb: bigint, record: TraceRecord, clashes: Clashes): { readonly tuple?: Tuple; readonly dir?: number; readonly file: string; readonly time: bigint; readonly verdict?: number } | undefined {
  const near = clashes(record);
  const hit = near.find((c) => c.record.caller === undefined && (hex(c.record.fields.get('skb')) === skb || (isHashed(skb) && c.record.fields.has('skb'))));
  if (hit === undefined) return undefined;
  const verdict = near.find((c) => c.record.caller !== undefined && c.record.time >= hit.record.time)?.record.fields.get('verdict');
  const f = hit.record.fields;
  const source = dotted(f.get('src')), destination = dotted(f.get('dst')), sourcePort = swapped(f.get('sport')), destinationPort = swapped(f.get('dport'));
  const dir = f.get('dir');
  const tuple: Tuple | undefined = source === undefined || destination === undefined ? undefined : { family: 4, protocol: 17, source, destination, ...(sourcePort === undefined ? {} : { sourcePort }), ...(destinationPort === undefined ? {} : { destinationPort }) };
  return { file: hit.file, time: hit.record.time, ...(tuple === undefined ? {} : { tuple }), ...(dir === undefined ? {} : { dir: Number(dir) }), ...(verdict === undefined ? {} : { verdict: Number(verdict) }) };
}

/** Probes print network byte order as a little-endian number: 0x200630a is 10.99.0.2. */
function dotted(text: string | undefined): string | undefined {
  const n = hex(text);
  return n === undefined || n > 0xffffffffn ? undefined : [0n, 8n, 16n, 24n].map((s) => String((n >> s) & 255n)).join('.');
}
function swapped(text: string | undefined): number | undefined {
  const n = Number(hex(text) ?? NaN);
  return n >= 0 && n <= 0xffff ? ((n & 255) << 8) | (n >> 8) : undefined;
}

type Clashes = (record: TraceRecord) => readonly Trace[];

/** Probe events of the same task on the same CPU just before a drop. */
function clashesNear(all: readonly Trace[]): Clashes {
  const perCpu = new Map<number, Trace[]>();
  for (const c of all.toSorted((a, b) => (a.record.time < b.record.time ? -1 : a.record.time > b.record.time ? 1 : 0))) {
    const list = perCpu.get(c.record.cpu);
    if (list === undefined) perCpu.set(c.record.cpu, [c]);
    else list.push(c);
  }
  return (record) => {
    const list = perCpu.get(record.cpu) ?? [];
    const near: Trace[] = [];
    for (let i = firstFrom(list, record.time - SAME_NS); i < list.length && list[i]!.record.time <= record.time + SAME_NS; i++) if (list[i]!.record.tid === record.tid) near.push(list[i]!);
    return near;
  };
}

function firstFrom(list: readonly Trace[], time: bigint): number {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle]!.record.time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

function packetOf(t: Tuple, flags = 0): Packet {
  const ports = { sourcePort: t.sourcePort ?? 0, destinationPort: t.destinationPort ?? 0 };
  return {
    ip: { version: t.family, source: t.source, destination: t.destination, protocol: t.protocol, ttl: 0, totalLength: 0, headerLength: 0, tos: 0 },
    ...(t.protocol === 17 ? { transport: { kind: 'udp' as const, ...ports, length: 0, checksum: 0 } } : t.protocol === 6 && t.sourcePort !== undefined ? { transport: { kind: 'tcp' as const, ...ports, flags, sequence: 0, acknowledgement: 0, window: 0, options: [] } } : {}), defects: [],
  };
}

/** Names for addresses from excerpts of kallsyms: only near enough to a symbol that nothing lies between that is left out. */
function symbolsIn(collected: Collected): (at: bigint) => Place | undefined {
  const table = parseKallsyms(collected.of('symbols').map((s) => s.record.text).join(''));
  const near = 4096;
  const known = new Map<bigint, Place | undefined>();
  return (at) => {
    if (known.has(at)) return known.get(at);
    const place = look(at);
    known.set(at, place);
    return place;
  };
  function look(at: bigint): Place | undefined {
    const low = Number(at & ((1n << 53n) - 1n));
    let best = -1;
    for (let i = 0; i < table.count; i++) if (table.addresses[i]! <= low && low - table.addresses[i]! < near) best = i;
    if (best < 0 || at >> 53n !== BigInt(table.high)) return undefined;
    const module = table.modules[table.module[best] ?? 0];
    return { address: address(at), name: table.name(best), offset: low - table.addresses[best]!, ...(module === undefined || module === '' ? {} : { module }) };
  }
}

function reasonsIn(collected: Collected): ReadonlyMap<string, number> {
  const reasons = new Map<string, number>();
  for (const { record } of collected.of('event-format')) {
    for (const [number, name] of parseEventFormat(record.text).names.get('reason') ?? []) reasons.set(name, number);
  }
  return reasons;
}

/** Where a drop was: `task`'s own namespace, or one that the packet had reached through a virtual link within the sender's call. */
export function placeDrop(drop: DropEvent, unnamed: Netns, all: readonly Netns[], homes: ReadonlyMap<number, Netns>, guess: () => { readonly netns: Netns; readonly how: string } | undefined): { readonly netns: Netns; readonly how?: string } {
  if (drop.netns !== UNNAMED) return { netns: drop.netns }; // the tool says where
  if (all.length === 0) return { netns: unnamed };
  const home = homes.get(drop.task.pid);
  const only = all.length === 1 ? all[0] : undefined;
  if (only !== undefined) return { netns: only };
  if (home !== undefined && !drop.softirq) return { netns: home, how: `process ${drop.task.pid} has its sockets there` };
  const names = drop.stack.map((p) => p.name ?? '');
  const inAt = names.findIndex((n) => /^(?:ip_local_deliver|ip_rcv|ipv6_rcv|ip6_input)/.test(n)), outAt = names.findIndex((n) => /^(?:__dev_queue_xmit|dev_queue_xmit|ip_output|ip6_output|ip_finish_output)/.test(n));
  const others = all.filter((n) => n !== home);
  if (home !== undefined && inAt >= 0 && outAt > inAt && others.length === 1) return { netns: others[0]!, how: `the stack shows it received within process ${drop.task.pid}'s own call, so it had crossed a virtual link to the other namespace` };
  return guess() ?? { netns: home ?? unnamed };
}
