import type { Culprit, Incident, Remedy, Severity, Victim, Where } from '../model/incident.ts';
import type { Diagram } from './diagram.ts';
import { lossWords, victimWords } from './losses.ts';
import { confidenceWord, culpritWord, lookOf, SEVERITY, type AreaLook, type SeverityLook } from './vocabulary.ts';
import { age, byteSize, clock, sentence, span } from './words.ts';

/** An incident made ready for drawing: all sentences are here, a view only lays them out (and escapes them). */
export interface Report {
  readonly id: string;
  readonly causeId: string;
  readonly severity: Severity;
  readonly severityLook: SeverityLook;
  readonly area: AreaLook;
  readonly state: Incident['state'];
  readonly count: number;
  /** `A firewall rule dropped it`. */
  readonly title: string;
  /** `40 packets of openvpn (pid 4242) to 10.0.0.1:1194 lost`. */
  readonly loss: string;
  /** `certain (0.97)`. */
  readonly sure: string;
  /** `3 s ago`. */
  readonly age: string;
  /** `first 23:54:01, last 23:54:03 (2 s), 5.2 kB`. */
  readonly when: string;
  /** One line with victim, culprit, count and age. */
  readonly headline: string;
  readonly explanation: string;
  readonly culprit: { readonly kind: string; readonly text: string; readonly fields: readonly Labelled[] };
  readonly todo: readonly Remedy[];
  readonly because: readonly EvidenceGroup[];
  readonly ruledOut: Incident['ruledOut'];
  readonly cannotTell: Incident['cannotTell'];
  readonly where: readonly Labelled[];
  /** Innermost first. */
  readonly stack: readonly string[];
  readonly flows: readonly FlowRow[];
  readonly diagram?: Diagram;
}

export interface Labelled {
  readonly label: string;
  readonly value: string;
}

export interface EvidenceGroup {
  readonly source: string;
  readonly lines: readonly { readonly time?: string; readonly text: string }[];
}

export interface FlowRow {
  readonly who: string;
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly failed: string;
  readonly count: number;
}

/** `now`: milliseconds since 1970, for ages. */
export function reportOf(incident: Incident, now: number, diagram?: Diagram): Report {
  const title = sentence(incident.cause.title);
  const loss = lossWords(incident);
  const when = age(incident.last, now);
  return {
    id: incident.id,
    causeId: incident.cause.id,
    severity: incident.severity,
    severityLook: SEVERITY[incident.severity],
    area: lookOf(incident.cause.id),
    state: incident.state,
    count: incident.count,
    title,
    loss,
    sure: `${confidenceWord(incident.confidence)} (${incident.confidence.toFixed(2)})`,
    age: when,
    when: whenText(incident),
    headline: `${title}: ${loss}, ${when}; ${culpritWord(incident.culprit.kind)}: ${incident.culprit.text}`,
    explanation: incident.explanation,
    culprit: { kind: culpritWord(incident.culprit.kind), text: incident.culprit.text, fields: culpritFields(incident.culprit) },
    todo: incident.remedies,
    because: grouped(incident),
    ruledOut: incident.ruledOut,
    cannotTell: incident.cannotTell,
    where: whereText(incident.where),
    stack: incident.where.stack ?? [],
    flows: incident.victims.map(flowRow),
    ...(diagram === undefined ? {} : { diagram }),
  };
}

function whenText(incident: Incident): string {
  const ms = Date.parse(incident.last) - Date.parse(incident.first);
  const took = Number.isNaN(ms) || ms < 50 ? '' : `, last ${clock(incident.last)} (${span(ms)})`;
  return `first ${clock(incident.first)}${took}${incident.bytes > 0 ? `, ${byteSize(incident.bytes)}` : ''}${incident.state === 'closed' ? ', over' : ''}`;
}

/** Fields of the culprit's kind that are short enough to be read; `text` says the whole. */
function culpritFields(culprit: Culprit): Labelled[] {
  const fields: Labelled[] = [];
  for (const [label, value] of Object.entries(culprit)) {
    if (label === 'kind' || label === 'text' || value === undefined || value === null) continue;
    const text = typeof value === 'object' ? JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? v.toString() : v)) : String(value);
    if (text !== '' && text.length <= 400) fields.push({ label: label.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`), value: text });
  }
  return fields;
}

/** Evidence by source, sources in the order in which they first speak. */
function grouped(incident: Incident): EvidenceGroup[] {
  const groups = new Map<string, { time?: string; text: string }[]>();
  for (const { source, time, text } of incident.evidence) {
    const lines = groups.get(source) ?? [];
    groups.set(source, lines);
    lines.push(time === undefined ? { text } : { time: clock(time), text });
  }
  return [...groups].map(([source, lines]) => ({ source, lines }));
}

export function netnsText(netns: Where['netns']): string {
  // a number that no namespace has: the files of a post-mortem do not tell it
  if (netns.inode < 0x1000_0000 && netns.inode !== 0) return netns.name ?? 'not told';
  return netns.name === undefined ? `net:[${netns.inode}]` : `${netns.name} (net:[${netns.inode}])`;
}

function whereText(where: Where): Labelled[] {
  const at = where.symbol === undefined ? undefined : where.symbol;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['namespace', netnsText(where.netns)],
    ['interface', where.interface],
    ['hook', where.hook],
    ['drop reason', where.reason],
    ['function', at],
  ];
  return rows.flatMap(([label, value]) => (value === undefined ? [] : [{ label, value }]));
}

function flowRow(victim: Victim): FlowRow {
  return {
    who: victimWords(victim) ?? '',
    protocol: victim.flow?.protocol ?? '',
    source: victim.flow?.source ?? '',
    destination: victim.flow?.destination ?? '',
    failed: victim.errno === undefined ? '' : `${victim.syscall ?? 'call'}: ${victim.errno}`,
    count: victim.count,
  };
}
