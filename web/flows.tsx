import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from '@tanstack/virtual-core';
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { grouped, type FlowRow } from '../src/report/index.ts';

const COLUMNS: readonly (readonly [keyof FlowRow, string])[] = [['who', 'who'], ['protocol', 'protocol'], ['source', 'from'], ['destination', 'to'], ['failed', 'failed'], ['count', 'count']];
const ROW = 34;
const HEIGHT = 420;

type Sort = { readonly by: keyof FlowRow; readonly up: boolean };

/** Flows of an incident: any number; only what is in view is in the page. */
export function Flows({ flows }: { readonly flows: readonly FlowRow[] }): JSX.Element {
  const [words, setWords] = useState('');
  const [sort, setSort] = useState<Sort>({ by: 'count', up: false });
  const rows = useMemo(() => sorted(found(flows, words), sort), [flows, words, sort]);
  const scroll = useRef<HTMLDivElement>(null);
  const [, redraw] = useState(0);
  const virtual = useRef<Virtualizer<HTMLDivElement, HTMLDivElement>>(undefined);
  const options = {
    count: rows.length, getScrollElement: () => scroll.current, estimateSize: () => ROW, overscan: 8, initialRect: { width: 900, height: HEIGHT },
    scrollToFn: elementScroll, observeElementRect, observeElementOffset, onChange: () => redraw((n) => n + 1),
  };
  virtual.current ??= new Virtualizer(options);
  virtual.current.setOptions(options);
  useEffect(() => virtual.current!._didMount(), []);
  useEffect(() => virtual.current!._willUpdate());
  const height = Math.min(HEIGHT, Math.max(1, rows.length) * ROW + 4);
  return (
    <section>
      <div class="bar">
        <h2>Flows</h2>
        <label class="search">Search <input type="search" value={words} onInput={(e) => setWords(e.currentTarget.value)} aria-describedby="flow-count" /></label>
      </div>
      <p class="soft" id="flow-count" role="status">{rows.length === flows.length ? `${grouped(flows.length)} ${flows.length === 1 ? 'flow' : 'flows'}` : `${grouped(rows.length)} of ${grouped(flows.length)}`}</p>
      <div class="grid" role="table" aria-label="Flows" aria-rowcount={rows.length + 1} aria-colcount={COLUMNS.length}>
        <div role="rowgroup">
          <div class="cells head" role="row" aria-rowindex={1}>
            {COLUMNS.map(([key, label]) => (
              <div role="columnheader" key={key} class={key} aria-sort={sort.by === key ? (sort.up ? 'ascending' : 'descending') : 'none'}>
                <button type="button" onClick={() => setSort({ by: key, up: sort.by === key ? !sort.up : key !== 'count' })}>{label}<span aria-hidden="true">{sort.by === key ? (sort.up ? ' ▲' : ' ▼') : ''}</span></button>
              </div>
            ))}
          </div>
        </div>
        <div class="rows" role="rowgroup" ref={scroll} tabIndex={0} aria-label="Rows, scroll with the arrow keys" style={{ height: `${height}px` }}>
          <div role="presentation" class="all" style={{ height: `${virtual.current.getTotalSize()}px` }}>
            {virtual.current.getVirtualItems().map((item) => {
              const row = rows[item.index];
              if (row === undefined) return null;
              return (
                <div key={item.key} class="cells" role="row" aria-rowindex={item.index + 2} style={{ transform: `translateY(${item.start}px)`, height: `${ROW}px` }}>
                  {COLUMNS.map(([key]) => <div role="cell" key={key} class={key} title={String(row[key])}>{key === 'count' ? grouped(row.count) : row[key]}</div>)}
                </div>
              );
            })}
          </div>
        </div>
      </div>
    </section>
  );
}

function found(flows: readonly FlowRow[], words: string): readonly FlowRow[] {
  const terms = words.toLowerCase().split(/\s+/).filter((t) => t !== '');
  if (terms.length === 0) return flows;
  return flows.filter((f) => {
    const text = `${f.who} ${f.protocol} ${f.source} ${f.destination} ${f.failed}`.toLowerCase();
    return terms.every((t) => text.includes(t));
  });
}

const order = new Intl.Collator('en', { numeric: true });

function sorted(flows: readonly FlowRow[], { by, up }: Sort): readonly FlowRow[] {
  const way = up ? 1 : -1;
  return flows.toSorted((a, b) => way * (by === 'count' ? a.count - b.count : order.compare(String(a[by]), String(b[by]))));
}
