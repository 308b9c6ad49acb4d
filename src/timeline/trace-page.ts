import { address, mono, netnsInode, type Netns } from '../base/brand.ts';
import { counterOfDrop } from '../model/counted.ts';
import { errnoText } from '../base/errno.ts';
import { forEach, remember } from '../base/remember.ts';
import { parseEventFormat, readBig, readNumber, readText, type EventField, type EventFormat } from '../formats/event-format.ts';
import { parseHeaderPage } from '../formats/header-page.ts';
import { readRingPage } from '../formats/ring-page.ts';
import type { CallEvent, DropEvent, DropReason, ExecEvent, Place, Task } from '../model/event.ts';
import type { Packet } from '../model/packet.ts';
import type { TracePageRecord, TraceTask } from '../model/record.ts';
import type { Symbols } from './symbols.ts';

export type TraceEvent = DropEvent | CallEvent | ExecEvent;

export interface TracePagesInput {
  /** HostRecord.formats: `skb/kfree_skb`, `ftrace/kernel_stack`, `sched/sched_process_exec`, `syscalls/sys_exit_*`, `header_page`, `header_event`. */
  readonly formats: Readonly<Record<string, string>>;
  /** Asked at each event, since symbols may come after the first pages. */
  readonly symbols: () => Symbols;
  /** HostRecord.dropReasons, for numbers that the event's own print format does not name (subsystems). */
  readonly dropReasons: readonly (readonly [number: number, name: string])[];
  readonly littleEndian?: boolean;
  /** Namespace of events whose own is not known: the host's where it is the only one. */
  readonly otherwise?: Netns;
  /** The one namespace that is watched: drops that a counter of their namespace counts are taken for its own, until the counter says no (normal.elsewhere). */
  readonly watched?: Netns;
}

/**
 * Decodes tracefs pages into events. A drop and its kernel stack are two events in a row on one CPU, perhaps on two
 * pages: a drop is held until its stack or another event behind it comes; `flush` gives what is still held, stackless.
 *
 * What the event lacks is left out: no flow, length, mark, device, socket (`packet` is empty, `ifindex` 0).
 * `netns` is that of the running task in process context; in softirq or when the task had ended it is not known (`otherwise`, or 0).
 */
export interface TracePages {
  page(record: TracePageRecord): readonly TraceEvent[];
  flush(): readonly TraceEvent[];
  /** Pages whose bytes contradicted their layout, by status. */
  readonly damaged: ReadonlyMap<string, number>;
}

const HARDIRQ = 0x08, SOFTIRQ = 0x10; // common_flags, include/linux/trace_events.h
const NOT_KNOWN: Netns = netnsInode(0);
const NO_REASON: DropReason = { number: 0, name: 'NOT_SPECIFIED' };
const NO_PACKET: Packet = { defects: [] };
const NO_STACK: readonly Place[] = [];
/** Deepest stack believed; the kernel's own limit is its buffer's. */
const MAX_STACK = 128;

type Filling<T> = { -readonly [K in keyof T]: T[K] };

/** The place of a drop that waits for its stack. */
interface Held {
  drop: Filling<DropEvent> | undefined;
  /** Which page it came from: an event of the same buffer behind it, other than its stack, says that it has none. */
  page: number;
}

/** An interrupt may put its own drop and stack between a drop and its stack: each context has its place. */
const heldKey = (cpu: number, flags: number): number => cpu * 4 + ((flags & HARDIRQ) !== 0 ? 2 : (flags & SOFTIRQ) !== 0 ? 1 : 0);

