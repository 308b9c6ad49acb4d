import { isoTime } from '../base/time.ts';
import { stackCounts, weightsOf, type Exported, type ExportedEvent } from '../exports/index.ts';
import type { Event } from '../model/event.ts';
import type { Incident } from '../model/incident.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { decodeConntrackStat, totalOf } from '../formats/nf-conntrack-stat.ts';
import { decodeSnmp } from '../formats/snmp.ts';
import type { CounterSeries, Diagram, ReportInput, Timeline } from '../report/index.ts';
import { sequenceOf, tookTuple } from '../report/sequence.ts';
import { renderReport } from '../views/html/index.ts';
import type { FilterOptions } from './flow-filter.ts';
import { judged, type Judged } from './judged.ts';
import { writeOutput } from './output-file.ts';
import { WITHOUT } from './probes.ts';
import { redactedForSharing } from './redact.ts';
import { openRecording } from './replay-command.ts';

export interface ReportOptions extends FilterOptions {
  readonly output: string;
  readonly redact?: boolean;
}

/** `whydrop report FILE -o OUT.html`: one page without script or request, to hand on. */
export function reportCommand(path: string, options: ReportOptions): void {
  const opened = openRecording(path);
  const input = reportInput(judged(options.redact === true ? redactedForSharing(opened) : opened, options));
  const written = writeOutput(options.output, [renderReport(input)]);
  if (options.output !== '-') process.stderr.write(`wrote ${options.output}: ${written} bytes, ${input.incidents.length} incidents\n`);
}

/** All that the page shows, from a recording that was judged. */
export function reportInput({ exported, replayed, records, all }: Judged): ReportInput {
  const { host, first, last } = replayed;
  const iso = (time: bigint): string => isoTime(time, host.realtimeOffset);
  const names = exported.netnsNames;
  const watched = host.netns.length > 0 ? host.netns : [...new Set(exported.incidents.map((i) => i.where.netns.inode))].map((inode) => ({ inode, name: names.get(inode) }));
  const timeline = timelineOf(exported, first, last);
  return {
    host: exported.host,
    from: iso(first), to: iso(last),
    netns: watched.map(({ inode, name }) => ({ inode, ...(name === undefined ? {} : { name }) })),
    incidents: exported.incidents,
    probes: records.flatMap((r) => r.record !== 'probe' ? [] : [{
      id: r.id, state: r.unavailable === undefined ? 'armed' as const : 'unavailable' as const,
      ...(r.unavailable === undefined ? {} : { why: r.unavailable.why, ...(r.unavailable.fix === undefined ? {} : { fix: r.unavailable.fix }) }),
      ...(WITHOUT[r.id] === undefined ? {} : { without: WITHOUT[r.id]! }),
    }]),
    losses: exported.losses,
    ...(timeline === undefined ? {} : { timeline }),
    counters: countersOf(all, first, (inode) => (watched.length > 1 ? `${names.get(inode) ?? inode} ` : '')),
    stacks: stackCounts(exported),
    diagrams: diagramsOf(all, exported.events, exported.incidents, host.realtimeOffset),
  };
}

/** Steps of the time line: at most this many. */
const STEPS = 600;

/** Losses per step and cause. A call that no incident took is the echo of a loss that one did. */
export function timelineOf(exported: Pick<Exported, 'events' | 'incidents'>, first: bigint, last: bigint): Timeline | undefined {
  const ms = Math.max(1, Number((last - first) / 1_000_000n));
  const stepMs = STEP_SIZES.find((s) => ms / s <= STEPS) ?? Math.ceil(ms / STEPS);
  const steps = Math.floor(ms / stepMs) + 1;
  const weights = weightsOf(exported);
  const series = new Map<string, number[]>();
  for (const [i, { event, incident }] of exported.events.entries()) {
    const weight = weights[i] ?? 0;
    if (weight === 0 || (event.kind === 'call' && incident === undefined)) continue;
    const key = incident?.cause ?? 'unknown';
    const counts = series.get(key) ?? Array.from({ length: steps }, () => 0);
    series.set(key, counts);
    const step = Math.min(steps - 1, Math.max(0, Math.floor(Number((event.time - first) / 1_000_000n) / stepMs)));
    counts[step] = (counts[step] ?? 0) + weight;
  }
  return series.size === 0 ? undefined : { stepMs, series: [...series].map(([cause, counts]) => ({ cause, counts: whole(counts) })) };
}

