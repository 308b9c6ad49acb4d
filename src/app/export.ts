import { chromeTraceOf, csvOf, foldedOf, jsonOf, pcapngOf, type Exported } from '../exports/index.ts';
import type { FilterOptions } from './flow-filter.ts';
import { judged } from './judged.ts';
import { writeOutput } from './output-file.ts';
import { redactedForSharing } from './redact.ts';
import { openRecording } from './replay-command.ts';
import { UsageError } from './exit.ts';

export const EXPORT_FORMATS = ['pcapng', 'perfetto', 'json', 'csv', 'folded'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface ExportOptions extends FilterOptions {
  readonly to: ExportFormat;
  readonly output?: string;
  readonly redact?: boolean;
}

/** `whydrop export FILE --to FORMAT`. */
export function exportCommand(path: string, options: ExportOptions): void {
  if (options.to === 'pcapng' && (options.output === undefined || options.output === '-') && process.stdout.isTTY) throw new UsageError('pcapng is binary: name a file with -o OUT.pcapng');
  const opened = openRecording(path);
  const records = options.redact === true ? redactedForSharing(opened) : opened;
  const { exported } = judged(records, options, options.to === 'pcapng' || options.to === 'json');
  const written = writeOutput(options.output, EXPORTERS[options.to](exported));
  if (options.to === 'pcapng') {
    const packets = exported.events.filter((e) => e.event.kind === 'drop');
    const without = packets.filter((e) => e.captured === undefined).length;
    if (without > 0) process.stderr.write(`whydrop: ${without} of ${packets.length} dropped packets are not in it: their bytes were not captured\n`);
  }
  if (options.output !== undefined && options.output !== '-') process.stderr.write(`wrote ${options.output}: ${written} bytes, ${exported.events.length} events, ${exported.incidents.length} incidents\n`);
}

const EXPORTERS: Readonly<Record<ExportFormat, (exported: Exported) => Iterable<string | Uint8Array>>> = { pcapng: pcapngOf, perfetto: chromeTraceOf, json: jsonOf, csv: csvOf, folded: foldedOf };
