import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Incident } from '../model/incident.ts';
import type { RawRecord } from '../model/record.ts';
import { readRecording } from '../recording/file.ts';
import { renderIncident } from '../views/cli/index.ts';
import { kindOf } from './analyze/read.ts';
import { EnvironmentError, EXIT, UsageError } from './exit.ts';
import { checkedFilter, type FilterOptions } from './flow-filter.ts';
import { recogniseForeign } from './foreign.ts';
import { look, plainSummary, worthShowing } from './plain.ts';
import { replay } from './replay.ts';
import { cost, createOutput, jsonLine, type Summary } from './stream.ts';
import { within } from './within.ts';

export interface ReplayCommandOptions extends FilterOptions {
  readonly json?: boolean;
  readonly plain?: boolean;
  readonly failOnIncident?: boolean;
  /** Times as fast as it happened; absent: at once. */
  readonly speed?: number;
  /** Milliseconds from the beginning of the recording. */
  readonly from?: number;
  readonly to?: number;
}

/** The records of a file, or one line that says what is wrong with it. */
export function openRecording(path: string): readonly RawRecord[] {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error);
    if (why === 'ERR_FS_FILE_TOO_LARGE') throw new EnvironmentError(`reading ${path}: more than 2 GiB, which is not held in memory`, 'record with --max-size');
    throw new UsageError(`reading ${path}: ${why}`);
  }
  if (bytes.length === 0) throw new UsageError(`${path} is empty`);
  const foreign = recogniseForeign(bytes);
  if (foreign !== undefined) {
    process.stderr.write(`${path} is a ${foreign.kind}: ${foreign.lacks.join('; ')}; whydrop analyze judges it beside rules, counters and logs\n`);
    return foreign.records;
  }
  const { records, status, version } = readRecording(bytes);
  switch (status) {
    case 'not-a-recording':
      throw new UsageError(`${path} is not a recording of whydrop (whydrop analyze reads logs and listings)`);
    case 'newer-version':
      throw new EnvironmentError(`${path} is of format ${version}, newer than this whydrop knows`, 'use the version of whydrop that made it, or a newer one');
    case 'cut':
      process.stderr.write(`${path} ends in the middle: what is whole is used\n`);
      break;
    case 'damaged':
      process.stderr.write(`${path} is damaged: what is whole is used\n`);
      break;
    case 'complete':
      break;
  }
  if (!records.some((r) => r.record === 'host')) throw new UsageError(`${path} holds no records: nothing was watched, or it was cut before the first second was written`);
  return records;
}

/** `whydrop replay FILE`: the verdicts of the recording again, on any machine, without privileges. */
export async function replayCommand(path: string, options: ReplayCommandOptions): Promise<void> {
  if (kindOf(path) === 'text') {
    // text of other tools has no records to play again: it is judged as analyze does
    const { analyze } = await import('./analyze.ts');
    return analyze([path], options);
  }
  const records = within(openRecording(path), options);
  const output = createOutput(() => {});
  const formed: { incidents: readonly Incident[]; ms: number }[] = [];
  const first = records[0]?.time ?? 0n;
  const result = replay(records, { filter: checkedFilter(options), onlyCauses: options.cause, onIncidents: (incidents, time) => formed.push({ incidents, ms: Number((time - first) / 1_000_000n) }) });
  if (result === undefined) throw new UsageError(`${path} holds no records`);
  const seen = new Set<string>();
  let at = 0;
  for (const { incidents, ms } of formed) {
    if (options.speed !== undefined) await pause((ms - at) / options.speed);
    at = ms;
    if (options.json === true) output.write(incidents.map(jsonLine).join(''));
    else {
      for (const incident of incidents) {
        if (options.speed === undefined || seen.has(incident.id) || !worthShowing(incident)) continue;
        seen.add(incident.id);
        output.write(`${renderIncident(incident, { ...look(process.stdout, options.plain), compact: true })}\n`);
      }
    }
  }
  const summary: Summary = { type: 'summary', incidents: result.incidents, loss: result.losses, cost: cost(result.eventsSeen) };
  output.write(options.json === true ? jsonLine(summary) : plainSummary(summary, process.stdout, options.plain));
  await output.flush();
  if (options.failOnIncident === true && result.incidents.some((i) => i.severity !== 'info')) process.exitCode = EXIT.incident;
}
