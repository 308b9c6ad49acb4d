import { flagsOf, frameOf, isConsumed, processOf, toolDrop } from './drop-tools.ts';
import type { EvidenceRecord, Reading } from './evidence-record.ts';
import { isObject, number, object, text, type Json } from './json-fields.ts';
import { deviceOf, ethertypeOf, FREED, netnsOf, pwruClock, pwruTime, type PwruClock } from './pwru.ts';
import { createRetis } from './retis-json.ts';
import { stackOf, tupleFrom } from './tool-json.ts';

/**
 * JSON objects as retis (`retis collect -o`) and pwru (`--output-json`) write them: one a line, a list of one packet's events
 * a line (`retis sort -o`), or spread over lines as jq prints them. Only what was dropped is taken: their steps on the way
 * say where a packet was, not that it was lost.
 */
export function readDropJson(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  const values = valuesIn(lines);
  const clock = pwruClock(values.flatMap(({ events }) => events.flatMap((e) => (isPwru(e) && typeof e['time'] === 'number' && Number.isFinite(e['time']) ? [BigInt(Math.trunc(e['time']))] : []))));
  const retis = createRetis();
  for (const { events, from, to } of values) {
    let known = false;
    for (const event of events) {
      const read = retis(event, from + 1) ?? pwru(event, from + 1, clock);
      if (read === undefined) continue;
      known = true;
      for (const record of read) records.push(record);
    }
    if (known) for (let i = from; i < to; i++) if (lines[i] !== '') taken.push(i);
  }
  return { records, taken };
}

const LONGEST = 262_144;
/** Lines of one object that is spread over lines. */
const MOST_LINES = 2_000;
/** Lines looked through for the end of objects that are none. */
const MOST_IN_VAIN = 50_000;

interface Value {
  readonly events: readonly Json[];
  readonly from: number;
  readonly to: number;
}

function valuesIn(lines: readonly string[]): readonly Value[] {
  const values: Value[] = [];
  let inVain = 0;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    if ((!line.startsWith('{') && !line.startsWith('[')) || line.length > LONGEST) continue;
    let to = i + 1;
    if (line === '{' || line === '[') {
      if (inVain > MOST_IN_VAIN) continue;
      const end = line === '{' ? /^\}[,\]]?$/ : /^\],?$/;
      while (to < lines.length && to - i < MOST_LINES && !end.test(lines[to]!)) to += 1;
      to += 1;
    }
    const events = parsed(to === i + 1 ? line : lines.slice(i, to).join('\n').replace(/[,\]]$/, (end) => (line === '[' && end === ']' ? end : '')));
    if (events.length === 0) {
      if (to > i + 1) inVain += to - i;
      continue;
    }
    values.push({ events, from: i, to: Math.min(to, lines.length) });
    i = to - 1;
  }
  return values;
}

function parsed(source: string): readonly Json[] {
  if (source.length > LONGEST) return [];
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    return []; // another format may know it
  }
  return (Array.isArray(value) ? value : [value]).filter(isObject);
}

const isPwru = (event: Json): boolean => text(event, 'func') !== undefined && text(event, 'skb') !== undefined;

function pwru(event: Json, line: number, clock: PwruClock): readonly EvidenceRecord[] | undefined {
  if (!isPwru(event)) return undefined;
  const name = text(event, 'func')!;
  const freed = FREED.exec(name);
  if (freed === null || isConsumed(freed[1])) return [];
  const ends = object(event, 'tuple');
  const tuple = tupleFrom(number(ends, 'proto'), text(ends, 'saddr'), text(ends, 'daddr'), number(ends, 'sport'), number(ends, 'dport'));
  const flags = text(ends, 'flags');
  const [comm, pid] = processOf(text(event, 'process') ?? '<empty>');
  const caller = frameOf(text(event, 'caller_func') ?? '');
  const ethertype = ethertypeOf(number(event, 'proto')), length = number(event, 'len'), mark = number(event, 'mark'), netns = netnsOf(number(event, 'netns'), text(event, 'netns_name'));
  const kernel = number(event, 'time');
  const { clocks, ...time } = pwruTime(clock, line, kernel === undefined || !Number.isFinite(kernel) ? undefined : BigInt(Math.trunc(kernel)), text(event, 'time'));
  return [toolDrop('pwru', {
    ...time, line, text: `${name} (line ${line})`, skb: text(event, 'skb')!, cpu: number(event, 'cpu') ?? 0, comm, ...(pid === undefined ? {} : { tid: pid }),
    stack: stackOf(event['stack']), ...(freed[1] === undefined ? {} : { reason: freed[1] }), ...(caller === undefined ? {} : { place: caller }), ...(ethertype === undefined ? {} : { protocol: ethertype }),
    told: { ...(tuple === undefined ? {} : { tuple, ...(flags === undefined ? {} : { flags: flagsOf(flags) }) }), ...(length === undefined ? {} : { length }), ...(mark === undefined ? {} : { mark }), ...deviceOf(text(event, 'iface')), ...(netns === undefined ? {} : { netns }) },
  }), ...clocks];
}
