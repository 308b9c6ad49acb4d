import { endpoint, parseInet, splitEndpoint } from '../base/inet.ts';
import type { Tuple } from '../model/event.ts';
import { TCP_FLAG } from '../model/packet.ts';
import type { EvidenceRecord, Frame, Reading, TraceRecord } from './evidence-record.ts';
import { symbolFrame } from './ftrace-text.ts';
import { deviceOf, ethertypeOf, FREED, netnsOf, pwruClock, pwruTime, type PwruClock } from './pwru.ts';
import { wallTime } from './wall-time.ts';

/**
 * What other tools print of dropped packets, as text: dropwatch (summary and packet mode, 1.5), tcpdrop of bcc and of
 * bpftrace, pwru's table. Sources: the tools' own format strings; columns that a tool leaves out are left out here. Their
 * JSON is in drop-json.ts.
 */
export function readDropTools(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken = new Set<number>();
  const clock = pwruClock(lines.flatMap((l) => {
    const stamp = pwruStamp(l);
    return stamp === undefined ? [] : [stamp];
  }));
  for (let i = 0; i < lines.length; i++) {
    const text = lines[i]!;
    if (text === '' || text.length > LONGEST) continue;
    if (HEADERS.test(text)) {
      taken.add(i);
      continue;
    }
    const read = dropwatchCount(text, i) ?? dropwatchPacket(lines, i) ?? tcpdrop(lines, i) ?? pwru(lines, i, clock);
    if (read === undefined) continue;
    records.push(...read.records);
    for (let n = i; n < i + read.lines; n++) taken.add(n);
    i += read.lines - 1;
  }
  return { records, taken: records.length === 0 ? [] : [...taken] };
}

interface Part {
  readonly records: readonly EvidenceRecord[];
  readonly lines: number;
}

const LONGEST = 4096;
const MOST_FRAMES = 128;
/** Of one line that counts many; the rest is told as not described. */
const MOST_COPIES = 1_000;
const HEADERS = /^(?:WARNING: tcp_drop\(\) kernel function not found or traceable\. .*|Tracing tcp drops\. Hit Ctrl-C to end\.|TIME\s+PID\s+.*STATE.*|Attaching \d+ probes?\.\.\.|SKB\s+CPU\s+PROCESS\b.*|TIME\s+SKB\s+CPU\s+PROCESS\b.*|Kernel monitoring activated\.|Enabling monitoring\.\.\.|Issue Ctrl-C to stop monitoring|Waiting for activation ack\.\.\.\.*|dropwatch> ?.*|(?:Got|Received) .*|Initializing .*|Setting alert mode|Alert mode successfully set|setting alert capture limit to \d+|Alert limit reached, deactivating!|Deactivation requested, turning off monitoring|Shutting down \.\.\.)$/;

/** A drop that a tool has told, in the words of the trace readers: what it says goes into `told`. */
export function toolDrop(tool: string, drop: Pick<TraceRecord, 'line' | 'time' | 'stamp' | 'keeps'> & { readonly text: string; readonly reason?: string; readonly place?: Frame; readonly stack?: readonly Frame[]; readonly comm?: string; readonly tid?: number; readonly cpu?: number; readonly protocol?: number; readonly skb?: string; readonly told?: TraceRecord['told'] }): TraceRecord {
  const fields = new Map<string, string>();
  if (drop.place?.name !== undefined) fields.set('location', `${drop.place.name}${drop.place.offset === undefined ? '' : `+0x${drop.place.offset.toString(16)}`}${drop.place.module === undefined ? '' : ` [${drop.place.module}]`}`);
  else if (drop.place?.address !== undefined) fields.set('location', `0x${drop.place.address.toString(16)}`);
  if (drop.reason !== undefined) fields.set('reason', drop.reason);
  if (drop.protocol !== undefined) fields.set('protocol', String(drop.protocol));
  if (drop.skb !== undefined) fields.set('skbaddr', drop.skb);
  return {
    kind: 'trace', tool, line: drop.line, comm: drop.comm ?? '<...>', cpu: drop.cpu ?? 0, time: drop.time, event: 'kfree_skb', fields, text: drop.text, stack: drop.stack ?? [],
    ...(drop.tid === undefined ? {} : { tid: drop.tid }), ...(drop.told === undefined ? {} : { told: drop.told }),
    ...(drop.stamp === undefined ? {} : { stamp: drop.stamp }), ...(drop.keeps === undefined ? {} : { keeps: drop.keeps }),
  };
}