/** What is rounded off one step goes into the next: the sum stays. */
function whole(counts: readonly number[]): number[] {
  let sum = 0, told = 0;
  return counts.map((n) => {
    sum += n;
    const now = Math.round(sum) - told;
    told += now;
    return now;
  });
}

const STEP_SIZES = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

/** Counters whose names speak of loss or refusal. */
const OF_LOSS = /err|drop|fail|discard|noport|overflow|invalid|clash|chaintoolong|timeout|prune|backlog|reject|noroute|restart|retrans|collapsed|abort/i;
const MOST_COUNTERS = 12;

function countersOf(events: readonly Event[], first: bigint, prefix: (netns: number) => string): CounterSeries[] {
  const series = new Map<string, [number, number][]>();
  for (const event of events) {
    if (event.kind !== 'answer' || event.question.topic !== 'proc' || typeof event.body !== 'string' || isUnavailable(event.body)) continue;
    const { argument } = event.question;
    const values = argument === 'net/stat/nf_conntrack' ? totalOf(decodeConntrackStat(event.body).cpus)
      : argument === 'net/snmp' || argument === 'net/netstat' ? decodeSnmp(event.body).values : undefined;
    if (values === undefined) continue;
    const ms = Number((event.time - first) / 1_000_000n);
    const group = argument === 'net/stat/nf_conntrack' ? 'nf_conntrack ' : '';
    for (const [name, value] of values) {
      if (!OF_LOSS.test(name)) continue;
      const key = `${prefix(event.question.netns ?? 0)}${group}${name}`;
      const points = series.get(key) ?? [];
      series.set(key, points);
      points.push([Math.max(0, ms), value]);
    }
  }
  const moved = (points: readonly (readonly [number, number])[]): number => (points.at(-1)?.[1] ?? 0) - (points[0]?.[1] ?? 0);
  return [...series].filter(([, points]) => moved(points) > 0).sort((a, b) => moved(b[1]) - moved(a[1])).slice(0, MOST_COUNTERS).map(([name, points]) => ({ name, points }));
}

/** What is drawn of a race: its surroundings within this time, ns; events are told up to a quarter of a second late. */
const AROUND = 250_000_000n;
/** A flood keeps its events waiting; the entry that has the very tuple is known however late it is told. */
const AROUND_SAME = 5_000_000_000n;
/** Losses of one incident that are tried until one shows the race: of a flood only some met the event that tells it. */
const TRIES = 8;

const within = (a: bigint, b: bigint, ns: bigint): boolean => a - b <= ns && b - a <= ns;

function diagramsOf(events: readonly Event[], exported: readonly ExportedEvent[], incidents: readonly Incident[], realtimeOffset: bigint): ReadonlyMap<string, Diagram> {
  const diagrams = new Map<string, Diagram>();
  const racing = new Set(incidents.flatMap((i) => (i.cause.id.startsWith('conntrack.') ? [i.id] : [])));
  if (racing.size === 0) return diagrams;
  const losses = Map.groupBy(exported.filter(({ event, incident }) => event.kind === 'drop' && incident !== undefined && racing.has(incident.id)), (e) => e.incident!.id);
  for (const incident of incidents) {
    const own = losses.get(incident.id) ?? [];
    const step = Math.max(1, Math.ceil((own.length - 1) / (TRIES - 1)));
    // the last first: by then it was seen best
    const tried = own.toReversed().filter((_, i) => i % step === 0 || i === own.length - 1);
    for (const { event: loss } of tried) {
      const around = events.filter((e) => (within(e.time, loss.time, AROUND) || (e.kind === 'conntrack' && within(e.time, loss.time, AROUND_SAME) && tookTuple(e, loss))) && (e.kind === 'exec' || !('netns' in e) || e.netns === incident.where.netns.inode) && (e.kind !== 'drop' || e.time === loss.time));
      const diagram = sequenceOf(around, { incident, realtimeOffset });
      if (diagram === undefined) continue;
      diagrams.set(incident.id, diagram);
      break;
    }
  }
  return diagrams;
}
