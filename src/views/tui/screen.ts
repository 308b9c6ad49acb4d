import type { Incident } from '../../model/incident.ts';
import { age, byteSize, culpritWord, grouped, lookOf, lossCount, lossWords, netnsText, reportOf, sentence, SEVERITY, short, span, victimShort, type WatchState } from '../../report/index.ts';
import { incidentLines } from '../cli/incident.ts';
import { chunks, columns, createPainter, fit, pad, wrap, type Painter } from '../cli/text.ts';
import { sparkline, total } from './sparkline.ts';
import { current, visible, type Extent, type Ui } from './ui.ts';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** A whole screen: never more than `rows` lines, none wider than `columns`. */
export interface Screen {
  readonly lines: readonly string[];
  /** What the keys scroll by. */
  readonly extent: Extent;
}

export interface Look {
  readonly colour: boolean;
  readonly unicode: boolean;
}

const SMALLEST: Size = { columns: 40, rows: 10 };

/** Draws the screen. Pure: the same state, ui and size give the same lines. */
export function screen(live: WatchState, ui: Ui, size: Size, look: Look): Screen {
  const painter = createPainter({ colour: look.colour, unicode: look.unicode, width: size.columns });
  if (size.columns < SMALLEST.columns || size.rows < SMALLEST.rows) {
    const text = [`needs ${SMALLEST.columns}x${SMALLEST.rows},`, `has ${size.columns}x${size.rows}`].map((l) => fit(l, size.columns, look.unicode));
    return { lines: text.slice(0, size.rows), extent: { lines: 0, page: 1 } };
  }
  const state = ui.held ?? live;
  switch (ui.view) {
    case 'list':
      return listScreen(state, live, ui, size, painter);
    case 'detail':
      return detailScreen(state, live, ui, size, painter);
    case 'help':
      return scrolled(HELP, 'Keys', live, ui, size, painter);
  }
}

function listScreen(state: WatchState, live: WatchState, ui: Ui, size: Size, painter: Painter): Screen {
  const list = visible(state, ui);
  const chosen = current(list, ui);
  const top = [titleLine(state, live, ui, painter), ...rateLines(state, size, painter), ...healthLines(state, painter)];
  const body = size.rows - top.length - 2;
  // rows that the list leaves empty tell more of the incident under the cursor
  const preview = body >= 12 ? previewLines(chosen, state.now, Math.max(4, body - list.length - 1), painter) : [];
  const room = Math.max(1, body - preview.length);
  const at = Math.max(0, list.findIndex((i) => i.id === chosen?.id));
  // the cursor stays away from the edges as long as there is something to see beyond them
  const first = Math.max(0, Math.min(list.length - room, at - Math.floor(room / 2)));
  const rows = list.slice(first, first + room).map((incident) => listLine(incident, incident.id === chosen?.id, state.now, painter));
  if (list.length === 0) rows.push('', ...wrap(painter.outside(emptyText(state, ui)), painter.width - 4, '  ').slice(0, room - 1));
  while (rows.length < room) rows.push('');
  const more = list.length > room ? `${first + 1}-${first + Math.min(room, list.length - first)} of ${list.length}` : `${list.length}`;
  return {
    lines: [...top, headerLine(`incidents (${more})`, ui, painter), ...rows, ...preview, footer(ui, painter, 'Enter open', size)],
    extent: { lines: list.length, page: room },
  };
}

function emptyText(state: WatchState, ui: Ui): string {
  if (ui.filter !== '') return `Nothing matches "${ui.filter}". Esc shows all ${grouped(state.incidents.length)}.`;
  return `Nothing lost so far, ${span(state.now - state.started)}.${state.losses.length > 0 || state.probes.some((p) => p.state === 'unavailable') ? ' Mind what is not seen, above.' : ''}`;
}

function detailScreen(state: WatchState, live: WatchState, ui: Ui, size: Size, painter: Painter): Screen {
  const list = visible(state, ui);
  // an open incident stays open when the filter no longer shows it
  const incident = state.incidents.find((i) => i.id === ui.selected) ?? current(list, ui);
  if (incident === undefined) return listScreen(state, live, { ...ui, view: 'list' }, size, painter);
  const at = list.findIndex((i) => i.id === incident.id);
  const lines = incidentLines(reportOf(incident, state.now, state.diagrams?.get(incident.id)), painter, false);
  return scrolled(lines, `incident ${at < 0 ? '' : `${at + 1} of ${list.length}, `}${lossCount(incident)}, ${age(incident.last, state.now)}`, live, ui, size, painter);
}

function scrolled(all: readonly string[], title: string, live: WatchState, ui: Ui, size: Size, painter: Painter): Screen {
  const page = size.rows - 3;
  const lines = all.flatMap((l) => broken(l, painter));
  const first = Math.max(0, Math.min(ui.scroll, lines.length - page));
  const body = lines.slice(first, first + page);
  while (body.length < page) body.push('');
  const rest = lines.length > first + page ? `${Math.round(((first + page) / lines.length) * 100)} %` : 'end';
  return {
    lines: [titleLine(ui.held ?? live, live, ui, painter), headerLine(`${title} (${rest})`, ui, painter), ...body, footer(ui, painter, 'Esc back', size)],
    extent: { lines: lines.length, page },
  };
}

