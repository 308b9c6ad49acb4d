import { address, mono, netnsInode, type Netns } from '../base/brand.ts';
import { errnoText } from '../base/errno.ts';
import { parseEventFormat, readBig, readNumber, readText, type EventField, type EventFormat } from '../formats/event-format.ts';
import { parseHeaderPage } from '../formats/header-page.ts';
import { readRingPage } from '../formats/ring-page.ts';
import type { CallEvent, DropEvent, DropReason, ExecEvent, Place, Task } from '../model/event.ts';
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
}

/**
 * Decodes tracefs pages into events. A drop and its kernel stack are two events in a row on one CPU, perhaps on two
 * pages: a drop is held until its stack or another event behind it comes; `flush` gives what is still held, stackless.
 *
 * What the event lacks is left out: no flow, length, mark, device, socket (`packet` is empty, `ifindex` 0).
 * `netns` is that of the running task in process context, and 0, not known, in softirq or when the task had ended.
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
/** Deepest stack believed; the kernel's own limit is its buffer's. */
const MAX_STACK = 128;

/** A drop that waits for its stack. */
interface Held {
  readonly drop: DropEvent;
  /** Which page it came from: an event of the same buffer behind it, other than its stack, says that it has none. */
  readonly page: number;
}

/** An interrupt may put its own drop and stack between a drop and its stack: each context has its place. */
const heldKey = (cpu: number, flags: number): number => cpu * 4 + ((flags & HARDIRQ) !== 0 ? 2 : (flags & SOFTIRQ) !== 0 ? 1 : 0);

