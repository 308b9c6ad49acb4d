import { placeText } from '../base/symbol.ts';
import { printable } from '../base/text.ts';
import { isoNs, rowOf, type Exported } from './exported.ts';
import { weightsOf } from './weights.ts';

/**
 * The Chrome JSON trace event format (Trace Event Format, "JSON Object Format"), which ui.perfetto.dev, chrome://tracing
 * and trace_processor open. Time stamps are microseconds of CLOCK_MONOTONIC with three decimals.
 *
 * A network namespace is a process, a CPU a thread of it: drops and failed calls are instant events (`i`) there. Every
 * incident is a slice (`X`) on a thread of its own from its first to its last loss, and each cause has a counter (`C`) of
 * losses a second.
 */
export function* chromeTraceOf(exported: Exported): Generator<string> {
  const { host, events, incidents, realtimeOffset, netnsNames } = exported;
  yield `{"displayTimeUnit":"ns","otherData":${line({ host: printable(host.hostname), kernel: printable(host.kernel), made_by: `whydrop ${host.whydrop}`, realtime_minus_monotonic_ns: realtimeOffset.toString() })},"traceEvents":[\n`;
  const spaces = new Set<number>([...events.map((e): number => e.event.netns), ...incidents.map((i) => i.where.netns.inode)]);
  const threads = new Map<string, number>();
  const out: string[] = [];
  // no two threads of a trace have one number, as on a real host: readers look them up by it alone
  const thread = (pid: number, key: string, name: string): number => {
    let tid = threads.get(`${pid} ${key}`);
    if (tid === undefined) {
      tid = threads.size + 1;
      threads.set(`${pid} ${key}`, tid);
      out.push(line({ ph: 'M', name: 'thread_name', pid, tid, args: { name: printable(name) } }));
    }
    return tid;
  };
  for (const pid of spaces) out.push(line({ ph: 'M', name: 'process_name', pid, tid: thread(pid, 'losses', 'losses'), args: { name: printable(`netns ${netnsNames.get(pid) ?? pid}`) } }));
  for (const incident of incidents) {
    const pid = incident.where.netns.inode;
    const tid = thread(pid, `incident ${incident.id}`, `incident ${incident.id}`);
    const from = BigInt(Math.round(Date.parse(incident.first) * 1e3)) * 1000n - realtimeOffset;
    const to = BigInt(Math.round(Date.parse(incident.last) * 1e3)) * 1000n - realtimeOffset;
    out.push(line({ ph: 'X', name: printable(incident.cause.id), cat: 'incident', pid, tid, ts: us(from), dur: us(to > from ? to - from : 1n), args: { title: printable(incident.cause.title), culprit: printable(incident.culprit.text), explanation: printable(incident.explanation), count: incident.count, severity: incident.severity, confidence: incident.confidence } }));
  }
  for (const e of events) {
    const { event } = e;
    const row = rowOf(e, exported);
    const args: Record<string, string | number> = {};
    for (const key of ['cause', 'incident', 'reason', 'interface', 'protocol', 'source', 'source_port', 'destination', 'destination_port', 'length', 'process', 'pid', 'syscall', 'errno'] as const) {
      const value = row[key];
      if (value !== undefined) args[key] = typeof value === 'string' ? printable(value) : value;
    }
    args['utc'] = isoNs(row.time_ns);
    if (event.kind === 'drop' && event.stack.length > 0) args['stack'] = printable(event.stack.map(placeText).join(' < '));
    const tid = thread(event.netns, `cpu ${event.cpu}`, `CPU ${event.cpu}`);
    out.push(line({ ph: 'i', s: 't', name: printable(event.kind === 'drop' ? event.reason.name : `${event.syscall} ${event.errno}`), cat: event.kind, pid: event.netns, tid, ts: us(event.time), args }));
    if (out.length >= 1000) {
      yield `${out.join(',\n')},\n`;
      out.length = 0;
    }
  }
  for (const text of counterLines(exported, (pid) => thread(pid, 'losses', 'losses'))) out.push(text);
  yield `${out.join(',\n')}\n]}\n`;
}

const SECOND = 1_000_000_000n;

function counterLines(exported: Exported, thread: (pid: number) => number): string[] {
  const weights = weightsOf(exported);
  const perSecond = new Map<string, Map<bigint, number>>();
  for (const [i, { event, incident }] of exported.events.entries()) {
    const weight = weights[i] ?? 0;
    if (weight === 0) continue;
    const key = `${event.netns} ${incident?.cause ?? 'unknown'}`;
    const counts = perSecond.get(key) ?? new Map<bigint, number>();
    perSecond.set(key, counts);
    const second = event.time / SECOND;
    counts.set(second, (counts.get(second) ?? 0) + weight);
    // back to nothing, unless more comes
    if (!counts.has(second + 1n)) counts.set(second + 1n, 0);
  }
  const lines: string[] = [];
  for (const [key, counts] of perSecond) {
    const [pid, cause] = key.split(' ');
    for (const [second, count] of [...counts].sort((a, b) => (a[0] < b[0] ? -1 : 1))) lines.push(line({ ph: 'C', name: `lost a second: ${cause}`, pid: Number(pid), tid: thread(Number(pid)), ts: us(second * SECOND), args: { events: Math.round(count) } }));
  }
  return lines;
}

/** ns as a JSON number of microseconds; text until it is in the JSON, since 2^53 µs is enough but a double of ns is not. */
const us = (ns: bigint): Micros => ({ micros: `${ns / 1000n}.${String(ns % 1000n).padStart(3, '0')}` });
interface Micros {
  readonly micros: string;
}

function line(value: Readonly<Record<string, unknown>>): string {
  const marks: string[] = [];
  const text = JSON.stringify(value, (_, v: unknown) => {
    if (typeof v === 'object' && v !== null && 'micros' in v && typeof v.micros === 'string') return `\u0000${marks.push(v.micros) - 1}\u0000`;
    return v;
  });
  // printable() left no NUL in any text: these are ours
  return text.replace(/"\\u0000(\d+)\\u0000"/g, (_, i: string) => marks[Number(i)] ?? '0');
}
