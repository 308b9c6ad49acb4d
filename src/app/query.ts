import stringWidth from 'string-width';
import { clip, printable } from '../base/text.ts';
import { csvLine } from '../exports/csv.ts';
import { countedRowOf, rowOf, undescribedRowOf } from '../exports/exported.ts';
import { openStore, type Answered, type EventStore } from '../exports/store.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { EnvironmentError, UsageError } from './exit.ts';
import type { FilterOptions } from './flow-filter.ts';
import { judged, type Judged } from './judged.ts';
import { writeOutput } from './output-file.ts';
import { openRecording } from './replay-command.ts';

export interface TableOptions extends FilterOptions {
  readonly to?: 'text' | 'csv' | 'json' | 'parquet';
  readonly output?: string;
}

/** `whydrop query FILE SQL`: the tables `counted`, `events` and `incidents` of a recording. */
export async function queryCommand(path: string, sql: string, options: TableOptions): Promise<void> {
  const recording = judged(openRecording(path), options);
  await answer(recording, sql, options);
}

/** The tables of a recording in a database; the caller closes it. */
export async function storeOf({ exported, undescribed }: Judged): Promise<EventStore> {
  const store = await openStore();
  if (isUnavailable(store)) throw new EnvironmentError(`${store.what}: ${store.why}`, store.fix);
  function* rows() {
    for (const event of exported.events) yield countedRowOf(rowOf(event, exported));
    for (const rest of undescribed()) yield undescribedRowOf(rest, exported);
  }
  await store.load(rows(), exported.incidents);
  return store;
}

/** Puts a query and writes its answer in the wanted format. */
export async function answer(recording: Judged, sql: string, options: TableOptions): Promise<void> {
  if (options.to === 'parquet' && (options.output === undefined || options.output === '-')) throw new UsageError('parquet is binary: name a file with -o OUT.parquet');
  const store = await storeOf(recording);
  try {
    if (options.to === 'parquet') await store.parquet(sql, options.output!);
    else writeOutput(options.output, piecesOf(await store.query(sql), options.to ?? 'text'));
  } catch (error) {
    if (error instanceof EnvironmentError) throw error;
    if (options.to === 'parquet' && error instanceof Error && error.message.startsWith('IO Error')) throw new EnvironmentError(`writing ${options.output}: ${error.message.split('\n', 1)[0] ?? ''}`);
    throw new UsageError(`the query: ${error instanceof Error ? error.message.split('\n', 3).join(' ') : String(error)}`);
  } finally {
    store.close();
  }
}

function* piecesOf(answered: Answered, to: 'text' | 'csv' | 'json'): Generator<string> {
  switch (to) {
    case 'csv':
      yield csvLine(answered.columns);
      for (const row of answered.rows) yield csvLine(row.map((c) => (typeof c === 'boolean' ? String(c) : c)));
      return;
    case 'json':
      for (const row of answered.rows) yield `${JSON.stringify(Object.fromEntries(answered.columns.map((c, i) => [c, row[i]])))}\n`;
      return;
    case 'text':
      yield* tableOf(answered);
  }
}

const WIDEST = 60;

function* tableOf({ columns, rows }: Answered): Generator<string> {
  const texts = rows.map((row) => row.map((c) => clip(printable(c === null ? '' : String(c)), WIDEST)));
  const heads = columns.map((c) => clip(printable(c), WIDEST));
  const numbers = columns.map((_, i) => rows.length > 0 && rows.every((row) => row[i] === null || (/^-?[\d.]+$/.test(String(row[i])))));
  const widths = heads.map((h, i) => texts.reduce((w, row) => Math.max(w, stringWidth(row[i] ?? '')), stringWidth(h)));
  const line = (cells: readonly string[]): string =>
    `${cells.map((c, i) => { const gap = ' '.repeat(Math.max(0, widths[i]! - stringWidth(c))); return numbers[i] === true ? gap + c : c + gap; }).join('  ').trimEnd()}\n`;
  yield line(heads);
  for (const row of texts) yield line(row);
}