export function tracePages(input: TracePagesInput): TracePages {
  const little = input.littleEndian ?? true;
  const { layout } = parseHeaderPage(input.formats['header_page'] ?? '', input.formats['header_event'], little);
  const otherwise = input.otherwise ?? NOT_KNOWN;
  const decoders = new Map<number, (e: RawEvent) => void>();
  const held = new Map<number, Held>();
  const damaged = new Map<string, number>();
  const reasons = new Map<number, DropReason>();
  let out: TraceEvent[] = [];

  /** Places and stacks by these symbols: as the symbols grow, they are read anew. */
  const step = layout.commitSize; // sizeof(long)
  const word = (v: DataView, at: number): bigint => (step === 8 ? v.getBigUint64(at, little) : BigInt(v.getUint32(at, little)));
  const namesIn = forEach((symbols: Symbols) => ({
    place: remember(2, 256, (v, at) => symbols.find(address(word(v, at)))),
    stack: remember(2 * MAX_STACK, 64, (v, at, words) => {
      const places: Place[] = [];
      for (let i = 0; i < words * 4; i += step) {
        const value = word(v, at + i);
        if (value === 0n || value === (step === 8 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn)) break;
        places.push(symbols.findReturn(address(value)));
      }
      return places.slice(tracerFrames(places));
    }),
  }));

  const format = (key: string): EventFormat | undefined => {
    const text = input.formats[key];
    const parsed = text === undefined ? undefined : parseEventFormat(text);
    return parsed?.status === 'ok' ? parsed : undefined;
  };

  let pageCount = 0;

  const heldAt = (key: number): Held => {
    let place = held.get(key);
    if (place === undefined) held.set(key, (place = { drop: undefined, page: 0 }));
    return place;
  };
  const release = (place: Held): void => {
    if (place.drop === undefined) return;
    out.push(place.drop);
    place.drop = undefined;
  };

  const drop = format('skb/kfree_skb');
  if (drop !== undefined) {
    const f = fieldsOf(drop, 'skbaddr', 'location', 'protocol', 'reason');
    for (const [number, name] of input.dropReasons) reasons.set(number, { number, name });
    for (const [number, name] of drop.names.get('reason') ?? []) reasons.set(number, { number, name });
    const reasonOf = (number: number | undefined): DropReason => (number === undefined ? NO_REASON : reasons.get(number) ?? { number, name: String(number) });
    decoders.set(drop.id, (e) => {
      const { location } = f;
      if (location === undefined || location.size !== step || location.offset + step > e.length) return;
      const softirq = (e.flags & (SOFTIRQ | HARDIRQ)) !== 0;
      release(e.held);
      e.held.page = pageCount;
      const place = namesIn(input.symbols()).place(e.view, e.at + location.offset, step / 4);
      const reason = reasonOf(numberOf(e, f.reason));
      const protocol = numberOf(e, f.protocol) ?? 0;
      e.held.drop = {
        kind: 'drop', time: mono(e.stamp + BigInt(e.delta)), cpu: e.cpu,
        netns: !softirq ? netnsOf(e) : otherwise === NOT_KNOWN && input.watched !== undefined && counterOfDrop({ place, reason, protocol }) !== undefined ? input.watched : otherwise, ifindex: 0,
        skb: address(bigOf(e, f.skbaddr) ?? 0n),
        place, reason, protocol,
        length: 0, mark: 0, packet: NO_PACKET, stack: NO_STACK, softirq, task: taskOf(e), probe: 'tracefs',
      };
    });
  }

  const stack = format('ftrace/kernel_stack');
  if (stack !== undefined) {
    const f = fieldsOf(stack, 'size', 'caller');
    decoders.set(stack.id, (e) => {
      const waiting = e.held.drop;
      if (waiting === undefined || f.caller === undefined || waiting.task.tid !== e.tid) return;
      const there = Math.max(0, Math.floor((e.length - f.caller.offset) / step));
      const frames = Math.min(there, numberOf(e, f.size) ?? there, MAX_STACK);
      waiting.stack = namesIn(input.symbols()).stack(e.view, e.at + f.caller.offset, Math.max(0, frames) * (step / 4));
      release(e.held);
    });
  }

  const netnsOf = (e: RawEvent): Netns => (e.task === undefined || e.task.netns === 0 ? otherwise : netnsInode(e.task.netns));
  const numberOf = (e: RawEvent, f: EventField | undefined): number | undefined => readNumber(e.view, e.at, e.length, f, little);
  const bigOf = (e: RawEvent, f: EventField | undefined): bigint | undefined => readBig(e.view, e.at, e.length, f, little);

  for (const [key] of Object.entries(input.formats)) {
    if (!key.startsWith('syscalls/sys_exit_')) continue;
    const exit = format(key);
    if (exit === undefined) continue;
    const syscall = key.slice('syscalls/sys_exit_'.length);
    const f = fieldsOf(exit, 'ret');
    decoders.set(exit.id, (e) => {
      const result = bigOf(e, f.ret);
      if (result === undefined || result >= 0n || result <= -4096n) return;
      out.push({ kind: 'call', time: mono(e.stamp + BigInt(e.delta)), cpu: e.cpu, netns: netnsOf(e), task: taskOf(e), syscall, errno: errnoText(Number(-result)), args: [] });
    });
  }

  const exec = format('sched/sched_process_exec');
  if (exec !== undefined) {
    const f = fieldsOf(exec, 'filename', 'pid');
    decoders.set(exec.id, (e) => {
      const filename = readText(bytesTo(e), e.at, e.length, f.filename, little);
      if (filename === undefined) return;
      out.push({ kind: 'exec', time: mono(e.stamp + BigInt(e.delta)), task: taskOf(e), parent: e.task?.parent ?? 0, filename, argv: e.task?.argv ?? [], ...(e.task === undefined ? {} : { netns: netnsInode(e.task.netns) }) });
    });
  }

  const taken = (): readonly TraceEvent[] => {
    const events = out;
    out = [];
    return events;
  };

  let tasks: ReadonlyMap<number, KnownTask> = new Map();
  let tasksText: string | undefined;

  return {
    damaged,
    page(record) {
      pageCount++;
      const bytes = record.bytes;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (record.tasks !== tasksText) {
        tasks = readTasks(record.tasks);
        tasksText = record.tasks;
      }
      // one object for all events of the page: decoders keep nothing of it
      const e: RawEvent = { view, cpu: record.cpu, stamp: bytes.length >= layout.data ? view.getBigUint64(layout.timestamp, little) : 0n, at: 0, length: 0, delta: 0, tid: 0, flags: 0, task: undefined, held: heldAt(heldKey(record.cpu, 0)) };
      let flags = 0;
      const page = readRingPage(bytes, (at, length, delta) => {
        if (length < 8) return;
        const type = view.getUint16(at, little);
        e.flags = view.getUint8(at + 2);
        if (e.flags !== flags) {
          e.held = heldAt(heldKey(record.cpu, e.flags));
          flags = e.flags;
        }
        if (type !== stack?.id && e.held.page === pageCount) release(e.held);
        const decode = decoders.get(type);
        if (decode === undefined) return;
        const tid = view.getInt32(at + 4, little);
        if (tid !== e.tid || e.task === undefined) e.task = tasks.get(tid);
        e.tid = tid;
        e.at = at;
        e.length = length;
        e.delta = delta;
        decode(e);
      }, layout);
      if (page.status !== 'ok') damaged.set(page.status, (damaged.get(page.status) ?? 0) + 1);
      return taken();
    },
    flush() {
      for (const place of held.values()) release(place);
      return taken();
    },
  };
}

