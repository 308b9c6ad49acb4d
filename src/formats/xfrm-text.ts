import type { XfrmPolicy, XfrmSelector, XfrmState } from '../model/network.ts';

/** Text of `ip [-s] xfrm policy` and `ip [-s] xfrm state` (ip-xfrm(8)): a record starts at a line without indentation. */
export function decodeXfrmPolicies(source: string): { readonly values: readonly XfrmPolicy[]; readonly status: 'ok' | 'malformed' } {
  const values: XfrmPolicy[] = [];
  let bad = false;
  for (const lines of blocks(source)) {
    if (lines[0]!.startsWith(DEFAULTS)) continue;
    const head = words(lines[0]!);
    const selector = selectorOf(head);
    const about = lines.slice(1).find((l) => /^\s+(dir|socket) /.test(l));
    if (selector === undefined || about === undefined) {
      bad = true;
      continue;
    }
    const w = words(about);
    const templates = lines.flatMap((l, i) => (/^\s+tmpl /.test(l) ? [template(words(`${l} ${lines[i + 1] ?? ''} ${/^\s+level /.test(lines[i + 2] ?? '') ? lines[i + 2] : ''}`))] : []));
    const mark = lines.map((l) => /^\s*mark (\S+)/.exec(l)?.[1]).find((m) => m !== undefined);
    const ifId = lines.map((l) => /^\s*if_id (\S+)/.exec(l)?.[1]).find((m) => m !== undefined);
    const index = integer(after(w, 'index'));
    values.push({
      selector,
      direction: w[0] === 'socket' ? `socket ${w[1] ?? ''}` : after(w, 'dir') ?? '',
      action: after(w, 'action') === 'block' ? 'block' : 'allow',
      priority: integer(after(w, 'priority')) ?? 0,
      templates,
      ...(index === undefined ? {} : { index }), ...(mark === undefined ? {} : { mark }), ...(ifId === undefined ? {} : { ifId }),
    });
  }
  return { values, status: bad && values.length === 0 ? 'malformed' : 'ok' };
}

const DEFAULTS = 'Default policies:';

/** The directions in which packets that no policy matches are blocked: the end of the listing, as `ip xfrm policy getdefault` prints it. */
export function decodeXfrmDefaults(source: string): { readonly values: readonly ('in' | 'out' | 'fwd')[]; readonly status: 'ok' } {
  const lines = blocks(source).find((b) => b[0]!.startsWith(DEFAULTS)) ?? [];
  return { values: (['in', 'out', 'fwd'] as const).filter((d) => lines.some((l) => new RegExp(`^\\s+${d}:\\s+block\\b`).test(l))), status: 'ok' };
}

export function decodeXfrmStates(source: string): { readonly values: readonly XfrmState[]; readonly status: 'ok' | 'malformed' } {
  const values: XfrmState[] = [];
  let bad = false;
  for (const lines of blocks(source)) {
    const w = words(lines.slice(0, 2).join(' '));
    const from = after(w, 'src'), to = after(w, 'dst'), protocol = after(w, 'proto');
    if (from === undefined || to === undefined || protocol === undefined) {
      bad = true;
      continue;
    }
    const reqid = integer(after(w, 'reqid')), mode = after(w, 'mode');
    values.push({ source: from, destination: to, protocol, spi: (after(w, 'spi') ?? '').replace(/\(.*$/, ''), ...(reqid === undefined ? {} : { reqid }), ...(mode === undefined ? {} : { mode }) });
  }
  return { values, status: bad && values.length === 0 ? 'malformed' : 'ok' };
}

function blocks(source: string): readonly (readonly string[])[] {
  const list: string[][] = [];
  for (const line of source.split('\n')) {
    if (line.trim() === '') continue;
    if (/^\S/.test(line)) list.push([line]);
    else list.at(-1)?.push(line);
  }
  return list;
}

function selectorOf(w: readonly string[]): XfrmSelector | undefined {
  const source = after(w, 'src'), destination = after(w, 'dst');
  if (source === undefined || destination === undefined) return undefined;
  const protocol = after(w, 'proto'), device = after(w, 'dev'), sport = integer(after(w, 'sport')), dport = integer(after(w, 'dport'));
  return {
    source, destination,
    ...(protocol === undefined ? {} : { protocol }), ...(device === undefined ? {} : { device }),
    ...(sport === undefined ? {} : { sourcePort: sport }), ...(dport === undefined ? {} : { destinationPort: dport }),
  };
}

function template(w: readonly string[]): XfrmPolicy['templates'][number] {
  const reqid = integer(after(w, 'reqid')?.replace(/\(.*$/, '')), spi = after(w, 'spi')?.replace(/\(.*$/, ''), mode = after(w, 'mode');
  return {
    source: after(w, 'src') ?? '', destination: after(w, 'dst') ?? '', protocol: after(w, 'proto') ?? '', optional: after(w, 'level') === 'use',
    ...(reqid === undefined ? {} : { reqid }), ...(spi === undefined ? {} : { spi }), ...(mode === undefined ? {} : { mode }),
  };
}

const words = (line: string): readonly string[] => line.trim().split(/\s+/);
const integer = (word: string | undefined): number | undefined => (word !== undefined && /^[0-9]{1,10}$/.test(word) ? Number(word) : undefined);

function after(w: readonly string[], key: string): string | undefined {
  const i = w.indexOf(key);
  return i < 0 ? undefined : w[i + 1];
}
