import { clock, counted, grouped, lookOf, type ReportInput } from '../../report/index.ts';
import { m, NOTHING, type Markup } from './markup.ts';
import { areaClass } from './style.ts';

/** Bars across the page; finer steps are added up. */
const BARS = 240;
const ROWS = 10;
const HEIGHT = 40;
/** Times named on the axis: so many have room on a phone. */
const TICKS = 5;

/** Losses over time, a row for each cause, and the counters that moved below them, on one clock. */
export function timelineSection(input: ReportInput): Markup {
  const { timeline, counters = [] } = input;
  const from = Date.parse(input.from);
  const whole = Date.parse(input.to) - from;
  const length = whole > 0 ? whole : 1;
  const normal = new Set(input.incidents.filter((i) => i.severity === 'info').map((i) => i.cause.id));
  const matter = new Set(input.incidents.filter((i) => i.severity !== 'info').map((i) => i.cause.id));
  const rows = (timeline?.series ?? [])
    .map((s) => ({ cause: s.cause, counts: s.counts, sum: s.counts.reduce((a, b) => a + b, 0), last: normal.has(s.cause) && !matter.has(s.cause) }))
    .filter((s) => s.sum > 0)
    .sort((a, b) => Number(a.last) - Number(b.last) || b.sum - a.sum);
  if (rows.length === 0 && counters.length === 0) return NOTHING;
  const stepMs = timeline?.stepMs ?? 1000;
  const each = Math.max(1, Math.ceil(Math.max(0, ...rows.map((r) => r.counts.length)) / BARS));
  const ticks = Number.isNaN(whole) ? [] : ticksOf(from, length);
  const grid = m`${ticks.map(({ at }) => m`<line class="tick" x1="${at * 10}" x2="${at * 10}" y1="0" y2="${HEIGHT}"/>`)}`;
  const shown = rows.slice(0, ROWS).map((row) => lossRow(row.cause, row.counts, row.sum, each, (1000 * stepMs * each) / length, duration(stepMs * each), grid));
  const drawn = new Set(rows.map((r) => r.cause));
  const timeless = input.incidents.filter((i) => i.severity !== 'info' && !drawn.has(i.cause.id));
  const notes = [
    ...(rows.length > ROWS ? [`${counted(rows.length - ROWS, 'cause')} with fewer losses ${rows.length - ROWS === 1 ? 'is' : 'are'} not drawn.`] : []),
    ...(timeless.length > 0 && rows.length > 0 ? [`Not drawn, as a count tells nothing of when: ${[...new Set(timeless.map((i) => i.cause.id))].join(', ')}.`] : []),
    ...(rows.length > 0 ? [`A bar is what was lost in ${duration(stepMs * each)}; the tallest of a row is its peak, each row has its own scale.`] : []),
    ...(counters.length > 0 ? [`A counter's line goes from its first to its last reading.`] : []),
    'Times are UTC.',
  ];
  return m`<section id="when"><h2>When</h2>${shown}${counters.length > 0 ? m`<h3 class="small">Counters of the kernel that moved</h3>${counters.map((c) => counterRow(c.name, c.points, length, grid))}` : NOTHING}${axis(ticks)}<p class="soft">${notes.join(' ')}</p></section>`;
}

interface Tick {
  /** Percent of the width. */
  readonly at: number;
  readonly text: string;
}

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 3000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 43_200_000, 86_400_000];

/** Round times: `from` and `length` in ms since 1970. */
function ticksOf(from: number, length: number): Tick[] {
  const step = STEPS.find((s) => length / s <= TICKS) ?? Math.ceil(length / TICKS / 86_400_000) * 86_400_000;
  const ticks: Tick[] = [];
  for (let time = Math.ceil(from / step) * step; time <= from + length && ticks.length <= TICKS; time += step) {
    const iso = new Date(time).toISOString();
    const digits = step >= 1000 ? 8 : step >= 100 ? 10 : 12;
    ticks.push({ at: Number((((time - from) / length) * 100).toFixed(2)), text: step >= 86_400_000 ? iso.slice(5, 10) : step >= 60_000 ? iso.slice(11, 16) : clock(iso).slice(0, digits) });
  }
  return ticks;
}

function axis(ticks: readonly Tick[]): Markup {
  const words = ticks.map(({ at, text }) => m`<text x="${at}%" y="13" text-anchor="${at < 6 ? 'start' : at > 94 ? 'end' : 'middle'}">${text}</text>`);
  return m`<div class="axis" aria-hidden="true"><svg width="100%" height="18">${words}</svg></div>`;
}

/** `50 ms`, `2 s`, `1 min`. */
function duration(ms: number): string {
  if (ms < 1000) return `${Number(ms.toFixed(2))} ms`;
  return ms % 60_000 === 0 ? `${ms / 60_000} min` : `${Number((ms / 1000).toFixed(2))} s`;
}

function lossRow(cause: string, counts: readonly number[], sum: number, each: number, width: number, step: string, grid: Markup): Markup {
  const bars: number[] = [];
  for (let i = 0; i < counts.length; i += each) bars.push(counts.slice(i, i + each).reduce((a, b) => a + b, 0));
  const peak = Math.max(1, ...bars);
  const path = bars
    .map((value, i) => {
      if (value <= 0) return '';
      // whatever was lost is at least a line
      const height = Math.max(1.5, (value / peak) * (HEIGHT - 1));
      return `M${(i * width).toFixed(2)} ${HEIGHT}v${(-height).toFixed(2)}h${Math.max(1.5, width * 0.9).toFixed(2)}v${height.toFixed(2)}z`;
    })
    .join('');
  return m`<div class="row ${areaClass(lookOf(cause))}"><div><span class="area">${cause}</span></div><svg viewBox="0 0 1000 ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${`${cause}: ${grouped(sum)} lost, at most ${grouped(peak)} in ${step}`}">${grid}<path class="fill" d="${path}"/></svg><div class="peak"><span>${grouped(sum)} lost</span> <span>peak ${grouped(peak)}</span></div></div>`;
}

function counterRow(name: string, points: readonly (readonly [number, number])[], length: number, grid: Markup): Markup {
  const sorted = points.filter(([ms, value]) => Number.isFinite(ms) && Number.isFinite(value)).toSorted((a, b) => a[0] - b[0]);
  const first = sorted[0]?.[1] ?? 0;
  const last = sorted.at(-1)?.[1] ?? 0;
  const values = sorted.map((p) => p[1]);
  if (values.length === 0) return NOTHING;
  const low = Math.min(...values);
  const range = Math.max(1, Math.max(...values) - low);
  // a counter holds its value until it is read again
  const path = sorted.map(([ms, value], i) => {
    const x = Math.min(1000, Math.max(0, (ms / length) * 1000)).toFixed(2);
    const y = (HEIGHT - 2 - ((value - low) / range) * (HEIGHT - 4)).toFixed(2);
    return i === 0 ? `M${x} ${y}` : `H${x}V${y}`;
  });
  return m`<div class="row count"><div class="mono">${name}</div><svg viewBox="0 0 1000 ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${`${name} went from ${grouped(first)} to ${grouped(last)}`}">${grid}<path class="edge" d="${path.join('')}"/></svg><div class="peak"><span>${grouped(first)} → ${grouped(last)}</span></div></div>`;
}
