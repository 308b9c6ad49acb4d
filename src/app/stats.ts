import { nearest } from '../base/nearest.ts';
import { COLUMNS } from '../exports/index.ts';
import { UsageError } from './exit.ts';
import { judged } from './judged.ts';
import { answer, type TableOptions } from './query.ts';
import { openRecording } from './replay-command.ts';

/** What one may group by that is no column as it stands. */
const DERIVED: Readonly<Record<string, string>> = {
  second: "date_trunc('second', time)", minute: "date_trunc('minute', time)", hour: "date_trunc('hour', time)",
  netns: 'coalesce(netns_name::VARCHAR, netns::VARCHAR)',
};
const WORDS: readonly string[] = [...Object.keys(DERIVED), ...COLUMNS.filter((c) => c !== 'time_ns' && c !== 'netns')];

/** The query of `stats --by`. */
export function statsQuery(by: readonly string[]): string {
  for (const word of by) {
    if (WORDS.includes(word)) continue;
    const near = nearest(word, [...WORDS]);
    throw new UsageError(`cannot group by ${word}${near === undefined ? '' : `; did you mean ${near}?`} (there are ${WORDS.join(', ')})`);
  }
  const groups = by.map((word) => `${DERIVED[word] ?? word} AS "${word}"`);
  return `SELECT ${[...groups, "count(*) FILTER (kind = 'drop') AS drops", "count(*) FILTER (kind = 'call') AS failed_calls", "sum(length) FILTER (kind = 'drop') AS bytes", 'min(time) AS first', 'max(time) AS last'].join(', ')} FROM events${by.length === 0 ? '' : ' GROUP BY ALL'} ORDER BY drops DESC, failed_calls DESC${by.map((w) => `, "${w}"`).join('')}`;
}

/** `whydrop stats FILE --by cause,interface`: how many, grouped. Of samples: under flood the kernel counted more. */
export async function statsCommand(path: string, options: TableOptions & { readonly by: string }): Promise<void> {
  const query = statsQuery(options.by.split(',').map((w) => w.trim()).filter((w) => w !== ''));
  const recording = judged(openRecording(path), options);
  await answer(recording, query, options);
  const { exported } = recording;
  const counted = exported.incidents.reduce((n, i) => n + i.count, 0);
  const drops = exported.events.filter((e) => e.event.kind === 'drop' || e.event.kind === 'call').length;
  if (counted > drops) process.stderr.write(`whydrop: these are the ${drops} events that were described; the kernel counted ${counted} losses (see replay)\n`);
}
