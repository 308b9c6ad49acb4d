import { mono, type Mono } from '../base/brand.ts';
import { endpoint, splitEndpoint } from '../base/inet.ts';
import { flowOf, protocolName } from '../model/flow.ts';
import type { Event, Tuple } from '../model/event.ts';
import { TCP_FLAG, type Packet } from '../model/packet.ts';
import type { HostRecord, RawRecord } from '../model/record.ts';
import { createTimeline } from './index.ts';
import { symbolsOf } from './symbols.ts';

/** What one host saw of packets that another may have seen, too: who sent what not before when, who knew of it not after when. */
export interface Passages {
  /** TCP connection attempts, by who to whom: when the first SYN left, and when the answer was an error. Undefined: more than one. */
  readonly attempts: ReadonlyMap<string, Attempt | undefined>;
  /** Packets that arrived and were dropped: time of the first one, by who to whom. */
  readonly dropped: ReadonlyMap<string, Mono>;
  /** Packets that were dropped, by what a refusal says of them; undefined: more than one packet fits. */
  readonly marks: ReadonlyMap<string, Mono | undefined>;
  /** Refusals (ICMP errors, TCP resets) that were dropped themselves, by the mark of the packet that they refuse. */
  readonly refusals: ReadonlyMap<string, Mono>;
  /** The first ECONNREFUSED of a socket, by who to whom it sends. */
  readonly refused: ReadonlyMap<string, Mono>;
  /** Between when conntrack saw a connection's first packet, and its first answer; undefined: more than one. */
  readonly opened: ReadonlyMap<string, Between | undefined>;
  readonly answered: ReadonlyMap<string, Between | undefined>;
}

export type Between = readonly [from: Mono, to: Mono];

export interface Attempt {
  readonly began: Mono;
  readonly refused?: Mono;
}

/** A flow whose first packet is seen so soon after the recording began may have begun before. ns. */
const AT_THE_START_NS = 2_000_000_000n;
const IPS_SEEN_REPLY = 2;

/** Of all recordings of one boot. */
export function passagesOf(recordings: readonly { readonly host: HostRecord; readonly records: readonly RawRecord[] }[]): Passages {
  const attempts = new Map<string, Attempt | undefined>();
  const dropped = new Map<string, Mono>();
  const marks = new Map<string, Mono | undefined>();
  const refusals = new Map<string, Mono>();
  const refused = new Map<string, Mono>();
  const opened = new Map<string, Between | undefined>();
  const answered = new Map<string, Between | undefined>();
  const first = (map: Map<string, Mono>, key: string, time: Mono): void => {
    const known = map.get(key);
    if (known === undefined || time < known) map.set(key, time);
  };
  const once = <T>(map: Map<string, T | undefined>, key: string, value: T): void => void map.set(key, map.has(key) ? undefined : value);
  const replied = new Set<string>();
  for (const { event, read, start } of eventsOf(recordings)) {
    switch (event.kind) {
      case 'drop': {
        const { packet, time } = event;
        const refusal = refusalOf(packet);
        if (refusal !== undefined) first(refusals, refusal, time);
        // what was dropped on its way out never left
        if (event.incoming === undefined) break;
        const key = keyOfPacket(packet), mark = markOf(packet);
        if (mark !== undefined) once(marks, mark, time);
        if (key !== undefined && (isSyn(packet) || (packet.transport?.kind === 'udp' && time - start > AT_THE_START_NS))) first(dropped, key, time);
        break;
      }
      case 'call': {
        const { local, remote } = event.socket ?? {};
        const to = remote ?? event.destination;
        const key = local === undefined || to === undefined || event.socket === undefined ? undefined : keyOf(protocolName(event.socket.protocol), local, to);
        if (key === undefined) break;
        if (event.attempt !== undefined) once(attempts, key, { began: mono(event.time - event.attempt.waited), ...(event.errno === 'ECONNREFUSED' ? { refused: event.time } : {}) });
        if (event.errno === 'ECONNREFUSED') first(refused, key, event.time);
        break;
      }
      case 'conntrack': {
        if (event.burst !== undefined || event.requester !== 0) break;
        const key = keyOfTuple(event.entry.original);
        if (key === undefined) break;
        if (event.change === 'new') once(opened, key, read);
        else if (event.change === 'update' && (event.entry.status & IPS_SEEN_REPLY) !== 0 && opened.get(key) !== undefined && !replied.has(key)) {
          replied.add(key);
          once(answered, key, read);
        }
        break;
      }
      case 'drop-count': case 'call-count': case 'exec': case 'answer': case 'missed':
        break;
    }
  }
  return { attempts, dropped, marks, refusals, refused, opened, answered };
}

