import type { Mono, Netns } from '../base/brand.ts';
import { ipv4Text, ipv6Text } from '../base/inet.ts';
import type { ConntrackEntry, ConntrackEvent, MissedEvent, Tuple } from '../model/event.ts';
import { decodeBurst } from './conntrack-burst.ts';
import { NLMSG_DONE, NLMSG_NOOP, NLM_F_CREATE, NLM_F_DUMP_INTR, NLM_F_EXCL, walkAttributes, walkMessages, type NetlinkMessage } from './netlink.ts';

/**
 * Connection tracking over netlink: net/netfilter/nf_conntrack_netlink.c, include/uapi/linux/netfilter/
 * nfnetlink_conntrack.h. After the netlink header stands struct nfgenmsg (family, version, 16 bits big-endian), then
 * attributes; numbers in them are big-endian.
 */
export const IPCTNL_MSG_CT_NEW = 0x100, IPCTNL_MSG_CT_GET = 0x101, IPCTNL_MSG_CT_DELETE = 0x102;
export const IPCTNL_MSG_CT_GET_STATS_CPU = 0x104;

const CTA = {
  TUPLE_ORIG: 1, TUPLE_REPLY: 2, STATUS: 3, PROTOINFO: 4, HELP: 5, TIMEOUT: 7, MARK: 8, COUNTERS_ORIG: 9, COUNTERS_REPLY: 10, ID: 12, ZONE: 18, TIMESTAMP: 20,
} as const;
const NFGENMSG = 4;

export interface DecodedConntrack {
  readonly events: readonly ConntrackEvent[];
  /** Messages that could not be decoded: without a tuple, or cut. */
  readonly skipped: number;
  readonly status: 'complete' | 'partial';
}

/** A record of the conntrack groups as events; what could not be decoded is told as missed. */
export function decodeConntrackDatagram(bytes: Uint8Array, netns: Netns, time: Mono): readonly (ConntrackEvent | MissedEvent)[] {
  const { events, skipped, status } = decodeConntrackEvents(bytes, netns, time);
  if (status === 'complete') return events;
  return [...events, { kind: 'missed', time, source: 'conntrack-events', count: Math.max(1, skipped), text: `${Math.max(1, skipped)} conntrack events could not be decoded` }];
}

/** As many datagrams as lie one after the other. */
export function decodeConntrackEvents(bytes: Uint8Array, netns: Netns, time: Mono): DecodedConntrack {
  const events: ConntrackEvent[] = [];
  let skipped = 0;
  const status = walkMessages(bytes, (m) => {
    if (m.type === NLMSG_NOOP) {
      const burst = decodeBurst(bytes, m);
      if (burst === undefined) return;
      walkMessages(burst.sample, (s) => {
        const change = changeOf(s);
        const entry = decodeEntry(burst.sample, s);
        if (change !== undefined && entry !== undefined) events.push({ kind: 'conntrack', time, netns, change, requester: s.port, entry, burst: { count: burst.count, tuples: burst.tuples } });
        else skipped += burst.count;
      });
      return;
    }
    const change = changeOf(m);
    if (change === undefined) return;
    const entry = decodeEntry(bytes, m);
    if (entry === undefined) skipped += 1;
    else events.push({ kind: 'conntrack', time, netns, change, requester: m.port, entry });
  });
  return { events, skipped, status: status === 'complete' && skipped === 0 ? 'complete' : 'partial' };
}

/** What an event message tells of; undefined for other messages. */
export function changeOf(m: NetlinkMessage): ConntrackEvent['change'] | undefined {
  if (m.type === IPCTNL_MSG_CT_DELETE) return 'destroy';
  if (m.type !== IPCTNL_MSG_CT_NEW) return undefined;
  return (m.flags & (NLM_F_CREATE | NLM_F_EXCL)) !== 0 ? 'new' : 'update';
}

export interface ConntrackTable {
  readonly entries: readonly ConntrackEntry[];
  /** `partial`: the table is longer than what was read, changed while it was listed, or held what could not be decoded. */
  readonly status: 'complete' | 'partial';
  readonly why?: string;
}