/** `3 drops at tcp_v4_rcv+1c5 (0xffffffff817c1e55) [software]`, `1 drops at ttl_value_is_too_small [hardware]` */
const COUNT = /^(\d{1,9}) drops? at (?:location (0x[0-9a-f]{1,16})|(\S+?)(?:\+([0-9a-f]{1,8}))? \((0x[0-9a-f]{1,16})\)|(\S.*?)) \[(software|hardware)\]$/;

function dropwatchCount(text: string, i: number): Part | undefined {
  const m = COUNT.exec(text);
  if (m === null) return undefined;
  const [, count, bare, name, offset, at, trap] = m;
  const address = bare ?? at;
  const place: Frame | undefined = trap !== undefined ? { name: trap } : name === undefined ? { address: BigInt(address!) } : { name, ...(offset === undefined ? {} : { offset: Number.parseInt(offset, 16) }) };
  const n = Number(count);
  const one = toolDrop('dropwatch', { line: i + 1, time: BigInt(i), keeps: 'order', text, place });
  const records: EvidenceRecord[] = Array.from({ length: Math.min(n, MOST_COPIES) }, (_, k) => ({ ...one, time: BigInt(i) * 1_000_000n + BigInt(k), text: `${text} (${k + 1} of ${n})` }));
  if (n > MOST_COPIES) records.push({ kind: 'trace-loss', line: i + 1, lost: n - MOST_COPIES });
  return { records, lines: 1 };
}

/** `drop at: PLACE (0xADDRESS)`, then `key: value` lines up to an empty one. */
function dropwatchPacket(lines: readonly string[], from: number): Part | undefined {
  const head = /^drop at: (\S+(?: \[[\w-]+\])?) \((0x[0-9a-f]{1,16}|[\w-]+)\)$/.exec(lines[from]!);
  if (head === null) return undefined;
  const values = new Map<string, string>();
  let end = from + 1;
  for (; end < lines.length && end < from + 16; end++) {
    const pair = /^(origin|input port ifindex|input port name|timestamp|protocol|length|original length|drop reason|flow action cookie): ?(.*)$/.exec(lines[end]!);
    if (pair === null) break;
    values.set(pair[1]!, pair[2]!);
  }
  // `Mon Aug 12 10:53:37 2019 024444587 nsec`: local time, the zone is not told
  const stamp = /^(.*\d{4}) (\d{9}) nsec$/.exec(values.get('timestamp') ?? '');
  const wall = stamp === null ? undefined : wallTime(stamp[1]!);
  const time = wall === undefined ? BigInt(from) : wall.stamp.ns + BigInt(stamp![2]!);
  const index = Number(values.get('input port ifindex') ?? NaN);
  const length = Number(values.get('original length') ?? values.get('length') ?? NaN);
  const device = values.get('input port name');
  const drop = toolDrop('dropwatch', {
    line: from + 1, time, ...(wall === undefined ? { keeps: 'order' } : { stamp: { ...wall.stamp, ns: time, step: 1n } }), text: lines[from]!, place: symbolFrame(head[1]!) ?? { name: head[1]! },
    ...(values.get('drop reason') === undefined ? {} : { reason: values.get('drop reason')! }),
    ...(values.get('protocol') === undefined ? {} : { protocol: Number(values.get('protocol')) }),
    told: { ...(Number.isFinite(length) ? { length } : {}), ...(device === undefined ? {} : { interface: device }), ...(index > 0 ? { ifindex: index } : {}) },
  });
  return { records: [drop], lines: end - from };
}

/** bcc: `TIME PID IP S:P > D:P STATE (FLAGS)`; bpftrace: `TIME PID COMM S:P D:P STATE`. The stack follows. */
const BCC = /^(\d\d):(\d\d):(\d\d)\s+(\d{1,10})\s+([46])\s+(\S+)\s+>\s+(\S+)\s+(\w+) \(([A-Z|]*)\)(?:\s+(\w+))?$/;
const BPFTRACE = /^(\d\d):(\d\d):(\d\d)\s+(\d{1,10})\s+(\S.{0,15}?)\s+(\S+:\d{1,5})\s+(\S+:\d{1,5})\s+(\w*)$/;

