import type { Incident } from '../../model/incident.ts';
import { byteSize, counted, grouped, lossCount, nothingWords, reportOf, SEVERITY, span, victimShort, type CostLine, type Diagram, type LossLine, type ProbeLine } from '../../report/index.ts';
import { incidentLines } from './incident.ts';
import { columns, createPainter, fit, wrap, type Painter, type TextOptions } from './text.ts';

/** What a run ends with. */
export interface SummaryInput {
  readonly incidents: readonly Incident[];
  readonly loss: readonly LossLine[];
  readonly cost: CostLine;
  /** How long it ran, milliseconds. */
  readonly ran?: number;
  readonly probes?: readonly ProbeLine[];
  readonly diagrams?: ReadonlyMap<string, Diagram>;
}

/** So many are drawn whole, so many more with verdict, culprit, fix and why; the rest keeps its line in the list. */
const WHOLE = 8;
const SHORT = 50;

/** The end of a run: what was lost and why, ranked; what was not seen; what it cost. */
export function renderSummary(summary: SummaryInput, options: TextOptions): string {
  const painter = createPainter(options);
  const { outside, style, width } = painter;
  const matter = summary.incidents.filter((i) => i.severity !== 'info');
  const normal = summary.incidents.filter((i) => i.severity === 'info');
  const lines: string[] = [];
  const took = summary.ran === undefined ? '' : ` in ${span(summary.ran)}`;

  if (matter.length === 0) lines.push(style('bold', `${nothingWords(summary.incidents, summary.loss)}${took}.`));
  else lines.push(style('bold', `${counted(matter.length, 'incident')}${took}, most harm first`));
  if (matter.length > 1) lines.push(...listLines(matter, painter));
  matter.slice(0, SHORT).forEach((incident, i) => {
    lines.push('', style('gray', rule(width, matter.length > 1 ? `${i + 1} of ${matter.length}` : '')));
    lines.push(...incidentLines(reportOf(incident, options.now ?? Date.parse(incident.last), summary.diagrams?.get(incident.id)), painter, i >= WHOLE));
  });
  if (matter.length > SHORT) lines.push('', `${counted(matter.length - SHORT, 'more incident')}: the details are in the stream (--json) or a recording.`);
  if (matter.length > 0) lines.push('', style('gray', rule(width, '')));

  if (normal.length > 0) {
    lines.push('', style('bold', `Seen and normal (${normal.length})`));
    lines.push(...listLines(normal, painter));
  }
  if (summary.loss.length > 0) {
    lines.push('', style('bold', 'What whydrop itself missed'));
    for (const loss of summary.loss) lines.push(...wrap(outside(`${loss.source}: ${loss.text}${loss.count > 0 ? ` (${grouped(loss.count)})` : ''}`), width, '  '));
  }
  const blind = (summary.probes ?? []).filter((p) => p.state === 'unavailable');
  if (blind.length > 0) {
    lines.push('', style('bold', 'Not watched'));
    for (const probe of blind) lines.push(...probeLines(probe, painter));
  }
  lines.push('', style('gray', costText(summary.cost)));
  return painter.join(lines);
}

export function costText(cost: CostLine): string {
  return `Watching took ${cost.cpuSeconds.toFixed(cost.cpuSeconds < 10 ? 2 : 0)} s of CPU and ${byteSize(cost.peakRss)} of memory; ${counted(cost.eventsSeen, 'event')} seen${cost.perEventNs === undefined ? '' : `, ${Math.round(cost.perEventNs)} ns each in the kernel`}.`;
}

function rule(width: number, text: string): string {
  return text === '' ? '-'.repeat(Math.min(width, 72)) : `${'-'.repeat(4)} ${text} ${'-'.repeat(Math.max(0, Math.min(width, 72) - 6 - columns(text)))}`;
}

/** ` 1  CRITICAL  1,240 packets  a firewall rule dropped it: openvpn[4242] → 10.77.0.1:1194` */
function listLines(incidents: readonly Incident[], painter: Painter): string[] {
  const counts = incidents.map((i) => lossCount(i));
  const wide = Math.max(0, ...counts.map((c) => c.length));
  return incidents.map((incident, i) => {
    const look = SEVERITY[incident.severity];
    const lead = `${String(i + 1).padStart(3)}  `;
    const rest = `  ${counts[i]?.padStart(wide) ?? ''}  ${incident.cause.title}: ${victimShort(incident)}`;
    return lead + painter.style(look.ansi, look.word.padEnd(8)) + fit(painter.outside(rest), painter.width - lead.length - 8, painter.unicode);
  });
}

export function probeLines(probe: ProbeLine, painter: Painter): string[] {
  const lines = wrap(painter.outside(`${probe.id}: ${probe.why ?? 'not available'}`), painter.width, '  ');
  if (probe.without !== undefined) lines.push(...wrap(painter.outside(`without it: ${probe.without}`), painter.width, '    '));
  if (probe.fix !== undefined) lines.push(...wrap(painter.outside(`to get it: ${probe.fix}`), painter.width, '    '));
  return lines;
}