/** A dump of the table. It is whole only with the NLMSG_DONE at its end, or when the source said so by `whole`. */
export function decodeConntrackTable(bytes: Uint8Array): ConntrackTable {
  const entries: ConntrackEntry[] = [];
  let skipped = 0, done = false, interrupted = false;
  const walked = walkMessages(bytes, (m) => {
    if (m.type === NLMSG_DONE) done = true;
    if ((m.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
    if (m.type !== IPCTNL_MSG_CT_NEW) return;
    const entry = decodeEntry(bytes, m);
    if (entry === undefined) skipped += 1;
    else entries.push(entry);
  });
  const why = skipped > 0 ? `${skipped} entries could not be decoded` : walked !== 'complete' ? 'the listing is cut' : !done ? 'the table is longer than what was read' : interrupted ? 'the table changed while it was listed' : undefined;
  return why === undefined ? { entries, status: 'complete' } : { entries, status: 'partial', why };
}

/** One entry; undefined without its two tuples. */
export function decodeEntry(bytes: Uint8Array, m: NetlinkMessage): ConntrackEntry | undefined {
  const entry: { -readonly [K in keyof ConntrackEntry]?: ConntrackEntry[K] } = { status: 0 };
  let packets = 0n, size = 0n, counted = false;
  const end = m.to;
  for (let at = m.from + NFGENMSG; at + 4 <= end; ) {
    const length = bytes[at]! | (bytes[at + 1]! << 8);
    if (length < 4 || at + length > end) break;
    const from = at + 4, to = at + length;
    switch ((bytes[at + 2]! | (bytes[at + 3]! << 8)) & 0x3fff) {
      case CTA.TUPLE_ORIG: entry.original = decodeTuple(bytes, from, to)!; break;
      case CTA.TUPLE_REPLY: entry.reply = decodeTuple(bytes, from, to)!; break;
      case CTA.STATUS: entry.status = be32(bytes, from, to); break;
      case CTA.TIMEOUT: entry.timeout = be32(bytes, from, to); break;
      case CTA.MARK: entry.mark = be32(bytes, from, to); break;
      case CTA.ID: entry.id = be32(bytes, from, to); break;
      case CTA.ZONE: entry.zone = be16(bytes, from, to); break;
      case CTA.PROTOINFO: tcpState(bytes, from, to, entry); break;
      case CTA.HELP: helper(bytes, from, to, entry); break;
      case CTA.TIMESTAMP: timestamps(bytes, from, to, entry); break;
      case CTA.COUNTERS_ORIG:
      case CTA.COUNTERS_REPLY:
        counted = true;
        walkAttributes(bytes, from, to, (type, f, t) => {
          // 1 and 2: packets and bytes, 64 bits; 3 and 4 the same in 32 (before 2.6.33)
          if (type === 1) packets += be64(bytes, f, t);
          else if (type === 2) size += be64(bytes, f, t);
          else if (type === 3) packets += BigInt(be32(bytes, f, t));
          else if (type === 4) size += BigInt(be32(bytes, f, t));
        });
        break;
    }
    at += (length + 3) & ~3;
  }
  if (counted) {
    entry.packets = packets;
    entry.bytes = size;
  }
  return entry.original === undefined || entry.reply === undefined ? undefined : (entry as ConntrackEntry);
}

/** CTA_TUPLE_IP (1), CTA_TUPLE_PROTO (2), each nested. */
function decodeTuple(b: Uint8Array, start: number, end: number): Tuple | undefined {
  let family: 4 | 6 = 4, source: string | undefined, destination: string | undefined;
  let protocol: number | undefined, sourcePort: number | undefined, destinationPort: number | undefined, type: number | undefined, code = 0;
  for (let at = start; at + 4 <= end; ) {
    const length = b[at]! | (b[at + 1]! << 8);
    if (length < 4 || at + length > end) break;
    const kind = b[at + 2]! | ((b[at + 3]! & 0x3f) << 8);
    const inner = at + length;
    for (let i = at + 4; i + 4 <= inner; ) {
      const size = b[i]! | (b[i + 1]! << 8);
      if (size < 4 || i + size > inner) break;
      const attribute = b[i + 2]! | ((b[i + 3]! & 0x3f) << 8);
      const v = i + 4;
      if (kind === 1) {
        if (attribute === 1 && size >= 8) source = ipv4Text(b, v);
        else if (attribute === 2 && size >= 8) destination = ipv4Text(b, v);
        else if (attribute === 3 && size >= 20) [family, source] = [6, ipv6Text(b, v)];
        else if (attribute === 4 && size >= 20) [family, destination] = [6, ipv6Text(b, v)];
      } else if (kind === 2) {
        if (attribute === 1 && size >= 5) protocol = b[v]!;
        else if (size >= 6 && (attribute === 2 || attribute === 4 || attribute === 7)) sourcePort = (b[v]! << 8) | b[v + 1]!; // port, ICMP id, ICMPv6 id
        else if (size >= 6 && attribute === 3) destinationPort = (b[v]! << 8) | b[v + 1]!;
        else if (size >= 5 && (attribute === 5 || attribute === 8)) type = b[v]!;
        else if (size >= 5 && (attribute === 6 || attribute === 9)) code = b[v]!;
      }
      i += (size + 3) & ~3;
    }
    at += (length + 3) & ~3;
  }
  if (source === undefined || destination === undefined || protocol === undefined) return undefined;
  if (type !== undefined) destinationPort = (type << 8) | code;
  if (sourcePort === undefined) return destinationPort === undefined ? { family, protocol, source, destination } : { family, protocol, source, destination, destinationPort };
  return destinationPort === undefined ? { family, protocol, source, destination, sourcePort } : { family, protocol, source, destination, sourcePort, destinationPort };
}

type Draft = { -readonly [K in keyof ConntrackEntry]?: ConntrackEntry[K] };

/** CTA_PROTOINFO_TCP (1) { CTA_PROTOINFO_TCP_STATE (1) }: enum tcp_conntrack. */
const TCP_STATES = ['none', 'syn-sent', 'syn-recv', 'established', 'fin-wait', 'close-wait', 'last-ack', 'time-wait', 'close', 'syn-sent2'] as const;

function tcpState(b: Uint8Array, start: number, end: number, entry: Draft): void {
  walkAttributes(b, start, end, (protocol, from, to) => {
    if (protocol === 1) walkAttributes(b, from, to, (type, f, t) => {
      const name = type === 1 && f < t ? TCP_STATES[b[f]!] : undefined;
      if (name !== undefined) entry.tcpState = name;
    });
  });
}

/** CTA_HELP_NAME (1). */
function helper(b: Uint8Array, start: number, end: number, entry: Draft): void {
  walkAttributes(b, start, end, (type, from, to) => {
    if (type === 1) entry.helper = new TextDecoder().decode(b.subarray(from, to)).replace(/\0.*$/s, '');
  });
}

/** CTA_TIMESTAMP_START (1), _STOP (2): ns since 1970; only with net.netfilter.nf_conntrack_timestamp. */
function timestamps(b: Uint8Array, start: number, end: number, entry: Draft): void {
  walkAttributes(b, start, end, (type, from, to) => {
    if (type === 1) entry.start = be64(b, from, to);
    else if (type === 2) entry.stop = be64(b, from, to);
  });
}

function be16(b: Uint8Array, from: number, to: number): number {
  return to - from < 2 ? 0 : (b[from]! << 8) | b[from + 1]!;
}

function be32(b: Uint8Array, from: number, to: number): number {
  return to - from < 4 ? 0 : ((b[from]! << 24) | (b[from + 1]! << 16) | (b[from + 2]! << 8) | b[from + 3]!) >>> 0;
}

function be64(b: Uint8Array, from: number, to: number): bigint {
  return to - from < 8 ? 0n : (BigInt(be32(b, from, from + 4)) << 32n) | BigInt(be32(b, from + 4, from + 8));
}

/** Counters of one CPU by the kernel's names in lower case: `insert_failed`, `clash_resolve`, `chain_toolong`. */
export interface ConntrackCpuStats {
  readonly cpu: number;
  readonly counters: ReadonlyMap<string, number>;
}

/** enum ctattr_stats_cpu. */
const STATS = ['', 'searched', 'found', 'new', 'invalid', 'ignore', 'delete', 'delete_list', 'insert', 'insert_failed', 'drop', 'early_drop', 'error', 'search_restart', 'clash_resolve', 'chain_toolong'];

/** The answer to IPCTNL_MSG_CT_GET_STATS_CPU: a message for each possible CPU, its number in nfgenmsg.res_id. */
export function decodeConntrackStats(bytes: Uint8Array): { readonly cpus: readonly ConntrackCpuStats[]; readonly status: 'complete' | 'partial' } {
  const cpus: ConntrackCpuStats[] = [];
  let whole = true;
  const status = walkMessages(bytes, (m) => {
    if (m.type !== IPCTNL_MSG_CT_GET_STATS_CPU) return;
    if (m.to - m.from < NFGENMSG) {
      whole = false;
      return;
    }
    const counters = new Map<string, number>();
    whole = walkAttributes(bytes, m.from + NFGENMSG, m.to, (type, from, to) => void counters.set(STATS[type] ?? `attribute ${type}`, be32(bytes, from, to))) && whole;
    cpus.push({ cpu: be16(bytes, m.from + 2, m.to), counters });
  });
  return { cpus, status: status === 'complete' && whole ? 'complete' : 'partial' };
}
