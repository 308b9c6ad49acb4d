import { renameSync } from 'node:fs';
import type { RawRecord } from '../model/record.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { createRecorder } from '../recording/file.ts';
import { EnvironmentError } from './exit.ts';

/** Writes a recording that is there whole or not at all. */
export function writeRecording(path: string, records: Iterable<RawRecord>): void {
  const aside = `${path}.${process.pid}.part`;
  const recorder = createRecorder(aside);
  if (isUnavailable(recorder)) throw new EnvironmentError(`${recorder.what}: ${recorder.why}`);
  for (const record of records) recorder.write(record);
  recorder.close();
  renameSync(aside, path);
}
