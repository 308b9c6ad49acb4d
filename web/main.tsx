import { render, type JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { printable } from '../src/base/text.ts';
import type { SourceState } from '../src/views/web/protocol.ts';
import './app.css';
import { follow, giveRecording } from './data.ts';
import { Explain } from './explain.tsx';
import { Host } from './host.tsx';
import { Incident } from './incident.tsx';
import { Overview, wholeOf, zoom } from './overview.tsx';
import { say } from './parts.tsx';
import type { Range } from './plot.tsx';

const KEYS: readonly (readonly [string, string])[] = [
  ['j, k or ↓, ↑', 'next, previous incident'], ['Enter', 'open it'], ['Esc', 'back to the overview'], ['c', 'copy the first command'], ['/', 'search'],
  ['+, −, 0', 'zoom in, out, all of the time'], ['←, →', 'earlier, later'], ['1, 2, 3', 'overview, host, causes'], ['o', 'open a recording'], ['?', 'these keys'],
];

type Route = { readonly page: 'overview'; readonly at?: number } | { readonly page: 'host' } | { readonly page: 'incident'; readonly id: string } | { readonly page: 'explain'; readonly cause?: string };

function routeOf(hash: string): Route {
  const [page, argument] = hash.replace(/^#\/?/, '').split('/', 2);
  if (page === 'at' && argument !== undefined) return { page: 'overview', at: Date.parse(decodeURIComponent(argument)) };
  if (page === 'incident' && argument !== undefined) return { page, id: decodeURIComponent(argument) };
  if (page === 'explain') return { page, ...(argument === undefined || argument === '' ? {} : { cause: decodeURIComponent(argument) }) };
  return page === 'host' ? { page } : { page: 'overview' };
}

/** Shown on both sides of a moment, s. */
const MOMENT_S = 5;

const go = (hash: string): void => void (location.hash = hash);

function App(): JSX.Element {
  const [source, setSource] = useState('live');
  const [state, setState] = useState<SourceState>();
  const [lost, setLost] = useState(false);
  const [route, setRoute] = useState<Route>(() => routeOf(location.hash));
  const [range, setRange] = useState<Range>();
  const [over, setOver] = useState(false);
  const [problem, setProblem] = useState('');
  const [judging, setJudging] = useState<{ readonly name: string; readonly share: number; readonly cancel: () => void }>();
  const help = useRef<HTMLDialogElement>(null);
  const file = useRef<HTMLInputElement>(null);
  const main = useRef<HTMLElement>(null);
  const latest = useRef({ state, range, route });
  latest.current = { state, range, route };

  useEffect(() => follow(source, setState, setLost), [source]);
  useEffect(() => {
    const moved = (): void => {
      const next = routeOf(location.hash);
      setRoute(next);
      const known = latest.current.state;
      if (next.page === 'overview' && next.at !== undefined && Number.isFinite(next.at) && known !== undefined) {
        const [from, to] = wholeOf(known);
        const side = Math.min(MOMENT_S, (to - from) / 4);
        setRange([next.at / 1000 - side, next.at / 1000 + side]);
      }
      scrollTo(0, 0);
      main.current?.focus();
    };
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);

  const take = async (given: File | undefined): Promise<void> => {
    if (given === undefined) return;
    setProblem('');
    say(`reading ${given.name}`);
    const stop = new AbortController();
    const shown = (share: number): void => setJudging({ name: printable(given.name), share, cancel: () => stop.abort() });
    shown(0);
    try {
      const id = await giveRecording(given, shown, stop.signal);
      setRange(undefined);
      setSource(id);
      go('#/');
      say(`${given.name} was read`);
    } catch (error) {
      if (stop.signal.aborted) say(`${given.name}: cancelled`);
      else setProblem((error as Error).message);
    } finally {
      setJudging(undefined);
    }
  };

  useEffect(() => {
    const dragging = (e: DragEvent): void => {
      if (e.dataTransfer?.types.includes('Files') !== true) return;
      e.preventDefault();
      setOver(true);
    };
    const left = (e: DragEvent): void => {
      if (e.relatedTarget === null) setOver(false);
    };
    const dropped = (e: DragEvent): void => {
      e.preventDefault();
      setOver(false);
      void take(e.dataTransfer?.files[0]);
    };
    const key = (e: KeyboardEvent): void => {
      const at = e.target as HTMLElement;
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
      if (e.ctrlKey || e.metaKey || e.altKey || help.current?.open === true) return;
      if (e.key === 'Escape') {
        if (typing) at.blur();
        else go('#/');
        return;
      }
      if (typing) return;
      const now = latest.current;
      const whole = now.state === undefined ? undefined : wholeOf(now.state);
      const scrolls = at.closest('.rows, .scroll') !== null;
      const pan = (way: number): void => {
        if (now.range === undefined || whole === undefined) return;
        const by = way * (now.range[1] - now.range[0]) * 0.25;
        const held = Math.max(whole[0] - now.range[0], Math.min(whole[1] - now.range[1], by));
        setRange([now.range[0] + held, now.range[1] + held]);
      };
      const step = (way: number): void => {
        const links = [...document.querySelectorAll<HTMLElement>('a.incident')];
        if (links.length === 0) return;
        const index = links.indexOf(document.activeElement as HTMLElement);
        links[index < 0 ? (way > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, index + way))]?.focus();
      };
      const actions: Readonly<Record<string, () => void>> = {
        j: () => step(1), k: () => step(-1),
        ...(scrolls || now.route.page !== 'overview' ? {} : { ArrowDown: () => step(1), ArrowUp: () => step(-1), ArrowLeft: () => pan(-1), ArrowRight: () => pan(1) }),
        '1': () => go('#/'), '2': () => go('#/host'), '3': () => go('#/explain'),
        '+': () => whole !== undefined && setRange(zoom(now.range ?? whole, 0.5, whole)), '-': () => whole !== undefined && setRange(zoom(now.range ?? whole, 2, whole)), '0': () => setRange(undefined),
        c: () => document.querySelector<HTMLButtonElement>('button.copy')?.click(),
        '/': () => document.querySelector<HTMLInputElement>('input[type=search]')?.focus(),
        o: () => file.current?.click(),
        '?': () => help.current?.showModal(),
      };
      const action = actions[e.key];
      if (action === undefined) return;
      e.preventDefault();
      action();
    };
    addEventListener('dragover', dragging);
    addEventListener('dragleave', left);
    addEventListener('drop', dropped);
    addEventListener('keydown', key);
    return () => {
      removeEventListener('dragover', dragging);
      removeEventListener('dragleave', left);
      removeEventListener('drop', dropped);
      removeEventListener('keydown', key);
    };
  }, []);

  useEffect(() => {
    const worst = state?.incidents.find((i) => i.severity !== 'info');
    document.title = worst === undefined ? 'whydrop' : `${worst.cause.title} · whydrop`;
  }, [state]);

  const link = (page: Route['page'], hash: string, words: string): JSX.Element => <a href={hash} {...(route.page === page || (page === 'overview' && route.page === 'incident') ? { 'aria-current': 'page' as const } : {})}>{words}</a>;
  const incident = route.page === 'incident' ? state?.incidents.find((i) => i.id === route.id) : undefined;
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>To the content</a>
      <header class="top">
        <a class="brand" href="#/"><b>whydrop</b></a>
        <nav aria-label="Pages">{link('overview', '#/', 'Overview')}{link('host', '#/host', 'Host')}{link('explain', '#/explain', 'Causes')}</nav>
        <div class="sources">
          {state !== undefined && state.sources.length > 1 && <label><span class="unseen">Source</span><select value={state.id} onChange={(e) => { setRange(undefined); setSource(e.currentTarget.value); go('#/'); }}>{state.sources.map((s) => <option key={s.id} value={s.id}>{s.name}</option>)}</select></label>}
          <button type="button" onClick={() => file.current?.click()}>Open recording</button>
          <input ref={file} type="file" class="unseen" tabIndex={-1} aria-label="Recording" onChange={(e) => void take(e.currentTarget.files?.[0])} />
          <button type="button" onClick={() => help.current?.showModal()} aria-label="Keys">?</button>
        </div>
      </header>
      {lost && source === 'live' && <p class="notice" role="alert">whydrop does not answer: it has ended, or the way to it is cut. What is shown is the last that was heard.</p>}
      {judging !== undefined && <p class="judging"><label>Judging {judging.name} <progress max={1} {...(judging.share > 0 ? { value: judging.share } : {})} /></label> {Math.round(judging.share * 100)} % <button type="button" onClick={judging.cancel}>Cancel</button></p>}
      {problem !== '' && <p class="notice" role="alert">{problem} <button type="button" onClick={() => setProblem('')}>Close</button></p>}
      <main id="main" ref={main} tabIndex={-1}>
        {state === undefined ? <p class="soft">{lost ? 'Open the link that whydrop printed in its terminal.' : '…'}</p>
          : route.page === 'overview' ? <Overview state={state} range={range} onRange={setRange} open={(id) => go(`#/incident/${encodeURIComponent(id)}`)} />
          : route.page === 'incident' ? <Incident source={state.id} id={route.id} count={incident?.count ?? 0} now={state.to} />
          : route.page === 'host' ? <Host state={state} />
          : <Explain chosen={route.page === 'explain' ? route.cause : undefined} />}
      </main>
      {over && <div class="drop" aria-hidden="true">Drop the recording to look at it</div>}
      <dialog ref={help} aria-labelledby="keys"><h2 id="keys">Keys</h2><dl class="facts">{KEYS.map(([k, what]) => <><dt><kbd>{k}</kbd></dt><dd>{what}</dd></>)}</dl><form method="dialog"><button type="submit">Close</button></form></dialog>
    </>
  );
}

render(<App />, (() => { const root = document.getElementById('app')!; root.replaceChildren(); return root; })());
