import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { lookOf } from '../src/report/index.ts';

export interface Line {
  readonly label: string;
  /** Cause id for the colour; counters have none. */
  readonly cause?: string;
  readonly values: readonly (number | null)[];
}

/** Seconds since 1970, from and to; undefined: all there is. */
export type Range = readonly [number, number] | undefined;

interface PlotProps {
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly range: Range;
  readonly whole: readonly [number, number];
  readonly onRange: (range: Range) => void;
  readonly height: number;
  readonly label: string;
  readonly showTimes: boolean;
  readonly filled: boolean;
}

const dark = matchMedia('(prefers-color-scheme: dark)');
const colourOf = (cause: string | undefined): string => (dark.matches ? lookOf(cause ?? 'unknown').dark : lookOf(cause ?? 'unknown').light);
const ink = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
/** Pixels beside a plot, left and right. */
export const AXIS = 56;
export const RIGHT = 30;

/** One plot on the page's clock. Dragging chooses a range, a double click shows all; the keys do the same from outside. */
export function Plot(props: PlotProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const shape = `${props.lines.map((l) => `${l.cause ?? ''} ${l.label}`).join('\n')}${dark.matches}`;

  useEffect(() => {
    const host = box.current!;
    const width = (): number => Math.max(200, host.clientWidth);
    const make = (): uPlot => {
      const { lines, height, showTimes, filled } = latest.current;
      const grid = { stroke: ink('--line'), width: 1 };
      const font = '12px system-ui, sans-serif';
      return new uPlot(
        {
          width: width(), height, legend: { show: false }, padding: [8, RIGHT, showTimes ? 0 : 4, 0],
          cursor: { drag: { x: true, y: false, setScale: false }, sync: { key: 'whydrop' }, points: { show: false } },
          select: { show: true, left: 0, top: 0, width: 0, height: 0 },
          scales: { x: { time: true, range: () => [...(latest.current.range ?? latest.current.whole)] as [number, number] }, y: { range: (_, low, high) => (filled ? [0, Math.max(1, high)] : [low ?? 0, Math.max((low ?? 0) + 1, high ?? 1)]) } },
          axes: [
            { show: showTimes, stroke: ink('--soft'), grid, ticks: grid, font, size: 26, space: 76, values: (_, splits, __, ___, step) => splits.map((v) => new Date(v * 1000).toISOString().slice(11, step < 1 ? 22 : 19)) },
            { stroke: ink('--soft'), grid, ticks: grid, font, size: AXIS, space: 26, values: (_, splits) => splits.map((v) => (v === null || !Number.isInteger(v) ? '' : Intl.NumberFormat('en', { notation: 'compact' }).format(v))) },
          ],
          series: [
            {},
            ...lines.map((line) => ({ label: line.label, stroke: colourOf(line.cause), width: 1.6, points: { show: false }, ...(filled ? { fill: `${colourOf(line.cause)}33` } : {}), paths: uPlot.paths.stepped!({ align: 1 }) })),
          ],
          hooks: {
            setSelect: [(u) => {
              if (u.select.width < 4) return;
              latest.current.onRange([u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')]);
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            }],
          },
        },
        [latest.current.times as number[], ...lines.map((l) => l.values as (number | null)[])],
        host,
      );
    };
    plot.current = make();
    const wider = new ResizeObserver(() => plot.current?.setSize({ width: width(), height: latest.current.height }));
    wider.observe(host);
    const all = (): void => latest.current.onRange(undefined);
    const recolour = (): void => {
      plot.current?.destroy();
      plot.current = make();
    };
    host.addEventListener('dblclick', all);
    dark.addEventListener('change', recolour);
    return () => {
      wider.disconnect();
      host.removeEventListener('dblclick', all);
      dark.removeEventListener('change', recolour);
      plot.current?.destroy();
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData([props.times as number[], ...props.lines.map((l) => l.values as (number | null)[])], true);
  }, [props.times, props.lines, props.range?.[0], props.range?.[1]]);

  return <div class="plot" role="img" aria-label={props.label} ref={box} />;
}
