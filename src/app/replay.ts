import { mono, type Mono } from '../base/brand.ts';
import type { CallEvent, DropEvent, Event } from '../model/event.ts';
import type { Incident } from '../model/incident.ts';
import type { HostRecord, RawRecord } from '../model/record.ts';
import { createTimeline } from '../timeline/index.ts';
import { symbolsOf } from '../timeline/symbols.ts';
import type { FlowFilter } from './flow-filter.ts';
import { givenUpLoss, samplingLoss } from './sampling.ts';
import type { Loss } from './stream.ts';
import { diagnosisOf, judgedUnder, ofCauses } from './verdicts.ts';

/** What came of a recording. */
export interface Replayed {
  readonly host: HostRecord;
  readonly incidents: readonly Incident[];
  readonly losses: readonly Loss[];
  readonly eventsSeen: number;
  /** Times of the first and the last record. */
  readonly first: Mono;
  readonly last: Mono;
  /** The incident that an event belongs to, where one is known. */
  readonly incidentOf: (event: DropEvent | CallEvent) => { readonly id: string; readonly cause: string } | undefined;
}

export interface ReplayOptions {
  readonly filter: FlowFilter;
  readonly onlyCauses: readonly string[];
  /** Incidents as they form, at the time of the recording. */
  readonly onIncidents?: (incidents: readonly Incident[], time: Mono) => void;
  /** Every event, decoded: for exports. */
  readonly onEvent?: (event: Event) => void;
  /** So many records were judged. */
  readonly onRecord?: (done: number) => void;
}

/** Judges a recording as the live run did, at the same points: the same records give the same incidents. */
export function replay(records: readonly RawRecord[], options: ReplayOptions): Replayed | undefined {
  const host = records.find((r) => r.record === 'host');
  if (host === undefined) return undefined;
  const symbols = symbolsOf(records.flatMap((r) => (r.record === 'symbols' ? [r.text] : [])).join('\n'));
  const timeline = createTimeline(host, () => symbols);
  const diagnosis = diagnosisOf(host, host.netns.map((n) => n.inode));
  const judgedEvent = judgedUnder(options.filter);
  const losses: Loss[] = [];
  let eventsSeen = 0;
  let last = host.time;
  let judged = host.time;

  const add = (event: Event): void => {
    if (!judgedEvent(event)) return;
    if (event.kind === 'drop' || event.kind === 'call') eventsSeen += 1;
    if (event.kind === 'missed') losses.push({ source: event.source, count: event.count, text: event.text });
    options.onEvent?.(event);
    diagnosis.add(event);
  };
  const show = (incidents: readonly Incident[]): readonly Incident[] => ofCauses(options.onlyCauses, incidents);

  for (const [index, record] of records.entries()) {
    options.onRecord?.(index);
    if (record.time > last) last = record.time;
    if (record.record === 'tick') {
      judged = record.time;
      const news = show(diagnosis.judge(record.time, record.last).incidents);
      if (news.length > 0) options.onIncidents?.(news, record.time);
      continue;
    }
    for (const event of timeline.decode(record)) add(event);
  }
  for (const event of timeline.flush()) add(event);
  // a recording that was cut has no last judgement
  if (last > judged) diagnosis.judge(last, true);
  losses.push(...samplingLoss(diagnosis.undescribed, losses), ...givenUpLoss(diagnosis.givenUp));
  return { host, incidents: show(diagnosis.incidents(last > judged ? last : judged)), losses, eventsSeen, first: host.time, last: mono(last), incidentOf: diagnosis.incidentOf };
}
