import { basename } from 'node:path';
import { printable } from '../../base/text.ts';
import { formatName, type EvidenceFile } from '../../formats/evidence-file.ts';
import type { PostMortemFacts } from '../../evidence/post-mortem/index.ts';

/** One row of "what I recognised". */
export interface RecognisedRow {
  readonly file: string;
  readonly formats: readonly { readonly format: string; readonly records: number }[];
  readonly lines: number;
  readonly unread: number;
  readonly example?: string;
}

export function recognisedRows(files: readonly EvidenceFile[]): readonly RecognisedRow[] {
  return files.map((file) => {
    const counts = new Map<string, number>();
    for (const part of file.parts) for (const record of part.records) counts.set(formatName(record), (counts.get(formatName(record)) ?? 0) + 1);
    const example = file.examples[0];
    return { file: file.name, formats: [...counts].map(([format, records]) => ({ format, records })), lines: file.lines, unread: file.unread, ...(example === undefined ? {} : { example: `line ${example.line}: ${example.text}` }) };
  });
}

/** What was read, in plain text: file, formats, what was left over. */
export function recognisedText(rows: readonly RecognisedRow[], unreadable: readonly { readonly path: string; readonly why: string }[]): string {
  const lines = ['What was recognised'];
  const wide = Math.min(36, Math.max(0, ...rows.map((r) => r.file.length)));
  for (const row of rows) {
    const formats = row.formats.map((f) => `${f.format}: ${f.records}`).join(', ') || (row.lines === 0 ? 'empty' : 'nothing');
    const rest = row.unread === 0 ? '' : `; ${row.unread} of ${row.lines} lines not understood`;
    lines.push(`  ${printable(row.file).padEnd(wide)}  ${printable(formats)}${rest}`);
  }
  for (const file of unreadable) lines.push(`  ${printable(basename(file.path)).padEnd(wide)}  not read: ${printable(file.why)}`);
  return `${lines.join('\n')}\n`;
}

/** What the verdict rests on besides its evidence, and what would make it surer. */
export function factsText(facts: PostMortemFacts, netnsName: (inode: number) => string): string {
  const lines: string[] = ['How the pieces were joined'];
  lines.push(`  Kernel: ${printable(facts.kernel.release)} (${printable(facts.kernel.because)}).`);
  lines.push(`  ${printable(facts.clocks)}`);
  for (const note of facts.notes) lines.push(`  ${printable(note)}`);
  if (facts.counters.length > 0) {
    lines.push('', 'Counters of losses that moved between the snapshots');
    for (const c of facts.counters) lines.push(`  ${printable(netnsName(c.netns))} ${c.counters}: ${c.moved.slice(0, 12).map((m) => `${m.name} +${m.after - m.before}`).join(', ')}`);
  }
  if (facts.missing.length > 0) {
    lines.push('', 'What would tell more');
    for (const m of facts.missing) lines.push(`  ${m.what}:`, `    ${m.wouldTell}`);
  }
  return `${lines.join('\n')}\n`;
}
