import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { byteSize, grouped } from '../src/report/index.ts';
import type { HostState, RuleRow, SourceState } from '../src/views/web/protocol.ts';
import { hostOf } from './data.ts';
import { Section } from './parts.tsx';

const AGAIN_MS = 2_000;
const MOST_ROWS = 400;

/** What watches here and what does not, the rules with their counters, how full the connection table is. */
export function Host({ state }: { readonly state: SourceState }): JSX.Element {
  const [host, setHost] = useState<HostState | string>();
  const [before, setBefore] = useState<ReadonlyMap<string, number>>(new Map());
  const [netns, setNetns] = useState<number>();
  const { id } = state;
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let gone = false;
    let first = true;
    const look = async (): Promise<void> => {
      try {
        const next = await hostOf(id, netns);
        if (gone) return;
        if (first) setBefore(new Map(next.rules.map((r) => [keyOf(r), r.packets ?? 0])));
        first = false;
        setHost(next);
      } catch (error) {
        if (!gone) setHost((known) => (typeof known === 'object' ? known : (error as Error).message));
      }
      if (!gone && id === 'live') timer = setTimeout(() => void look(), AGAIN_MS);
    };
    void look();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [id, netns]);
  return (
    <>
      <h1>{state.host.hostname === '' ? 'Host' : state.host.hostname}</h1>
      <p class="meta">Linux {state.host.kernel}{state.host.machine !== undefined && `, ${state.host.machine}`}{state.host.cpus !== undefined && `, ${state.host.cpus} CPUs`}{state.cost !== undefined && ` · whydrop used ${state.cost.cpuSeconds.toFixed(1)} s of CPU, ${byteSize(state.cost.peakRss)}`}</p>
      <Section title="Probes">
        <table>
          <thead><tr><th scope="col">probe</th><th scope="col">state</th><th scope="col">why, and what helps</th></tr></thead>
          <tbody>{state.probes.map((p) => <tr key={p.id}><td class="mono">{p.id}</td><td class="state">{p.state === 'armed' ? 'armed' : <b>not armed</b>}</td><td>{p.state === 'armed' ? '' : <>{p.why}{p.without !== undefined && <span class="who">without it: {p.without}</span>}{p.fix !== undefined && <span class="who">fix: {p.fix}</span>}</>}</td></tr>)}</tbody>
        </table>
      </Section>
      {state.losses.length > 0 && <Section title="What whydrop itself missed"><ul class="plain">{state.losses.map((l, i) => <li key={i}>{l.count > 0 && <b>{grouped(l.count)} </b>}<span class="mono">{l.source}</span> {l.text}</li>)}</ul></Section>}
      {typeof host === 'object' && host.namespaces.length > 1 && (
        <p class="choose"><label>Namespace <select value={netns ?? ''} onChange={(e) => setNetns(e.currentTarget.value === '' ? undefined : Number(e.currentTarget.value))}>
          <option value="">the first {Math.min(4, host.namespaces.length)} of {grouped(host.namespaces.length)}</option>
          {host.namespaces.map((n) => <option key={n.inode} value={n.inode}>{n.name}</option>)}
        </select></label> <span class="soft">for the connection table and the rules below</span></p>
      )}
      {typeof host === 'object' && host.conntrack.length > 0 && (
        <Section title="Connection table">{host.conntrack.map((c) => {
          const share = c.most === 0 ? 0 : c.used / c.most;
          return <div key={c.netns} class={`fill-row ${share > 0.9 ? 'sev-critical' : share > 0.7 ? 'sev-warning' : 'sev-info'}`}><span>{c.netns}</span><meter min={0} max={Math.max(1, c.most)} high={c.most * 0.7} value={c.used} aria-label={`Connection table of ${c.netns}`}>{Math.round(share * 100)} %</meter><span class="soft">{grouped(c.used)} of {grouped(c.most)} ({(share * 100).toFixed(share < 0.1 ? 1 : 0)} %)</span></div>;
        })}</Section>
      )}
      {typeof host === 'string' ? <p class="none">{host}</p> : host === undefined ? <p class="soft">…</p> : <Rules host={host} before={before} live={id === 'live'} />}
    </>
  );
}

const keyOf = (r: RuleRow): string => `${r.netns}\n${r.chain}\n${r.position}\n${r.text}`;

function Rules({ host, before, live }: { readonly host: HostState; readonly before: ReadonlyMap<string, number>; readonly live: boolean }): JSX.Element {
  const [words, setWords] = useState('');
  const rows = useMemo(() => {
    const terms = words.toLowerCase().split(/\s+/);
    return host.rules.filter((r) => terms.every((t) => `${r.netns} ${r.chain} ${r.text}`.toLowerCase().includes(t)));
  }, [host, words]);
  return (
    <section>
      <div class="bar"><h2>Rules</h2><label class="search">Search <input type="search" value={words} onInput={(e) => setWords(e.currentTarget.value)} /></label></div>
      {host.rules.length === 0 ? <p class="soft">No rules.</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Rules">
          <table>
            <thead><tr><th scope="col">chain</th><th scope="col">rule</th><th scope="col" class="n">packets</th>{live && <th scope="col" class="n">since opened</th>}</tr></thead>
            <tbody>{rows.slice(0, MOST_ROWS).map((r) => {
              const more = (r.packets ?? 0) - (before.get(keyOf(r)) ?? 0);
              return <tr key={keyOf(r)}><td>{r.chain}<span class="who">{r.netns}</span></td><td class="mono">{r.text}</td><td class="n">{r.packets === undefined ? '' : grouped(r.packets)}</td>{live && <td class="n">{more > 0 ? <b>+{grouped(more)}</b> : ''}</td>}</tr>;
            })}</tbody>
          </table>
        </div>
      )}
      {rows.length > MOST_ROWS && <p class="soft">{grouped(rows.length - MOST_ROWS)} more: search for them.</p>}
      {host.missing.length > 0 && <details><summary>Listings that could not be had ({host.missing.length})</summary><ul class="plain">{host.missing.map((m) => <li key={m}>{m}</li>)}</ul></details>}
    </section>
  );
}
