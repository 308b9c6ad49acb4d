import { parseInet } from '../base/inet.ts';
import { IPS } from '../model/conntrack.ts';
import type { ConntrackEntry, Tuple } from '../model/event.ts';
import type { EvidenceRecord, Reading, Stamp } from './evidence-record.ts';
import { wallTime } from './wall-time.ts';

/**
 * What conntrack(8) and /proc/net/nf_conntrack print: listings (-L), also polled with dates between them, events (-E,
 * with or without -o timestamp), its warnings of events that were lost.
 */
export function readConntrack(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  let poll: { line: number; at: number; stamp?: Stamp; netns?: string; entries: ConntrackEntry[] } | undefined;
  const polls: NonNullable<typeof poll>[] = [];
  let listed = 0;
  for (let i = 0; i < lines.length; i++) {
    const text = lines[i]!;
    if (text === '' || text.length > LONGEST) continue;
    if (OVERRUN.test(text)) {
      records.push({ kind: 'conntrack-overrun', line: i + 1, text: text.trim() });
      taken.push(i);
      continue;
    }
    if (CHATTER.test(text)) {
      taken.push(i);
      continue;
    }
    const event = eventOf(text, i + 1);
    if (event !== undefined) {
      records.push(event);
      taken.push(i);
      continue;
    }
    const entry = entryOf(text);
    if (entry !== undefined) {
      if (poll === undefined) polls.push((poll = { line: i + 1, at: i, entries: [] }));
      poll.entries.push(entry);
      taken.push(i);
      listed += 1;
      continue;
    }
    const date = wallTime(text.replace(/^(?:[-=#]+ |date: )\s*/, ''));
    const netns = /^\s*(\S{0,64})$/.exec(date?.rest ?? ' no date');
    if (date !== undefined && netns !== null) polls.push((poll = { line: i + 1, at: i, stamp: date.stamp, entries: [], ...(netns[1] === '' ? {} : { netns: netns[1]! }) }));
  }
  // dates alone are no polling
  if (listed > 0) {
    for (const { at, ...p } of polls) {
      records.push({ kind: 'conntrack-listing', ...p });
      if (p.stamp !== undefined) taken.push(at);
    }
  }
  return { records, taken };
}

const LONGEST = 4096;
const OVERRUN = /ENOBUFS! We are losing events|Operation failed: No buffer space available/i;
const CHATTER = /^This message means that the current netlink socket buffer size is too small|^Please, check --buffer-size in conntrack|^conntrack v[\d.]+ \(conntrack-tools\): /;
const EVENT = /^(?:(?=\[\d{9})(\[\d+\.\d+\])|(\S.*?))?\s*\[(NEW|UPDATE|DESTROY)\]\s+(.*)$/;

function eventOf(text: string, line: number): EvidenceRecord | undefined {
  if (!text.includes('[NEW]') && !text.includes('[UPDATE]') && !text.includes('[DESTROY]')) return undefined;
  const m = EVENT.exec(text);
  if (m === null) return undefined;
  const entry = entryOf(m[4]!);
  if (entry === undefined) return undefined;
  const stamp = wallTime((m[1] ?? m[2] ?? '').trim())?.stamp;
  const portid = /\bportid=(\d+)/.exec(m[4]!)?.[1];
  const program = /\bprogname=(\S+)/.exec(m[4]!)?.[1];
  return { kind: 'conntrack-event', line, change: m[3] === 'NEW' ? 'new' : m[3] === 'UPDATE' ? 'update' : 'destroy', entry, ...(stamp === undefined ? {} : { stamp }), ...(portid === undefined ? {} : { portid: Number(portid) }), ...(program === undefined ? {} : { program }) };
}

const HEAD = /^\s*(?:ipv[46]\s+\d+\s+)?([a-z][\w-]{1,11}|unknown)\s+(\d{1,3})\s+(?:(\d{1,10})\s+)?(?:([A-Z_]{2,12})\s+)?(?=.*\bsrc=)/;
const STATUS: Readonly<Record<string, number>> = { ASSURED: IPS.ASSURED, OFFLOAD: IPS.OFFLOAD };

/** One entry: `udp      17 179 src=… dst=… sport=… dport=… [UNREPLIED] src=… … [ASSURED] mark=0 use=1 id=…`. */
export function entryOf(text: string): ConntrackEntry | undefined {
  const head = HEAD.exec(text);
  if (head === null) return undefined;
  const protocol = Number(head[2]);
  const sides: Map<string, string>[] = [];
  const rest = new Map<string, string>();
  let status = IPS.CONFIRMED | IPS.SEEN_REPLY;
  for (const word of text.slice(head[0].length).trim().split(/\s+/)) {
    const flag = /^\[([A-Z_]+)\]$/.exec(word);
    if (flag !== null) {
      if (flag[1] === 'UNREPLIED') status &= ~IPS.SEEN_REPLY;
      status |= STATUS[flag[1]!] ?? 0;
      continue;
    }
    const equals = word.indexOf('=');
    if (equals <= 0) continue;
    const key = word.slice(0, equals);
    const value = word.slice(equals + 1);
    if (key === 'src') sides.push(new Map());
    const side = sides.at(-1);
    const icmpId = key === 'id' && (protocol === 1 || protocol === 58) && side?.has('type') === true; // an entry's own id comes last
    if ((SIDE.has(key) || icmpId) && side !== undefined && !side.has(key)) side.set(key, value);
    else if (!rest.has(key)) rest.set(key, value);
  }
  const original = tupleOf(protocol, sides[0]);
  const reply = tupleOf(protocol, sides[1]);
  if (original === undefined || reply === undefined) return undefined;
  const translated = original.source !== reply.destination || original.sourcePort !== reply.destinationPort;
  const turned = original.destination !== reply.source || original.destinationPort !== reply.sourcePort;
  if (protocol !== 1 && protocol !== 58) status |= (translated ? IPS.SRC_NAT : 0) | (turned ? IPS.DST_NAT : 0);
  const packets = sum(sides, 'packets'), bytes = sum(sides, 'bytes');
  const number = (key: string): number | undefined => (/^\d{1,10}$/.test(rest.get(key) ?? '') ? Number(rest.get(key)) : undefined);
  const mark = number('mark'), zone = number('zone'), id = number('id');
  return {
    original, reply, status,
    ...(id === undefined ? {} : { id }), ...(head[3] === undefined ? {} : { timeout: Number(head[3]) }), ...(mark === undefined ? {} : { mark }), ...(zone === undefined ? {} : { zone }),
    ...(packets === undefined ? {} : { packets }), ...(bytes === undefined ? {} : { bytes }),
    ...(head[4] === undefined ? {} : { tcpState: head[4].toLowerCase().replaceAll('_', '-') }),
  };
}

const SIDE = new Set(['src', 'dst', 'sport', 'dport', 'packets', 'bytes', 'type', 'code']);

function tupleOf(protocol: number, side: ReadonlyMap<string, string> | undefined): Tuple | undefined {
  const source = side?.get('src'), destination = side?.get('dst');
  if (side === undefined || source === undefined || destination === undefined) return undefined;
  if (parseInet(source) === undefined || parseInet(destination) === undefined) return undefined;
  const port = (key: string): number | undefined => (/^\d{1,5}$/.test(side.get(key) ?? '') ? Number(side.get(key)) : undefined);
  const sport = port('sport') ?? port('id'), dport = port('dport'), type = port('type');
  return {
    family: source.includes(':') ? 6 : 4, protocol, source, destination,
    ...(sport === undefined ? {} : { sourcePort: sport }),
    ...(dport !== undefined ? { destinationPort: dport } : type === undefined ? {} : { destinationPort: (type << 8) | (port('code') ?? 0) }),
  };
}

function sum(sides: readonly ReadonlyMap<string, string>[], key: string): bigint | undefined {
  let total: bigint | undefined;
  for (const side of sides) {
    const text = side.get(key);
    if (text !== undefined && /^\d{1,20}$/.test(text)) total = (total ?? 0n) + BigInt(text);
  }
  return total;
}
