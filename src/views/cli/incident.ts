import { printable } from '../../base/text.ts';
import type { Incident, Remedy } from '../../model/incident.ts';
import { clock, counted, lossCount, grouped, reportOf, victimShort, type Diagram, type Report } from '../../report/index.ts';
import { diagramLines } from './diagram.ts';
import { createPainter, fit, wrap, type Painter, type TextOptions } from './text.ts';

export interface IncidentOptions extends TextOptions {
  /** Verdict, culprit, fix and why only: for a stream of incidents as they form. */
  readonly compact?: boolean;
  readonly diagram?: Diagram;
}

/** One incident as lines of text: verdict first, then culprit, the command that helps, why, and the proof. */
export function renderIncident(incident: Incident, options: IncidentOptions): string {
  const painter = createPainter(options);
  const report = reportOf(incident, options.now ?? Date.parse(incident.last), options.diagram);
  return painter.join(incidentLines(report, painter, options.compact ?? false));
}

/** A loss that goes on: one line. */
export function renderUpdate(incident: Incident, before: number, options: TextOptions): string {
  const painter = createPainter(options);
  const grew = incident.count - before;
  const count = grew > 0 ? `+${lossCount(incident, grew)}, ${grouped(incident.count)} by now` : lossCount(incident);
  const line = `${clock(incident.last)}  [${incident.id}] ${count}: ${incident.cause.id}, ${victimShort(incident)}`;
  return painter.join([painter.style('gray', fit(painter.outside(line), painter.width, painter.unicode))]);
}

export function incidentLines(report: Report, painter: Painter, compact: boolean): string[] {
  const { outside, style, width } = painter;
  const { severityLook: severity } = report;
  const lines: string[] = [];
  const prose = (text: string, indent = ''): void => void lines.push(...wrap(outside(text), width, indent, `${indent}  `));
  const plain = (text: string): void => void lines.push(...wrap(outside(text), width));

  const head = wrap(`${severity.word}  ${outside(report.title)}`, width);
  lines.push(...head.map((line, i) => (i === 0 ? `${style(['bold', severity.ansi], severity.word)}${style('bold', line.slice(severity.word.length))}` : style('bold', line))));
  plain(report.loss);
  lines.push(...wrap(outside(`${report.when}; ${report.sure}; ${report.causeId} [${report.id}]`), width).map((l) => style('gray', l)));
  lines.push('');
  labelled(lines, painter, `Culprit (${report.culprit.kind}):`, report.culprit.text);
  remedies(lines, painter, compact ? report.todo.slice(0, 1) : report.todo, report.severity === 'info');
  lines.push('');
  labelled(lines, painter, 'Why:', report.explanation);
  if (compact) return lines;

  section(lines, painter, 'Evidence', report.because.length > 0);
  for (const group of report.because) {
    const source = outside(group.source);
    if (group.lines.length === 1 && group.lines[0]?.time === undefined) {
      prose(`${source}: ${group.lines[0]?.text ?? ''}`, '  ');
      continue;
    }
    lines.push(`  ${source}:`);
    for (const { time, text } of group.lines) prose(time === undefined ? text : `${time}  ${text}`, '    ');
  }
  section(lines, painter, 'Ruled out', report.ruledOut.length > 0);
  for (const { cause, because } of report.ruledOut) prose(`${cause}: ${because}`, '  ');
  section(lines, painter, 'Cannot tell', report.cannotTell.length > 0);
  for (const { cause, because, wouldTell } of report.cannotTell) {
    prose(`${cause}: ${because}`, '  ');
    if (wouldTell !== '') prose(`would tell: ${wouldTell}`, '    ');
  }
  section(lines, painter, 'Where', true);
  const wide = Math.max(...report.where.map((w) => w.label.length));
  for (const { label, value } of report.where) lines.push(`  ${label.padEnd(wide)}  ${outside(value)}`);
  section(lines, painter, 'Stack, innermost first', report.stack.length > 0);
  for (const frame of report.stack) lines.push(`  ${outside(frame)}`);
  section(lines, painter, 'Flows', report.flows.length > 0);
  for (const flow of report.flows) {
    const who = [flow.who, flow.source === '' ? '' : `${flow.protocol} ${flow.source} to ${flow.destination}`, flow.failed].filter((x) => x !== '').join(', ');
    prose(`${counted(flow.count, 'time')}: ${who === '' ? 'not known' : who}`, '  ');
  }
  if (report.diagram !== undefined) {
    section(lines, painter, outside(report.diagram.title), true);
    lines.push(...diagramLines(report.diagram, width - 2, painter.unicode, outside).map((l) => `  ${l}`));
  }
  return lines;
}

function section(lines: string[], painter: Painter, title: string, any: boolean): void {
  if (any) lines.push('', painter.style('bold', title));
}

/** The label, and the text after it; wrapped lines hang under the text. */
function labelled(lines: string[], painter: Painter, label: string, text: string): void {
  const [first = '', ...rest] = wrap(`${label} ${painter.outside(text)}`, painter.width, '', '  ');
  lines.push(`${painter.style('bold', label)}${first.slice(label.length)}`, ...rest);
}

function remedies(lines: string[], painter: Painter, todo: readonly Remedy[], normal: boolean): void {
  if (todo.length === 0) {
    lines.push('');
    labelled(lines, painter, 'Fix:', normal ? 'none needed; this is normal' : 'whydrop knows none for this');
    return;
  }
  todo.forEach((remedy, i) => {
    lines.push('');
    labelled(lines, painter, i === 0 ? 'Fix:' : 'Or:', `${remedy.text} (${remedy.risk} risk)`);
    // on lines of their own and never wrapped, so that they can be copied whole
    if (remedy.command !== undefined) lines.push('', `    ${painter.style(['bold', 'green'], painter.outside(remedy.command))}`);
    if (remedy.undo !== undefined) lines.push('  to undo it:', `    ${painter.outside(remedy.undo)}`);
    if ([remedy.command, remedy.undo].some((c) => c !== undefined && printable(c) !== c)) lines.push('  (a name in it holds control characters, shown escaped: the command does not work as it is)');
  });
}

