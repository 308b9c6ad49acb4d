import { netnsInode } from '../base/brand.ts';
import { decodeConntrackDatagram } from '../formats/conntrack-message.ts';
import type { CallEvent, DropEvent, DropReason, Event, ExecEvent } from '../model/event.ts';
import type { HostRecord, RawRecord } from '../model/record.ts';
import { decodeCall, decodeCallCounts, decodeCounts, decodeDrop, decodeExec, type Names } from './sample.ts';
import { createShed } from './shed.ts';
import type { Symbols } from './symbols.ts';
import { tracePages, type TracePages } from './trace-page.ts';

/** Raw records to events, named and in order. Live and from a file alike. */
export interface Timeline {
  decode(record: RawRecord): readonly Event[];
  /** What was held back for an event that did not come any more. */
  flush(): readonly Event[];
}

/** `symbols` is asked at each event: in a recording they grow as its excerpts are read. */
export function createTimeline(host: HostRecord, symbols: () => Symbols): Timeline {
  const reasons = new Map<number, DropReason>(host.dropReasons.map(([number, name]) => [number, { number, name }]));
  const syscalls = new Map(host.syscalls);
  const names: Names = {
    symbols,
    syscall: (nr) => syscalls.get(nr) ?? `syscall ${nr}`,
    reason: (number) => {
      const known = reasons.get(number);
      if (known !== undefined) return known;
      // a kernel without reasons (before 5.17) gives none
      const made: DropReason = { number, name: number === 0 ? 'NOT_SPECIFIED' : String(number) };
      reasons.set(number, made);
      return made;
    },
  };
  let pages: TracePages | undefined;
  const watched = new Set<number>(host.netns.map((n) => n.inode));
  /** tracefs watches every namespace, and knows that of a task in process context only. */
  const otherwise = netnsInode(host.namespaces === 1 ? host.home : 0);
  const tracefs = (): TracePages => (pages ??= tracePages({ formats: host.formats, symbols, dropReasons: host.dropReasons, otherwise, ...(host.netns.length === 1 && host.netns[0] !== undefined ? { watched: netnsInode(host.netns[0].inode) } : {}) }));
  const placed = (events: readonly (DropEvent | CallEvent | ExecEvent)[]): readonly Event[] =>
    watched.size === 0 ? events : events.filter((event) => (event.kind !== 'drop' && event.kind !== 'call') || event.netns === otherwise || watched.has(event.netns));
  const shed = createShed();
  const some = <T extends Event>(event: T | undefined): readonly Event[] => (event === undefined ? [] : [event]);

  return {
    decode: (record) => {
      switch (record.record) {
        case 'drop-sample':
          return some(decodeDrop(record.bytes, names, shed));
        case 'drop-counts':
          return decodeCounts(record.bytes, record.time, names);
        case 'call':
          return some(decodeCall(record.bytes, names));
        case 'call-counts':
          return decodeCallCounts(record.bytes, record.time, names);
        case 'exec':
          return some(decodeExec(record.bytes));
        case 'trace-page':
          return placed(tracefs().page(record));
        case 'netlink':
          return decodeConntrackDatagram(record.bytes, record.netns, record.time);
        case 'answer':
          return [{ kind: 'answer', time: record.time, question: record.question, body: record.body }];
        case 'missed':
          return [{ kind: 'missed', time: record.time, source: record.source, count: record.count, text: record.text }];
        case 'host':
        case 'symbols':
        case 'probe':
        case 'tick':
          return [];
      }
    },
    flush: () => placed(pages?.flush() ?? []),
  };
}
