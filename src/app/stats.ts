import { nearest } from '../base/nearest.ts';
import { COLUMNS } from '../exports/index.ts';
import { UsageError } from './exit.ts';
import { checkedFilter, filtersAnything } from './flow-filter.ts';
import { judged } from './judged.ts';
import { answer, type TableOptions } from './query.ts';
import { openRecording } from './replay-command.ts';

type Column = (typeof COLUMNS)[number] | 'time';

/** What one may group by that is no column as it stands: from a column, what is grouped. */
const DERIVED: Readonly<Record<string, { readonly column: Column; readonly sql: string }>> = {
  second: { column: 'time', sql: "date_trunc('second', time)" }, minute: { column: 'time', sql: "date_trunc('minute', time)" }, hour: { column: 'time', sql: "date_trunc('hour', time)" },
};
const WORDS: readonly string[] = ['time', ...Object.keys(DERIVED), ...COLUMNS.filter((c) => c !== 'time_ns')];

/** Columns that are no text: in JSON and Parquet they keep their type. */
const TYPED: ReadonlySet<string> = new Set(['time', 'second', 'minute', 'hour', 'source_port', 'destination_port', 'length', 'mark', 'cpu', 'pid', 'uid', 'softirq']);
/** What the kernel's counters tell, so that nothing there means that there was nothing. */
const COUNTED: Readonly<Record<'drop' | 'call', readonly string[]>> = {
  drop: ['kind', 'netns', 'netns_name', 'interface', 'reason', 'symbol', 'module', 'ethertype', 'probe', 'syscall', 'errno'],
  call: ['kind', 'pid', 'syscall', 'errno', 'interface', 'reason', 'symbol', 'module', 'ethertype', 'probe', 'mark', 'stack', 'softirq'],
};
export const NOT_DESCRIBED = 'not described';

/**
 * The query of `stats --by`: exact, of the table `counted`. What was counted and is of no known group is in one named
 * {@link NOT_DESCRIBED}; with `typed`, columns of numbers and times have NULL for it, and a row of its own.
 */
export function statsQuery(by: readonly string[], typed = false): string {
  const words = [...new Set(by)];
  for (const word of words) {
    if (WORDS.includes(word)) continue;
    const near = nearest(word, [...WORDS]);
    throw new UsageError(`cannot group by ${word}${near === undefined ? '' : `; did you mean ${near}?`} (there are ${WORDS.join(', ')})`);
  }
  // grouped as it is stored first (few small numbers), named after that
  const inner = words.flatMap((word, i) => (word === 'netns' ? [`netns AS k${i}`, `netns_name AS name${i}`] : [`${DERIVED[word]?.sql ?? word} AS k${i}`]));
  const missing = (word: string, i: number): string => {
    const known = (['drop', 'call'] as const).filter((kind) => COUNTED[kind].includes(word)).map((kind) => ` AND kind <> '${kind}'`);
    return `(described = 0 AND k${i} IS NULL${known.join('')})`;
  };
  const shown = (word: string, i: number): string => {
    if (typed && TYPED.has(word)) return `k${i}`;
    const value = word === 'netns' ? `coalesce(name${i}::VARCHAR, k${i}::VARCHAR)` : `k${i}::VARCHAR`;
    return `CASE WHEN ${missing(word, i)} THEN '${NOT_DESCRIBED}' ELSE ${value} END`;
  };
  const columns = [
    ...words.map((word, i) => `${shown(word, i)} AS "${word}"`),
    ...['drop', 'call'].map((kind, i) => `coalesce(sum(n) FILTER (kind = '${kind}'), 0)::BIGINT AS ${['drops', 'failed_calls'][i]!}`),
    'sum(b)::BIGINT AS bytes', 'min(f) AS first', 'max(l) AS last', 'coalesce(sum(n) FILTER (described = 1), 0)::BIGINT AS described',
  ];
  const groups = words.flatMap((word, i) => [shown(word, i), ...(typed && TYPED.has(word) ? [missing(word, i)] : [])]);
  return `SELECT ${columns.join(', ')} FROM (SELECT ${['described', 'kind', ...inner, 'sum(count) AS n', 'sum(bytes) AS b', 'min(time) AS f', 'max(time) AS l'].join(', ')} FROM counted GROUP BY ALL)${groups.length === 0 ? '' : ` GROUP BY ${groups.join(', ')}`} ORDER BY drops DESC, failed_calls DESC${words.map((_, i) => `, ${i + 1}`).join('')}`;
}

/** `whydrop stats FILE --by cause,interface`: how many, grouped; exact where the kernel counted. */
export async function statsCommand(path: string, options: TableOptions & { readonly by: string }): Promise<void> {
  const query = statsQuery(options.by.split(',').map((w) => w.trim()).filter((w) => w !== ''), options.to === 'json' || options.to === 'parquet');
  const recording = judged(openRecording(path), options);
  await answer(recording, query, options);
  if (filtersAnything(checkedFilter(options))) {
    const shed = judged(recording.records, { ...options, pid: [], protocol: [], port: [], address: [] }).undescribed();
    if (shed.length > 0) process.stderr.write(`whydrop: with a flow filter these are the ${recording.exported.events.length} events that were described: the kernel's counters know no flows\n`);
    return;
  }
  const rest = recording.undescribed().reduce((n, u) => n + u.count, 0);
  const described = recording.exported.events.length;
  if (rest > 0) process.stderr.write(`whydrop: counts are exact; of ${described + rest} events ${described} were described one by one, of the others only what the kernel's counters tell is known\n`);
}
