import { clock, grouped, lookOf, short, type ReportInput } from '../../report/index.ts';
import { m, NOTHING, type Markup } from './markup.ts';
import { areaClass } from './style.ts';

/** Bars across the page; finer steps are added up. */
const BARS = 240;
const ROWS = 10;
const HEIGHT = 40;

/** Losses over time, a row for each cause, and the counters that moved below them, on one clock. */
export function timelineSection(input: ReportInput): Markup {
  const { timeline, counters = [] } = input;
  const from = Date.parse(input.from);
  const whole = Date.parse(input.to) - from;
  const length = whole > 0 ? whole : 1;
  if (timeline === undefined && counters.length === 0) return NOTHING;
  const rows = (timeline?.series ?? [])
    .map((s) => ({ cause: s.cause, counts: s.counts, sum: s.counts.reduce((a, b) => a + b, 0) }))
    .filter((s) => s.sum > 0)
    .sort((a, b) => b.sum - a.sum);
  const shown = rows.slice(0, ROWS).map((row) => lossRow(row.cause, row.counts, row.sum, timeline!.stepMs, length));
  const rest = rows.length > ROWS ? m`<p class="soft">${rows.length - ROWS} causes with fewer losses are not drawn.</p>` : NOTHING;
  const ticks = Number.isNaN(whole) ? [] : [0, 0.25, 0.5, 0.75, 1].map((part) => m`<span>${clock(new Date(from + part * length).toISOString()).slice(0, 8)}</span>`);
  return m`<section><h2>When</h2>${shown}${counters.length > 0 ? m`${counters.map((c) => counterRow(c.name, c.points, length))}` : NOTHING}<div class="axis" aria-hidden="true"><div>${ticks}</div></div>${rest}<p class="soft">Each row has its own scale. Times are UTC.</p></section>`;
}

function lossRow(cause: string, counts: readonly number[], sum: number, stepMs: number, length: number): Markup {
  const each = Math.max(1, Math.ceil(counts.length / BARS));
  const bars: number[] = [];
  for (let i = 0; i < counts.length; i += each) bars.push(counts.slice(i, i + each).reduce((a, b) => a + b, 0));
  const peak = Math.max(1, ...bars);
  const width = (1000 * stepMs * each) / length;
  const path = bars
    .map((value, i) => {
      if (value <= 0) return '';
      // whatever was lost is at least a line
      const height = Math.max(1.5, (value / peak) * (HEIGHT - 1));
      return `M${(i * width).toFixed(2)} ${HEIGHT}v${(-height).toFixed(2)}h${Math.max(1, width * 0.9).toFixed(2)}v${height.toFixed(2)}z`;
    })
    .join('');
  const perSecond = Math.max(...counts) / (stepMs / 1000);
  return m`<div class="row ${areaClass(lookOf(cause))}"><div><span class="area">${cause}</span></div><svg viewBox="0 0 1000 ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${`${cause}: ${grouped(sum)} lost, at most ${short(perSecond)} a second`}"><path class="fill" d="${path}"/></svg><div class="peak">${grouped(sum)} lost,<br>peak ${short(perSecond)}/s</div></div>`;
}

function counterRow(name: string, points: readonly (readonly [number, number])[], length: number): Markup {
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
  return m`<div class="row count"><div class="mono">${name}</div><svg viewBox="0 0 1000 ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${`${name} went from ${grouped(first)} to ${grouped(last)}`}"><path class="edge" d="${path.join('')}"/></svg><div class="peak">${grouped(first)} to<br>${grouped(last)}</div></div>`;
}
