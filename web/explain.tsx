import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { sentence } from '../src/report/index.ts';
import type { CauseText } from '../src/views/web/protocol.ts';
import { causesOf } from './data.ts';
import { Area, areaOf } from './parts.tsx';

/** Every cause that whydrop knows, searchable by reason, errno, function or any word. */
export function Explain({ chosen }: { readonly chosen: string | undefined }): JSX.Element {
  const [causes, setCauses] = useState<readonly CauseText[]>([]);
  const [words, setWords] = useState('');
  const [problem, setProblem] = useState('');
  useEffect(() => void causesOf().then(setCauses, (error: unknown) => setProblem((error as Error).message)), []);
  useEffect(() => setWords(chosen ?? ''), [chosen]);
  const found = useMemo(() => search(causes, words), [causes, words]);
  return (
    <>
      <h1>Causes</h1>
      <label class="search wide">A drop reason, errno, kernel function or word <input type="search" value={words} onInput={(e) => setWords(e.currentTarget.value)} /></label>
      <p class="soft" role="status">{problem !== '' ? problem : `${found.length} of ${causes.length} causes`}</p>
      {found.map((c) => (
        <details key={c.id} class={`cause ${areaOf(c.id)}`} open={found.length === 1 || c.id === chosen}>
          <summary><b>{sentence(c.title)}</b> <code>{c.id}</code> <Area cause={c.id} /></summary>
          <p>{c.what}</p>
          <List title="Signs" items={c.signs} />
          <List title="What to do" items={c.fixes} />
          <Words title="Drop reasons" items={c.reasons} />
          <Words title="Errors that a sender sees" items={c.errnos} />
          <Words title="Kernel functions" items={c.functions} />
          <List title="Kernel versions" items={c.versions} />
          <List title="Sources" items={c.sources} />
        </details>
      ))}
    </>
  );
}

const List = ({ title, items }: { readonly title: string; readonly items: readonly string[] }): JSX.Element | null => (items.length === 0 ? null : <><h2 class="small">{title}</h2><ul>{items.map((x) => <li key={x}>{x}</li>)}</ul></>);
const Words = ({ title, items }: { readonly title: string; readonly items: readonly string[] }): JSX.Element | null => (items.length === 0 ? null : <><h2 class="small">{title}</h2><p class="mono">{items.join(', ')}</p></>);

function search(causes: readonly CauseText[], words: string): readonly CauseText[] {
  const terms = words.toLowerCase().split(/\s+/).filter((t) => t !== '');
  if (terms.length === 0) return causes;
  const exact = causes.filter((c) => c.id === terms[0]);
  if (exact.length > 0) return exact;
  return causes
    .map((c) => {
      const near = `${c.id} ${c.title} ${c.reasons.join(' ')} ${c.errnos.join(' ')} ${c.functions.join(' ')}`.toLowerCase();
      const far = `${c.what} ${c.signs.join(' ')} ${c.fixes.join(' ')}`.toLowerCase();
      const scores = terms.map((t) => (near.includes(t) ? 3 : far.includes(t) ? 1 : 0));
      return { c, score: scores.includes(0) ? 0 : scores.reduce<number>((a, b) => a + b, 0) };
    })
    .filter((x) => x.score > 0)
    .sort((a, b) => b.score - a.score)
    .map((x) => x.c);
}
