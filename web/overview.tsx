import { Fragment, type JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { grouped, lookOf, lossCount, sentence, short, span, victimShort, culpritWord } from '../src/report/index.ts';
import type { ListedIncident, SourceState } from '../src/views/web/protocol.ts';
import { marksOf, NARROWEST } from './marks.ts';
import { Area, areaOf, Badge, Section } from './parts.tsx';
import { AXIS, Plot, RIGHT, type Line, type Range } from './plot.tsx';

export interface OverviewProps {
  readonly state: SourceState;
  readonly range: Range;
  readonly onRange: (range: Range) => void;
  readonly open: (id: string) => void;
}

/** The time that the plots show when nothing is chosen: of a live watch the last ten minutes at most. */
export function wholeOf(state: SourceState): readonly [number, number] {
  const from = state.id === 'live' ? Math.max(state.from, state.to - 600_000) : state.from;
  return [from / 1000, Math.max(from + 1000, state.to) / 1000];
}

export const inRange = (incident: ListedIncident, range: Range): boolean => range === undefined || (Date.parse(incident.first) / 1000 <= range[1] && Date.parse(incident.last) / 1000 >= range[0]);

export function Overview({ state, range, onRange, open }: OverviewProps): JSX.Element {
  const whole = wholeOf(state);
  const matter = state.incidents.filter((i) => i.severity !== 'info' && inRange(i, range));
  const normal = state.incidents.filter((i) => i.severity === 'info' && inRange(i, range));
  return (
    <>
      <Verdict state={state} matter={matter.length} />
      <Times state={state} whole={whole} range={range} onRange={onRange} open={open} />
      {matter.length > 0 && <Section title="What was lost, most harm first"><Ranked incidents={matter} open={open} /></Section>}
      {range !== undefined && matter.length + normal.length === 0 && <p class="none">No incident in the time chosen.</p>}
      {normal.length > 0 && <Section title="Seen, and normal"><Ranked incidents={normal} open={open} /></Section>}
      {state.unlisted > 0 && <p class="soft">{grouped(state.unlisted)} more incidents are not listed.</p>}
    </>
  );
}

function Verdict({ state, matter }: { readonly state: SourceState; readonly matter: number }): JSX.Element {
  const worst = state.incidents[0];
  const ran = span(state.to - state.from);
  if (state.id === 'none') return <div class="none"><h1>Nothing to look at yet</h1><p>This whydrop may not watch (it says why in its terminal). Drop a recording onto this page, or choose one above.</p></div>;
  if (worst === undefined || worst.severity === 'info') {
    const blind = state.losses.length > 0 || state.probes.some((p) => p.state === 'unavailable');
    return <><h1>Nothing was lost that matters</h1><p class="none">In {ran} no packet and no call was lost that matters.{blind && ' Mind what was not seen: it is listed under Host.'}</p></>;
  }
  return (
    <>
      <h1>{sentence(worst.cause.title)}{matter > 1 && <span class="soft">, and {matter - 1} other {matter === 2 ? 'incident' : 'incidents'}</span>}</h1>
      <p class="meta">{state.netns.length === 0 ? 'all namespaces' : state.netns.slice(0, 4).map((n) => n.name ?? `net:[${n.inode}]`).join(', ')} · {ran}{state.id === 'live' ? ', watching' : ''}</p>
    </>
  );
}

function Times({ state, whole, range, onRange, open }: { readonly state: SourceState; readonly whole: readonly [number, number]; readonly range: Range; readonly onRange: (r: Range) => void; readonly open: (id: string) => void }): JSX.Element {
  const { times, lines, stepMs } = useMemo(() => lossLines(state, range ?? whole), [state, range]);
  const counters = useMemo(() => state.counters.slice(0, 6).map((c) => counterLine(c, state.timelineFrom)), [state]);
  const [from, to] = range ?? whole;
  const plot = usePlotWidth();
  const marks = useMemo(() => marksOf(state.incidents.filter((i) => i.severity !== 'info' && inRange(i, [from, to])), from, to, plot), [state, from, to, plot]);
  return (
    <section class="times" aria-labelledby="when">
      <div class="bar">
        <h2 id="when">When</h2>
        <div class="zoom" role="group" aria-label="Time shown">
          <button type="button" onClick={() => onRange(zoom(range ?? whole, 0.5, whole))} aria-label="Zoom in"><span aria-hidden="true">+</span></button>
          <button type="button" onClick={() => onRange(zoom(range ?? whole, 2, whole))} aria-label="Zoom out"><span aria-hidden="true">−</span></button>
          <button type="button" onClick={() => onRange(undefined)} disabled={range === undefined}>All</button>
        </div>
      </div>
      {lines.length === 0 && counters.length === 0 ? <p class="soft">No loss so far. Losses are drawn here by the second, counters that move below them.</p> : (
        <>
          <ul class="legend">{lines.map((l) => <li key={l.label} class={areaOf(l.label)}><span class="area">{l.label}</span> <span class="soft">{grouped(l.values.reduce<number>((a, b) => a + (b ?? 0), 0))}</span></li>)}</ul>
          <p class="unit">losses {stepMs === 1000 ? 'a second' : stepMs < 1000 ? `in ${stepMs} ms` : `in ${span(stepMs)}`}</p>
          <Plot times={times} lines={lines} range={range} whole={whole} onRange={onRange} height={190} showTimes={true} filled={true} label={`Losses over time. ${lines.map((l) => `${l.label}: ${grouped(l.values.reduce<number>((a, b) => a + (b ?? 0), 0))}`).join('; ')}`} />
          <div class="marks" style={{ height: `${(1 + Math.max(0, ...marks.map((k) => k.lane))) * 28}px` }} role="group" aria-label="Incidents on the time line">
            {marks.map(({ incidents, lane, left, width, room }) => {
              const worst = incidents[0]!;
              const several = incidents.length > 1;
              const causes = [...new Set(incidents.map((i) => i.cause.title))];
              const words = several ? `${incidents.length} incidents: ${causes.slice(0, 3).join('; ')}${causes.length > 3 ? '; …' : ''}` : `${sentence(worst.cause.title)}, ${lossCount(worst)}`;
              const inside = several || width * plot > READABLE;
              return <Fragment key={worst.id}><button type="button" class={`mark${several ? ' several' : ''} sev-${worst.severity} ${areaOf(worst.cause.id)}`} style={{ top: `${lane * 28 + 2}px`, left: `calc(${AXIS}px + (100% - ${AXIS + RIGHT}px) * ${left.toFixed(5)})`, width: `max(${NARROWEST}px, calc((100% - ${AXIS + RIGHT}px) * ${width.toFixed(5)}))` }} onClick={() => (several ? closer(incidents, [from, to], whole, onRange) : open(worst.id))} title={words} aria-label={several ? words : `Incident: ${worst.cause.title}, ${lossCount(worst)}`}><span aria-hidden="true">{several ? (width * plot > READABLE * 1.6 ? `${incidents.length} incidents` : incidents.length) : inside ? worst.cause.title : ''}</span></button>{!inside && (room - width) * plot > READABLE * 1.6 && <span class="beside" aria-hidden="true" style={{ top: `${lane * 28 + 2}px`, left: `calc(${AXIS}px + (100% - ${AXIS + RIGHT}px) * ${(left + width).toFixed(5)} + 6px)`, width: `${Math.floor((room - width) * plot - 14)}px` }}>{worst.cause.title}</span>}</Fragment>;
            })}
          </div>
          {counters.map((c) => (
            <div key={c.name} class="counter">
              <p class="unit"><span class="mono">{c.name}</span> {grouped(c.first)} → {grouped(c.last)}</p>
              <Plot times={c.times} lines={c.lines} range={range} whole={whole} onRange={onRange} height={70} showTimes={false} filled={false} label={`${c.name} went from ${c.first} to ${c.last}`} />
            </div>
          ))}
          <p class="soft hint">Drag over a plot to look closer; what is listed below follows. Times are UTC.</p>
        </>
      )}
    </section>
  );
}

/** Width of the plots, px: that of the page without its margins and the plots' own. */
function usePlotWidth(): number {
  const measure = (): number => Math.min(1020, document.documentElement.clientWidth) - (innerWidth <= 640 ? 28 : 40) - AXIS - RIGHT;
  const [width, setWidth] = useState(measure);
  useEffect(() => {
    const resized = (): void => setWidth(measure());
    addEventListener('resize', resized);
    return () => removeEventListener('resize', resized);
  }, []);
  return width;
}

/** A narrower mark would hold a letter or two, px. */
const READABLE = 56;

/** Looks closer at several incidents; where that parts nothing, leads to them in the list. */
function closer(incidents: readonly ListedIncident[], [from, to]: readonly [number, number], whole: readonly [number, number], onRange: (r: Range) => void): void {
  const first = Math.min(...incidents.map((i) => Date.parse(i.first))) / 1000;
  const last = Math.max(...incidents.map((i) => Date.parse(i.last))) / 1000;
  const side = Math.max(0.05, (last - first) * 0.1);
  const range = [Math.max(whole[0], first - side), Math.min(whole[1], last + side)] as const;
  if (range[1] - range[0] < (to - from) * 0.8) onRange(range);
  else document.querySelector<HTMLElement>(`a.incident[href="#/incident/${CSS.escape(incidents[0]!.id)}"]`)?.focus();
}

export function zoom([from, to]: readonly [number, number], factor: number, whole: readonly [number, number]): Range {
  const middle = (from + to) / 2;
  const half = Math.max(0.05, ((to - from) / 2) * factor);
  return half * 2 >= whole[1] - whole[0] ? undefined : [Math.max(whole[0], middle - half), Math.min(whole[1], middle + half)];
}

/** Losses by cause in steps that suit the time shown: fine steps are added up. */
function lossLines(state: SourceState, shown: readonly [number, number]): { readonly times: readonly number[]; readonly lines: readonly Line[]; readonly stepMs: number } {
  const { timeline } = state;
  if (timeline === undefined) return { times: [], lines: [], stepMs: 1000 };
  const each = Math.max(1, Math.ceil(((shown[1] - shown[0]) * 1000) / timeline.stepMs / MOST_STEPS));
  const stepMs = timeline.stepMs * each;
  // steps stay where they are while time goes on
  const skip = Math.floor(state.timelineFrom / timeline.stepMs) % each;
  const length = Math.ceil((Math.max(0, ...timeline.series.map((s) => s.counts.length)) + skip) / each);
  const times = Array.from({ length: length + 1 }, (_, i) => (state.timelineFrom + (i * each - skip) * timeline.stepMs) / 1000);
  const total = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
  const lines = timeline.series
    .filter((s) => total(s.counts) > 0)
    .toSorted((a, b) => total(b.counts) - total(a.counts))
    .slice(0, 10)
    .map((s) => {
      const values = Array.from({ length: length + 1 }, () => 0);
      s.counts.forEach((n, i) => {
        const at = Math.floor((i + skip) / each);
        values[at] = (values[at] ?? 0) + n;
      });
      return { label: s.cause, cause: s.cause, values };
    });
  return { times, lines, stepMs };
}

const MOST_STEPS = 300;

function counterLine(counter: SourceState['counters'][number], from: number): { readonly name: string; readonly first: number; readonly last: number; readonly times: readonly number[]; readonly lines: readonly Line[] } {
  return {
    name: counter.name, first: counter.points[0]?.[1] ?? 0, last: counter.points.at(-1)?.[1] ?? 0,
    times: counter.points.map(([ms]) => (from + ms) / 1000),
    lines: [{ label: counter.name, values: counter.points.map(([, value]) => value) }],
  };
}

function Ranked({ incidents, open }: { readonly incidents: readonly ListedIncident[]; readonly open: (id: string) => void }): JSX.Element {
  return (
    <ol class="ranked">
      {incidents.map((i) => (
        <li key={i.id} class={`sev-${i.severity} ${areaOf(i.cause.id)}`}>
          <span><Badge severity={i.severity} /></span>
          <span class="n">{lossCount(i)}</span>
          <span class="what">
            <a class="incident" href={`#/incident/${i.id}`} onClick={(e) => { e.preventDefault(); open(i.id); }}>{sentence(i.cause.title)}</a> <Area cause={i.cause.id} />
            <span class="who">{victimShort(i)}{i.culprit.text !== '' && <> · {lookOf(i.cause.id).word === i.culprit.text ? '' : `${culpritWord(i.culprit.kind)}: `}{i.culprit.text}</>}</span>
            {i.flows > 1 && <span class="who">{short(i.flows)} flows</span>}
          </span>
        </li>
      ))}
    </ol>
  );
}