/** A line that is too long (a command, a rule) goes on in the next; a style that holds for the whole line is kept. */
function broken(line: string, painter: Painter): string[] {
  // eslint-disable-next-line no-control-regex
  const [, indent = '', open = '', text = '', close = ''] = /^( *)((?:\u001b\[[0-9;]*m)*)([^\u001b]*)((?:\u001b\[[0-9;]*m)*)$/.exec(line) ?? [];
  // eslint-disable-next-line no-control-regex
  const bare = line.replace(/\u001b\[[0-9;]*m/g, '');
  if (columns(bare) <= painter.width) return [line];
  const inner = text === '' ? bare.trimStart() : text;
  return chunks(inner, Math.max(10, painter.width - indent.length)).map((c) => (text === '' ? indent + c : indent + open + c + close));
}

function titleLine(state: WatchState, live: WatchState, ui: Ui, painter: Painter): string {
  const where = state.netns.length === 1 ? netnsText(state.netns[0]!) : `${state.netns.length} namespaces`;
  const left = `whydrop  ${state.hostname}  ${state.kernel}  ${where}${state.filter === undefined ? '' : `  only ${state.filter}`}`;
  const right = ui.held === undefined ? `watching ${span(live.now - live.started)}` : `PAUSED, ${span(live.now - ui.held.now)} behind`;
  const text = pad(painter.outside(left), painter.width - right.length - 1, painter.unicode) + ` ${right}`;
  return painter.style(['bold', 'inverse'], text);
}

/** Losses a second: all together, then the causes that lose most. */
function rateLines(state: WatchState, size: Size, painter: Painter): string[] {
  const { unicode, width, style, outside } = painter;
  const peak = (values: readonly number[]): number => Math.max(0, ...values);
  const rows = Math.max(1, Math.min(6, Math.floor((size.rows - 16) / 4)));
  const name = Math.min(26, Math.floor(width * 0.3));
  const graph = width - name - 23;
  const row = (label: string, values: readonly number[], paint: (t: string) => string): string =>
    `${paint(pad(outside(label), name, unicode))} ${pad(short(values.at(-1) ?? 0), 6, unicode, true)}/s ${paint(sparkline(values, graph, unicode))} ${pad(`peak ${short(peak(values))}`, 10, unicode, true)}`;
  const all = total(state.rates);
  const lines = [row('lost a second', all, (t) => style('bold', t))];
  const ranked = state.rates.toSorted((a, b) => sum(b.perSecond) - sum(a.perSecond)).slice(0, rows);
  for (const { cause, perSecond } of ranked) lines.push(row(`  ${cause}`, perSecond, (t) => style(lookOf(cause).ansi, t)));
  return lines;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

/** What watching costs, and what is not seen. */
function healthLines(state: WatchState, painter: Painter): string[] {
  const { style, outside, width, unicode } = painter;
  const { cost } = state;
  const share = state.cpuShare ?? cost.cpuSeconds / Math.max(0.001, (state.now - state.started) / 1000);
  const kernel = cost.perEventNs === undefined ? '' : `, ${Math.round(cost.perEventNs)} ns each in the kernel`;
  const blind = state.probes.filter((p) => p.state === 'unavailable');
  const missed = state.losses.filter((l) => l.count > 0).map((l) => `${l.source} missed ${grouped(l.count)}`);
  const lines = [fit(`cost: ${(share * 100).toFixed(1)} % of a CPU, ${byteSize(cost.peakRss)}; ${grouped(cost.eventsSeen)} events seen${kernel}`, width, unicode)];
  const unseen = [...blind.map((p) => `${p.id} (${p.without ?? p.why ?? 'not available'})`), ...missed];
  lines.push(unseen.length === 0 ? fit(`not seen: nothing; all ${state.probes.length} probes are armed and none lost a record`, width, unicode) : style('yellow', fit(outside(`not seen: ${unseen.join('; ')}`), width, unicode)));
  return lines;
}

function headerLine(title: string, ui: Ui, painter: Painter): string {
  const shown = ui.view === 'list' ? `${title}, by ${ui.sort}${ui.filter === '' && ui.editing === undefined ? '' : `, matching: ${ui.filter}`}` : title;
  const text = fit(painter.outside(shown), painter.width - 8, painter.unicode);
  const line = painter.unicode ? '─' : '-';
  return painter.style('bold', pad(`${line}${line} ${text} ${line.repeat(painter.width)}`, painter.width, painter.unicode).replace(/[…~]$/, line));
}

/** Severity, count, age, what happened, to whom, by whom: columns that grow with the screen. */
function listLine(incident: Incident, chosen: boolean, now: number, painter: Painter): string {
  const { style, outside, unicode, width } = painter;
  const severity = SEVERITY[incident.severity];
  const mark = unicode ? severity.mark : severity.ascii;
  const old = age(incident.last, now).replace(/ ago$/, '').replace('just now', 'now');
  const lead = `${chosen ? '>' : ' '}${mark} ${pad(short(incident.count), 5, unicode, true)} ${pad(old, 6, unicode, true)} `;
  const rest = width - lead.length;
  const wide = width >= 110;
  const narrow = width < 60;
  const what = outside(sentence(incident.cause.title));
  const who = outside(victimShort(incident));
  // the word before a culprit costs a third of its column on a usual screen; the lines below the list have it
  const culprit = outside(`${incident.culprit.kind === 'unknown' || !wide ? '' : `${culpritWord(incident.culprit.kind)}: `}${incident.culprit.text}`);
  // what is short leaves its room to the others
  const shares = wide ? [0.34, 0.26] : [0.45, 0.28];
  const a = pad(what, narrow ? rest : Math.floor(rest * shares[0]!), unicode);
  const b = pad(who, Math.floor(rest * shares[1]!), unicode);
  const c = fit(culprit, Math.max(0, rest - Math.floor(rest * shares[0]!) - Math.floor(rest * shares[1]!) - 2), unicode);
  // three columns of a few letters each would say nothing: a narrow screen has one
  const text = narrow ? a : `${a} ${b} ${c}`;
  if (chosen) return style('inverse', pad(lead + text, width, unicode));
  if (incident.severity === 'info') return style('gray', lead + text);
  return `${style(severity.ansi, lead)}${style(lookOf(incident.cause.id).ansi, a)}${narrow ? '' : ` ${b} ${c}`}`;
}

/** The incident under the cursor in full sentences, so that the cut columns above are no loss; four lines, or as many as there is room. */
function previewLines(incident: Incident | undefined, now: number, room: number, painter: Painter): string[] {
  const { style, outside, width, unicode } = painter;
  if (incident === undefined) return [];
  const edge = style('gray', (unicode ? '─' : '-').repeat(width));
  const full = incidentLines(reportOf(incident, now), painter, true).flatMap((l) => broken(l, painter));
  if (full.length < room) return [edge, ...full];
  const fix = incident.remedies.find((r) => r.command !== undefined);
  const label = (name: string, text: string): string => `${style('bold', name)} ${fit(outside(text), width - name.length - 1, unicode)}`;
  return [
    edge,
    fit(outside(lossWords(incident)), width, unicode),
    label(`culprit (${culpritWord(incident.culprit.kind)}):`, incident.culprit.text),
    fix?.command !== undefined ? label('fix:', fix.command) : label('fix:', incident.remedies[0]?.text ?? (incident.severity === 'info' ? 'none needed; this is normal' : 'none known')),
  ];
}

function footer(ui: Ui, painter: Painter, first: string, size: Size): string {
  const { style, outside, unicode } = painter;
  if (ui.editing !== undefined) return fit(`/${outside(ui.filter)}_   Enter keeps it, Esc takes it back`, size.columns, unicode);
  if (ui.message !== undefined) return style('bold', fit(outside(ui.message), size.columns, unicode));
  const list = ui.view === 'list';
  const keys = list ? [first, '/ filter', 's sort', 'p pause', 'y copy fix', 'e export', '? help', 'q quit'] : [first, unicode ? '↑↓ scroll' : 'j k scroll', 'n next', 'y copy fix', 'u copy undo', 'e export', '? help'];
  const loose = keys.join('   ');
  if (columns(loose) <= size.columns) return style('gray', loose);
  // the ways to the help and out stay, the help names the others
  const always = list ? 3 : 2;
  const kept = [...keys];
  while (kept.length > always && columns(kept.join('  ')) > size.columns) kept.splice(kept.length - (always - 1) - 1, 1);
  return style('gray', fit(kept.join('  '), size.columns, unicode));
}

const HELP: readonly string[] = [
  'In the list',
  '  up, down, j, k       choose an incident (page up, page down, home, end too)',
  '  Enter                open it: verdict, culprit, fix, evidence, stack, flows',
  '  /                    show only what matches: a name, address, port, cause, errno',
  '  Esc                  show all again',
  '  s                    sort by harm, count, newest, cause',
  '',
  'In an incident',
  '  up, down, space      scroll',
  '  n, N                 the next, the one before',
  '  1 to 9               copy the command of that remedy',
  '  Esc, left, q         back to the list',
  '',
  'Everywhere',
  '  y                    copy the command that fixes it (OSC 52; in tmux: set -g set-clipboard on)',
  '  u                    copy the command that undoes the fix',
  '  p                    pause what is shown; watching goes on',
  '  e                    write what is shown to a text file in this directory',
  '  ?                    this help',
  '  q, Ctrl-C            end; the summary is printed',
  '',
  'The graphs show losses a second, newest at the right; heights grow with the square root,',
  'so that small losses stay visible beside large ones. The number at the right is the peak.',
  '',
  'whydrop runs none of these commands itself.',
];
