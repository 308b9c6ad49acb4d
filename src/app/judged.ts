import { DROP, HEAD_BYTES, kindWord, RECORD_KIND } from '../bpf/layout.ts';
import { undescribedOf, type CapturedHead, type Exported, type ExportedEvent, type Undescribed } from '../exports/index.ts';
import type { CallEvent, DropEvent, Event } from '../model/event.ts';
import type { RawRecord } from '../model/record.ts';
import { headersOf } from '../timeline/sample.ts';
import { UsageError } from './exit.ts';
import { checkedFilter, type FilterOptions } from './flow-filter.ts';
import { replay, type Replayed } from './replay.ts';

declare const WHYDROP_VERSION: string | undefined;
export const version = typeof WHYDROP_VERSION === 'string' ? WHYDROP_VERSION : 'dev';

/** A recording, judged, with every event and the incident that it belongs to. */
export interface Judged {
  readonly exported: Exported;
  readonly replayed: Replayed;
  readonly records: readonly RawRecord[];
  /** Everything that was decoded, in order. */
  readonly all: readonly Event[];
  /** What the kernel counted beyond the events; nothing with a flow filter: counters know no flows. */
  readonly undescribed: () => readonly Undescribed[];
}

/** Judges a recording for reports, exports and queries. `heads`: with the captured bytes of each packet. */
export function judged(records: readonly RawRecord[], options: FilterOptions, heads = false, onRecord?: (done: number) => void): Judged {
  const all: Event[] = [];
  const replayed = replay(records, { filter: checkedFilter(options), onlyCauses: options.cause, onEvent: (event) => all.push(event), ...(onRecord === undefined ? {} : { onRecord }) });
  if (replayed === undefined) throw new UsageError('the recording holds no records');
  const captured = heads ? headsOf(records) : new Map<string, CapturedHead>();
  const shown = new Set(replayed.incidents.map((i) => i.id));
  const only = options.cause.length > 0;
  const events: ExportedEvent[] = [];
  const lastDrop = new Map<number, DropEvent>();
  for (const event of all) {
    if (!isPacketEvent(event)) continue;
    if (event.kind === 'drop' && !event.softirq) lastDrop.set(event.task.tid, event);
    const own = event.kind === 'call' ? lastDrop.get(event.task.tid) : undefined;
    // a call that failed because of a drop in its own task belongs to the drop's incident
    const incident = replayed.incidentOf(event) ?? (own !== undefined && event.time - own.time < JOIN_NS ? replayed.incidentOf(own) : undefined);
    const head = event.kind === 'drop' ? captured.get(headKey(event.time, event.cpu)) : undefined;
    events.push({ event, ...(incident === undefined ? {} : { incident }), ...(head === undefined ? {} : { captured: head }) });
  }
  events.sort((a, b) => (a.event.time < b.event.time ? -1 : a.event.time > b.event.time ? 1 : 0));
  const { host } = replayed;
  const isShown = ({ incident }: { readonly incident?: ExportedEvent['incident'] | undefined }): boolean => !only || (incident !== undefined && shown.has(incident.id));
  const exported: Exported = {
    host: { hostname: host.hostname, kernel: host.kernel, machine: host.machine, cpus: host.cpus, whydrop: version },
    realtimeOffset: host.realtimeOffset,
    netnsNames: new Map(host.netnsNames),
    incidents: replayed.incidents,
    losses: replayed.losses,
    events: events.filter(isShown),
  };
  return { exported, replayed, records, all, undescribed: () => undescribedOf(all, events).filter(isShown) };
}

/** Two drops on one CPU have two times. */
const headKey = (time: bigint, cpu: number): string => `${time} ${cpu}`;

function headsOf(records: readonly RawRecord[]): Map<string, CapturedHead> {
  const heads = new Map<string, CapturedHead>();
  for (const record of records) {
    if (record.record !== 'drop-sample' || record.bytes.length < DROP.size) continue;
    const { bytes } = record;
    const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (v.getUint32(DROP.kind, true) !== kindWord(RECORD_KIND.drop)) continue;
    const head = headOf(bytes, v);
    if (head !== undefined) heads.set(headKey(v.getBigUint64(DROP.time, true), v.getUint32(DROP.cpu, true)), head);
  }
  return heads;
}

const ETHERNET = 14;

function headOf(bytes: Uint8Array, v: DataView): CapturedHead | undefined {
  const length = v.getUint32(DROP.length, true);
  const copied = Math.min(v.getUint16(DROP.copied, true), HEAD_BYTES);
  const at = headersOf(v, v.getUint32(DROP.protocol, true), length);
  const framed = at.mac !== undefined && (at.network === undefined || at.network - at.mac >= ETHERNET);
  const start = framed ? at.mac : at.network;
  if (start === undefined || start < 0 || start >= copied) return undefined;
  const data = v.getUint16(DROP.data, true) - v.getUint16(DROP.window, true);
  const originalLength = length + data - start;
  const there = Math.min(copied - start, originalLength);
  if (there <= 0) return undefined;
  return { bytes: bytes.subarray(DROP.head + start, DROP.head + start + there), originalLength, begins: framed ? 'ethernet' : 'network' };
}

const JOIN_NS = 200_000_000n;

const isPacketEvent = (event: Event): event is DropEvent | CallEvent => event.kind === 'drop' || event.kind === 'call';
