import assert from 'node:assert/strict';
import { isoNs, type Exported } from '../src/exports/index.ts';

/*
 * The Trace Event Format (Google, "JSON Object Format"), held as strictly as those hold it who read it. Perfetto's trace
 * processor splits the text before it parses it: an event with an array beside its `args`, a control character in a string, or a
 * time that is no plain decimal number is lost there or stops the import, and negative fractions are added the wrong way round.
 */
const FIELDS: Readonly<Record<string, { readonly needs: readonly string[]; readonly args: 'text-name' | 'numbers' | 'flat' }>> = {
  M: { needs: ['ph', 'name', 'pid', 'tid', 'args'], args: 'text-name' },
  X: { needs: ['ph', 'name', 'cat', 'pid', 'tid', 'ts', 'dur', 'args'], args: 'flat' },
  i: { needs: ['ph', 's', 'name', 'cat', 'pid', 'tid', 'ts', 'args'], args: 'flat' },
  C: { needs: ['ph', 'name', 'pid', 'tid', 'ts', 'args'], args: 'numbers' },
};

interface TraceEvent {
  readonly ph: string;
  readonly name: string;
  readonly cat?: string;
  readonly s?: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly args: Readonly<Record<string, unknown>>;
}

/** Every field of every event, and that nothing of `exported` is missing. Names of processes and threads, by number. */
export function holdsToTraceEventFormat(text: string, exported: Exported): { readonly processes: ReadonlyMap<number, string>; readonly threads: ReadonlyMap<number, string> } {
  const trace = JSON.parse(text) as { displayTimeUnit: string; otherData: Record<string, unknown>; traceEvents: readonly TraceEvent[] };
  assert.deepEqual(Object.keys(trace), ['displayTimeUnit', 'otherData', 'traceEvents']);
  assert.equal(trace.displayTimeUnit, 'ns');
  assert.ok(Object.values(trace.otherData).every((v) => typeof v === 'string'));
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f]/, 'control characters are no part of JSON strings');
  const lines = text.split('\n').filter((l) => l.startsWith('{"ph"'));
  assert.equal(lines.length, trace.traceEvents.length, 'an event a line');
  const processes = new Map<number, string>(), threads = new Map<number, string>(), owner = new Map<number, number>();
  const slices = new Map<number, (readonly [from: number, to: number])[]>();
  const counters = new Map<string, number>();
  const instants: string[] = [];
  trace.traceEvents.forEach((e, i) => {
    const known = FIELDS[e.ph];
    assert.ok(known !== undefined, `phase ${e.ph}`);
    assert.deepEqual(Object.keys(e).sort(), [...known.needs].sort(), `phase ${e.ph}`);
    assert.ok(typeof e.name === 'string' && e.name !== '');
    for (const number of [e.pid, e.tid]) assert.ok(Number.isInteger(number) && number > 0 && number < 2 ** 32, `${number} is no number of a process or thread`);
    // Perfetto finds threads by their number alone
    assert.equal(owner.get(e.tid) ?? e.pid, e.pid, `thread ${e.tid} is of two processes`);
    owner.set(e.tid, e.pid);
    for (const value of Object.values(e.args)) assert.ok(typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value)), 'arguments are flat');
    if (e.ph === 'M') {
      assert.ok(e.name === 'process_name' || e.name === 'thread_name', e.name);
      const names = e.name === 'process_name' ? processes : threads, number = e.name === 'process_name' ? e.pid : e.tid;
      assert.ok(typeof e.args['name'] === 'string' && e.args['name'] !== '' && !names.has(number), `${e.name} of ${number} twice or empty`);
      names.set(number, e.args['name']);
      return;
    }
    const raw = /"ts":([^,]*),/.exec(lines[i]!)?.[1] ?? '';
    assert.match(raw, /^\d+\.\d{3}$/, 'microseconds, to the nanosecond');
    if (e.ph === 'C') {
      assert.deepEqual(Object.keys(e.args), ['events']);
      const key = `${e.pid} ${e.name}`;
      assert.ok(e.ts! > (counters.get(key) ?? -1), 'a counter goes on in time');
      counters.set(key, e.ts!);
    }
    if (e.ph === 'X') {
      assert.match(lines[i]!, /"dur":\d+\.\d{3},/);
      assert.ok(e.dur! > 0);
      const others = slices.get(e.tid) ?? [];
      slices.set(e.tid, others);
      assert.ok(others.every(([from, to]) => e.ts! >= to || e.ts! + e.dur! <= from), 'slices of a thread do not cross');
      others.push([e.ts!, e.ts! + e.dur!]);
    }
    if (e.ph === 'i') {
      assert.equal(e.s, 't');
      instants.push(`${raw} ${e.pid} ${e.cat} ${String(e.args['utc'])}`);
    }
  });
  for (const [tid, pid] of owner) assert.ok(threads.has(tid) && processes.has(pid), `thread ${tid} of ${pid} has no name`);
  // nothing is missing and nothing is made up
  assert.deepEqual(instants, exported.events.map(({ event: e }) => `${e.time / 1000n}.${String(e.time % 1000n).padStart(3, '0')} ${e.netns} ${e.kind} ${isoNs(e.time + exported.realtimeOffset)}`));
  const incidents = trace.traceEvents.filter((e) => e.ph === 'X');
  assert.deepEqual(incidents.map((e) => [e.name, e.args['count'], threads.get(e.tid)]), exported.incidents.map((i) => [i.cause.id, i.count, `incident ${i.id}`]));
  for (const [i, { first, last }] of exported.incidents.entries()) {
    const from = incidents[i]!.ts! + Number(exported.realtimeOffset) / 1000, length = Date.parse(last) - Date.parse(first);
    assert.ok(Math.abs(from / 1000 - Date.parse(first)) < 0.01 && Math.abs(incidents[i]!.dur! / 1000 - length) < 0.01, 'an incident lasts from its first to its last loss');
  }
  const points = trace.traceEvents.filter((e) => e.ph === 'C');
  const counted = points.reduce((n, e) => n + Number(e.args['events']), 0);
  const described = new Set(exported.events.map((e) => e.incident?.id));
  const lost = exported.incidents.reduce((n, i) => n + (described.has(i.id) ? i.count : 0), 0) + exported.events.filter((e) => e.incident === undefined).length;
  assert.ok(Math.abs(counted - lost) <= points.length / 2, `the counters tell of ${counted} losses, there were ${lost}`);
  return { processes, threads };
}