function tcpdrop(lines: readonly string[], from: number): Part | undefined {
  const bcc = BCC.exec(lines[from]!);
  const m = bcc ?? BPFTRACE.exec(lines[from]!);
  if (m === null) return undefined;
  const source = lastColon(m[6]!), destination = lastColon(m[7]!);
  if (source === undefined || destination === undefined) return undefined;
  const { stack, next } = stackFrom(lines, from + 1);
  const seconds = Number(m[1]) * 3600 + Number(m[2]) * 60 + Number(m[3]);
  // the tool takes sockets, whatever their protocol: only TCP has states other than CLOSE
  const tcp = bcc !== null || (m[8] !== '' && m[8] !== 'CLOSE');
  // bcc takes the socket's peer for the source of every IPv6 packet: of one being sent the addresses are the wrong way round
  const swapped = bcc !== null && source.address.includes(':') && isSending(stack);
  const tuple = tcp && source.address !== '0.0.0.0' ? tupleOf(6, swapped ? { ...source, address: destination.address } : source, swapped ? { ...destination, address: source.address } : destination) : undefined;
  return {
    records: [toolDrop(bcc === null ? 'bpftrace tcpdrop' : 'bcc tcpdrop', {
      line: from + 1, time: BigInt(seconds) * 1_000_000_000n + BigInt(from), keeps: 'day', text: `${lines[from]!} (line ${from + 1})`, tid: Number(m[4]), stack,
      ...(bcc === null ? { comm: m[5]! } : {}), ...(bcc?.[10] === undefined ? {} : { reason: bcc[10] }), protocol: source.address.includes(':') ? 0x86dd : 0x0800,
      ...(tuple === undefined ? {} : { told: { tuple, ...(bcc === null ? {} : { flags: flagsOf(bcc[9]!) }) } }),
    })],
    lines: next - from,
  };
}

function isSending(stack: readonly Frame[]): boolean {
  const sent = stack.findIndex((f) => /^(?:ip6_xmit|inet6_csk_xmit|__tcp_transmit_skb)$/.test(f.name ?? '')), received = stack.findIndex((f) => /^(?:ipv6_rcv|ip6_input|tcp_v6_rcv|tcp_v6_do_rcv)/.test(f.name ?? ''));
  return sent >= 0 && (received < 0 || sent < received);
}