interface Seen {
  readonly event: Event;
  /** Of the recording. */
  readonly start: Mono;
  /** Between when it happened, if it has no time of its own; undefined: not known. */
  readonly read: Between | undefined;
}

/** In order of time. */
function eventsOf(recordings: readonly { readonly host: HostRecord; readonly records: readonly RawRecord[] }[]): readonly Seen[] {
  const nameless = symbolsOf('');
  const seen = recordings.flatMap(({ host, records }) => {
    const timeline = createTimeline(host, () => nameless);
    const start = records.reduce((t, r) => (r.time < t ? r.time : t), host.time);
    const read = readBetween(records);
    return records.flatMap((record) => {
      if (record.record !== 'drop-sample' && record.record !== 'call' && record.record !== 'netlink') return [];
      return timeline.decode(record).map((event): Seen => ({ event, start, read: read.get(record) }));
    });
  });
  return seen.sort((a, b) => (a.event.time < b.event.time ? -1 : a.event.time > b.event.time ? 1 : 0));
}

/**
 * What a netlink socket held when it was read came after it was read for the last time before (all that was there is taken then),
 * and before the next judgement. A record's time is when reading began, and one reading may give several records.
 */
function readBetween(records: readonly RawRecord[]): ReadonlyMap<RawRecord, Between> {
  const between = new Map<RawRecord, Between>();
  const readings = new Map<number, { readonly time: Mono; readonly before?: Mono }>();
  let waiting: { readonly record: RawRecord; readonly from: Mono }[] = [];
  for (const record of records) {
    if (record.record === 'netlink') {
      const last = readings.get(record.netns);
      const reading = last?.time === record.time ? last : { time: record.time, ...(last === undefined ? {} : { before: last.time }) };
      readings.set(record.netns, reading);
      if (reading.before !== undefined) waiting.push({ record, from: reading.before });
    } else if (record.record === 'tick') {
      for (const { record: held, from } of waiting) between.set(held, [from, record.time]);
      waiting = [];
    }
  }
  return between;
}

const isSyn = (packet: Packet): boolean => packet.transport?.kind === 'tcp' && (packet.transport.flags & (TCP_FLAG.SYN | TCP_FLAG.ACK | TCP_FLAG.RST)) === TCP_FLAG.SYN;

/** Who to whom; undefined for what never leaves a host, or means another one on each. */
function keyOf(protocol: string, source: string, destination: string): string | undefined {
  const from = splitEndpoint(source), to = splitEndpoint(destination);
  if (from === undefined || to === undefined || from.port === 0 || to.port === 0 || isLocal(from.address) || isLocal(to.address)) return undefined;
  return `${protocol} ${source} ${destination}`;
}

/** Loopback, unspecified, link-local, multicast, broadcast. */
const isLocal = (address: string): boolean => /^(?:127\.|0\.|169\.254\.|2(?:2[4-9]|[345]\d)\.|::1?$|::ffff:127\.|fe[89ab]|ff)/.test(address);

function keyOfPacket(packet: Packet): string | undefined {
  const flow = flowOf(packet);
  return flow === undefined || (packet.ip?.fragmentOffset ?? 0) > 0 || (flow.protocol !== 'tcp' && flow.protocol !== 'udp') ? undefined : keyOf(flow.protocol, flow.source, flow.destination);
}

const keyOfTuple = (t: Tuple): string | undefined =>
  t.sourcePort === undefined || t.destinationPort === undefined || (t.protocol !== 6 && t.protocol !== 17) ? undefined : keyOf(protocolName(t.protocol), endpoint(t.source, t.sourcePort), endpoint(t.destination, t.destinationPort));

/** A SYN by its sequence number, a datagram by its IPv4 identification. */
function markOf(packet: Packet): string | undefined {
  const key = keyOfPacket(packet);
  if (key === undefined) return undefined;
  if (isSyn(packet) && packet.transport?.kind === 'tcp') return `${key} seq ${packet.transport.sequence}`;
  return packet.transport?.kind === 'udp' && packet.ip?.id !== undefined && packet.ip.id !== 0 ? `${key} id ${packet.ip.id}` : undefined;
}

/** The mark of the packet that this one refuses: an ICMP error quotes it, a reset acknowledges it. */
function refusalOf(packet: Packet): string | undefined {
  if (packet.quoted !== undefined) return markOf(packet.quoted);
  const { transport } = packet;
  if (transport?.kind !== 'tcp' || (transport.flags & (TCP_FLAG.RST | TCP_FLAG.ACK)) !== (TCP_FLAG.RST | TCP_FLAG.ACK)) return undefined;
  const flow = flowOf(packet);
  const key = flow === undefined ? undefined : keyOf(flow.protocol, flow.destination, flow.source);
  return key === undefined ? undefined : `${key} seq ${(transport.acknowledgement - 1) >>> 0}`;
}
