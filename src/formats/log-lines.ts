import { recogniseLogLine } from './app-log.ts';
import type { EvidenceRecord, Reading } from './evidence-record.ts';
import { wallTime } from './wall-time.ts';

/**
 * Lines of applications' logs: those with a stamp in front, those that tell of a lost or refused packet, and, where
 * most lines of a text are such, the others too (they carry on what a stamped line began). Lines that `grep -n` took
 * out of files keep their prefix (`client:328:2026-…`).
 */
export function readLog(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  // a sentence about an error, in prose, is no log line
  let filled = 0, likely = 0;
  for (const line of lines) {
    if (line === '' || line.length > LONGEST) continue;
    filled += 1;
    if (wallTime(line) !== undefined || SYSLOG.test(line) || recogniseLogLine(line) !== undefined) likely += 1;
  }
  const mostly = likely * 2 >= filled;
  lines.forEach((whole, i) => {
    if (whole === '' || whole.length > LONGEST) return;
    const text = whole.replace(/^[\w./-]{1,64}:\d{1,9}:(?=\d{4}-)/, '');
    const stamp = wallTime(text.trimStart())?.stamp;
    const sign = recogniseLogLine(text);
    if (stamp === undefined && !(sign !== undefined && mostly) && !SYSLOG.test(text)) return;
    records.push({ kind: 'log', line: i + 1, text, ...(stamp === undefined ? {} : { stamp }), ...(sign === undefined ? {} : { sign }) });
    taken.push(i);
  });
  return { records, taken };
}

const LONGEST = 4096;
const SYSLOG = /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S/;
