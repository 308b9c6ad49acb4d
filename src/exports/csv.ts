import { printable } from '../base/text.ts';
import { COLUMNS, isoNs, rowOf, type Exported, type Row } from './exported.ts';

/**
 * RFC 4180: CR LF, quotes doubled. A text that a spreadsheet would take for a formula (`=`, `+`, `-`, `@`, or one of the
 * full-width forms, first) gets an apostrophe before it; control characters are written as `\xNN`.
 */
export function csvCell(value: string | number | bigint | undefined | null): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string') return String(value);
  const shown = printable(value);
  const safe = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20|]/.test(shown) ? `'${shown}` : shown;
  return /[",\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export const csvLine = (cells: readonly (string | number | bigint | undefined | null)[]): string => `${cells.map(csvCell).join(',')}\r\n`;

/** One line an event, oldest first; the first line names the columns. `time` is ISO 8601 with nanoseconds. */
export function* csvOf(exported: Exported): Generator<string> {
  yield csvLine(['time', ...COLUMNS]);
  for (const event of exported.events) {
    const row: Row = rowOf(event, exported);
    yield csvLine([isoNs(row.time_ns), ...COLUMNS.map((c) => row[c])]);
  }
}