/** One event of a page, before its format is looked at: its payload is `length` bytes at `at`, `delta` ns after the page's stamp. */
interface RawEvent {
  readonly view: DataView;
  readonly cpu: number;
  readonly stamp: bigint;
  at: number;
  length: number;
  delta: number;
  tid: number;
  flags: number;
  task: KnownTask | undefined;
  held: Held;
}

interface KnownTask extends TraceTask {
  readonly task: Task;
}

const bytesTo = (e: RawEvent): Uint8Array => new Uint8Array(e.view.buffer, e.view.byteOffset, e.at + e.length);

function fieldsOf<const N extends string>(format: EventFormat, ...names: readonly N[]): Readonly<Record<N, EventField | undefined>> {
  return Object.fromEntries(names.map((name) => [name, format.fields.get(name)])) as Record<N, EventField | undefined>;
}

function taskOf(e: RawEvent): Task {
  return e.task?.task ?? { pid: e.tid, tid: e.tid, comm: e.tid === 0 ? `swapper/${e.cpu}` : '' };
}

/** The innermost frames are the tracer's own: how many, up to and with the tracepoint's. */
function tracerFrames(stack: readonly Place[]): number {
  let own = 0;
  for (let i = 0; i < Math.min(stack.length, 6); i++) {
    const name = stack[i]!.name ?? '';
    if (/^(__traceiter_|trace_event_raw_event_|__ftrace_trace_stack|trace_event_buffer_commit|ftrace_trace_|__trace_stack|do_trace_event_raw_event_|event_triggers_|trace_buffer_unlock_commit)/.test(name)) own = i + 1;
  }
  return own;
}

/** Untrusted JSON: what is not a task is left out. */
function readTasks(text: string | undefined): ReadonlyMap<number, KnownTask> {
  const tasks = new Map<number, KnownTask>();
  if (text === undefined) return tasks;
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return tasks; // a damaged recording: the events stay without names
  }
  if (!Array.isArray(list)) return tasks;
  const whole = (v: unknown): number => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0 ? v : 0;
  for (const item of list as readonly unknown[]) {
    if (typeof item !== 'object' || item === null) continue;
    const t = item as Partial<Record<keyof TraceTask, unknown>>;
    if (typeof t.tid !== 'number') continue;
    const task: Task = { pid: whole(t.pid), tid: t.tid, comm: typeof t.comm === 'string' ? t.comm : '', uid: whole(t.uid) };
    tasks.set(t.tid, {
      task, tid: t.tid, pid: task.pid, parent: whole(t.parent), uid: whole(t.uid), netns: whole(t.netns), comm: task.comm,
      argv: Array.isArray(t.argv) ? t.argv.filter((a) => typeof a === 'string') : [],
    });
  }
  return tasks;
}