/** pwru: `[TIME] 0xSKB CPU PROCESS [TIMESTAMP] [NETNS MARK IFACE PROTO MTU LEN [CB]] [NETNS-NAME] [TUPLE] FUNC [CALLER]`. Only what was freed with a reason. */
const PWRU = /^(?:((?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d\.\d{1,9})\s+)?(0x[0-9a-f]{8,16})\s+(\d{1,5})\s+(\S{1,64})\s+(.*)$/;
/** Without --timestamp, which is the default, the network namespace is the first number. */
const META = /^(?:(\d{1,20}) +(?=\d{1,10} +[0-9a-f]{1,8} +\S{1,64}? +0x))?(\d{1,10}) +([0-9a-f]{1,8}) +(\S{1,64}?) +0x([0-9a-f]{1,4}) +(\d{1,10}) +(\d{1,10})\s+(?:\[0x[0-9A-F,x]{1,80}\]\s+)?(.*)$/;
/** Until the columns of October 2023: behind the function. */
const META_2023 = /\bnetns=(\d{1,10}) mark=0x([0-9a-f]{1,8}) (?:ifindex|iface)=(\S{1,64}) proto=(\d{1,6}|0x[0-9a-f]{1,4}) mtu=\d{1,6} len=(\d{1,6})/;
const BARE = /^(?:(\d{1,20})\s+)?()()()()()()(.*)$/;
const partsOf = (rest: string): readonly (string | undefined)[] => (META.exec(rest) ?? BARE.exec(rest))!.map((part) => (part === '' ? undefined : part));

function pwruStamp(line: string): bigint | undefined {
  const m = line.length > LONGEST ? null : PWRU.exec(line);
  const stamp = m === null ? undefined : partsOf(m[5]!)[1];
  return stamp === undefined ? undefined : BigInt(stamp);
}

function pwru(lines: readonly string[], from: number, clock: PwruClock): Part | undefined {
  const m = PWRU.exec(lines[from]!);
  if (m === null) return undefined;
  const meta = partsOf(m[5]!);
  const freed = FREED.exec(meta[8] ?? '');
  const { stack, next } = stackFrom(lines, from + 1);
  if (freed === null || isConsumed(freed[1])) return { records: [], lines: next - from }; // on its way: not lost yet
  const flow = /(?:^|(\S+)\s+|\s)(\S+)->(\S+?)\((\w+)(?::([\w|]+))?\)/.exec(meta[8] ?? '');
  const source = flow === null ? undefined : lastColon(flow[2]!), destination = flow === null ? undefined : lastColon(flow[3]!);
  const protocol = { tcp: 6, udp: 17, icmp: 1, icmp6: 58 }[flow?.[4] ?? ''];
  const tuple = source === undefined || destination === undefined || protocol === undefined ? undefined : tupleOf(protocol, source, destination);
  const [comm, pid] = processOf(m[4]!);
  const { clocks, ...time } = pwruTime(clock, from + 1, meta[1] === undefined ? undefined : BigInt(meta[1]), m[1]);
  const caller = freed[3] === undefined ? undefined : frameOf(freed[3]);
  const old = META_2023.exec(meta[8] ?? '');
  const netns = netnsOf(meta[2] === undefined && old === null ? undefined : Number(meta[2] ?? old![1]), old === null ? flow?.[1] : undefined);
  const [ethertype, length, mark, device] = old === null ? [meta[5] === undefined ? undefined : Number.parseInt(meta[5], 16), meta[7], meta[3], meta[4]] : [Number(old[4]), old[5], old[2], old[3]];
  return {
    records: [toolDrop('pwru', {
      ...time, line: from + 1, text: lines[from]!, skb: m[2]!, cpu: Number(m[3]), comm, ...(pid === undefined ? {} : { tid: pid }), stack,
      ...(freed[1] === undefined ? {} : { reason: freed[1] }), ...(caller === undefined ? {} : { place: caller }), ...(ethertype === undefined ? {} : { protocol: ethertypeOf(ethertype)! }),
      told: { ...(tuple === undefined ? {} : { tuple, ...(flow?.[5] === undefined ? {} : { flags: flagsOf(flow[5]) }) }), ...(length === undefined ? {} : { length: Number(length) }), ...(mark === undefined ? {} : { mark: Number.parseInt(mark, 16) }), ...deviceOf(device), ...(netns === undefined ? {} : { netns }) },
    }), ...clocks],
    lines: next - from,
  };
}

/** Freed after use, or not yet dropped: no loss, though the same functions end it. */
export const isConsumed = (reason: string | undefined): boolean => reason !== undefined && /^(?:SKB_)?(?:CONSUMED|NOT_DROPPED_YET)$/.test(reason);

/** `~local/bin/curl:412`, `ping:33`, `<empty>:0`; before 2024 `[curl]` */
export function processOf(text: string): readonly [comm: string, pid: number | undefined] {
  const m = /^(.*?):(\d{1,10})$/.exec(text);
  const path = m?.[1] ?? text.replace(/^\[(.*)\]$/, '$1');
  return [path === '<empty>' ? '<...>' : path.slice(path.lastIndexOf('/') + 1), m === null ? undefined : Number(m[2])];
}

/** Frames on indented lines, or bare `name+offset` lines, with empty lines around them: hexadecimal with 0x, else decimal. */
function stackFrom(lines: readonly string[], from: number): { readonly stack: readonly Frame[]; readonly next: number } {
  const stack: Frame[] = [];
  let next = from;
  for (let i = from; i < lines.length && stack.length < MOST_FRAMES; i++) {
    const text = lines[i]!.trim();
    if (text === '' && stack.length === 0 && i === from) continue;
    const frame = frameOf(text);
    if (frame === undefined) break;
    stack.push(frame);
    next = i + 1;
  }
  return { stack, next };
}

export function frameOf(text: string): Frame | undefined {
  const m = /^(?:b')?([A-Za-z_][\w.]*)(?:\+(0x[0-9a-f]{1,8}|\d{1,8}))?(?:\s*\[([\w-]+)\])?'?$/.exec(text);
  return m === null ? undefined : { name: m[1]!, ...(m[2] === undefined ? {} : { offset: Number(m[2]) }), ...(m[3] === undefined ? {} : { module: m[3] }) };
}

/** The port is behind the last colon, also of an IPv6 address without brackets. */
function lastColon(text: string): { readonly address: string; readonly port: number } | undefined {
  const at = text.lastIndexOf(':');
  const address = text.slice(0, at).replace(/^\[|\]$/g, ''), port = Number(text.slice(at + 1));
  return at < 0 || parseInet(address) === undefined || !Number.isInteger(port) || splitEndpoint(endpoint(address, port)) === undefined ? undefined : { address, port };
}

export function tupleOf(protocol: number, source: { readonly address: string; readonly port?: number }, destination: { readonly address: string; readonly port?: number }): Tuple {
  const ports = protocol === 1 || protocol === 58 ? {} : { ...(source.port === undefined ? {} : { sourcePort: source.port }), ...(destination.port === undefined ? {} : { destinationPort: destination.port }) };
  return { family: source.address.includes(':') ? 6 : 4, protocol, source: source.address, destination: destination.address, ...ports };
}

/** `SYN|ACK` */
export function flagsOf(text: string): number {
  return text.split('|').reduce((sum, name) => sum | (TCP_FLAG[name as keyof typeof TCP_FLAG] ?? 0), 0);
}