export function tracePages(input: TracePagesInput): TracePages {
  const little = input.littleEndian ?? true;
  const { layout } = parseHeaderPage(input.formats['header_page'] ?? '', input.formats['header_event'], little);
  const decoders = new Map<number, (e: RawEvent) => void>();
  const held = new Map<number, Held>();
  const damaged = new Map<string, number>();
  const reasons = new Map<number, DropReason>();
  let out: TraceEvent[] = [];

  const format = (key: string): EventFormat | undefined => {
    const text = input.formats[key];
    const parsed = text === undefined ? undefined : parseEventFormat(text);
    return parsed?.status === 'ok' ? parsed : undefined;
  };

  let pageCount = 0;

  const release = (key: number): void => {
    const waiting = held.get(key);
    if (waiting === undefined) return;
    held.delete(key);
    out.push(waiting.drop);
  };

  const drop = format('skb/kfree_skb');
  if (drop !== undefined) {
    const f = fieldsOf(drop, 'skbaddr', 'location', 'protocol', 'reason');
    for (const [number, name] of input.dropReasons) reasons.set(number, { number, name });
    for (const [number, name] of drop.names.get('reason') ?? []) reasons.set(number, { number, name });
    decoders.set(drop.id, (e) => {
      const location = readBig(e.bytes, e.at, f.location, little);
      if (location === undefined) return;
      const number = readNumber(e.bytes, e.at, f.reason, little);
      const softirq = (e.flags & (SOFTIRQ | HARDIRQ)) !== 0;
      const key = heldKey(e.cpu, e.flags);
      release(key);
      held.set(key, { page: pageCount, drop: {
        kind: 'drop', time: mono(e.time()), cpu: e.cpu, netns: softirq ? NOT_KNOWN : netnsInode(e.task?.netns ?? 0), ifindex: 0,
        skb: address(readBig(e.bytes, e.at, f.skbaddr, little) ?? 0n),
        place: input.symbols().find(address(location)),
        reason: number === undefined ? NO_REASON : reasons.get(number) ?? { number, name: String(number) },
        protocol: readNumber(e.bytes, e.at, f.protocol, little) ?? 0,
        length: 0, mark: 0, packet: { defects: [] }, stack: [], softirq, task: taskOf(e), probe: 'tracefs',
      } });
    });
  }

  const stack = format('ftrace/kernel_stack');
  if (stack !== undefined) {
    const f = fieldsOf(stack, 'size', 'caller');
    decoders.set(stack.id, (e) => {
      const key = heldKey(e.cpu, e.flags);
      const waiting = held.get(key);
      if (waiting === undefined || f.caller === undefined || waiting.drop.task.tid !== e.tid) return;
      held.delete(key);
      out.push({ ...waiting.drop, stack: readStack(e, f.caller, readNumber(e.bytes, e.at, f.size, little)) });
    });
  }

  const readStack = (e: RawEvent, caller: EventField, told: number | undefined): readonly Place[] => {
    const step = layout.commitSize; // sizeof(long)
    const there = Math.floor((e.length - caller.offset) / step);
    const places: Place[] = [];
    const symbols = input.symbols();
    for (let i = 0; i < Math.min(there, told ?? there, MAX_STACK); i++) {
      const value = readBig(e.bytes, e.at, { ...caller, offset: caller.offset + i * step, size: step, signed: false }, little);
      if (value === undefined || value === 0n || value === (step === 8 ? 0xffff_ffff_ffff_ffffn : 0xffff_ffffn)) break;
      places.push(symbols.findReturn(address(value)));
    }
    return places.slice(tracerFrames(places));
  };

  for (const [key] of Object.entries(input.formats)) {
    if (!key.startsWith('syscalls/sys_exit_')) continue;
    const exit = format(key);
    if (exit === undefined) continue;
    const syscall = key.slice('syscalls/sys_exit_'.length);
    const f = fieldsOf(exit, 'ret');
    decoders.set(exit.id, (e) => {
      const result = readBig(e.bytes, e.at, f.ret, little);
      if (result === undefined || result >= 0n || result <= -4096n) return;
      out.push({ kind: 'call', time: mono(e.time()), cpu: e.cpu, netns: netnsInode(e.task?.netns ?? 0), task: taskOf(e), syscall, errno: errnoText(Number(-result)), args: [] });
    });
  }

  const exec = format('sched/sched_process_exec');
  if (exec !== undefined) {
    const f = fieldsOf(exec, 'filename', 'pid');
    decoders.set(exec.id, (e) => {
      const filename = readText(e.bytes, e.at, e.length, f.filename, little);
      if (filename === undefined) return;
      out.push({ kind: 'exec', time: mono(e.time()), task: taskOf(e), parent: e.task?.parent ?? 0, filename, argv: e.task?.argv ?? [], ...(e.task === undefined ? {} : { netns: netnsInode(e.task.netns) }) });
    });
  }

  const taken = (): readonly TraceEvent[] => {
    const events = out;
    out = [];
    return events;
  };

  return {
    damaged,
    page(record) {
      pageCount++;
      const bytes = record.bytes;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const tasks = readTasks(record.tasks);
      const stamp = bytes.length >= layout.data ? view.getBigUint64(layout.timestamp, little) : 0n;
      const page = readRingPage(bytes, (at, length, delta) => {
        if (length < 8) return;
        const type = view.getUint16(at, little), flags = bytes[at + 2]!;
        if (type !== stack?.id) {
          const key = heldKey(record.cpu, flags);
          if (held.get(key)?.page === pageCount) release(key);
        }
        const decode = decoders.get(type);
        if (decode === undefined) return;
        const tid = view.getInt32(at + 4, little);
        decode({ bytes: bytes.subarray(0, at + length), at, length, cpu: record.cpu, tid, flags, task: tasks.get(tid), time: () => stamp + BigInt(delta) });
      }, layout);
      if (page.status !== 'ok') damaged.set(page.status, (damaged.get(page.status) ?? 0) + 1);
      return taken();
    },
    flush() {
      for (const key of [...held.keys()]) release(key);
      return taken();
    },
  };
}

/** One event of a page, before its format is looked at; `bytes` end where its payload ends. */
interface RawEvent {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
  readonly cpu: number;
  readonly tid: number;
  readonly flags: number;
  readonly task: TraceTask | undefined;
  readonly time: () => bigint;
}

function fieldsOf<const N extends string>(format: EventFormat, ...names: readonly N[]): Readonly<Record<N, EventField | undefined>> {
  return Object.fromEntries(names.map((name) => [name, format.fields.get(name)])) as Record<N, EventField | undefined>;
}

function taskOf(e: RawEvent): Task {
  if (e.task === undefined) return { pid: e.tid, tid: e.tid, comm: e.tid === 0 ? `swapper/${e.cpu}` : '' };
  return { pid: e.task.pid, tid: e.tid, comm: e.task.comm, uid: e.task.uid };
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
function readTasks(text: string | undefined): ReadonlyMap<number, TraceTask> {
  const tasks = new Map<number, TraceTask>();
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
    tasks.set(t.tid, {
      tid: t.tid, pid: whole(t.pid), parent: whole(t.parent), uid: whole(t.uid), netns: whole(t.netns), comm: typeof t.comm === 'string' ? t.comm : '',
      argv: Array.isArray(t.argv) ? t.argv.filter((a) => typeof a === 'string') : [],
    });
  }
  return tasks;
}
