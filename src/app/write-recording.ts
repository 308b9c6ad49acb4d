import { renameSync, rmSync } from 'node:fs';
import type { RawRecord } from '../model/record.ts';
import { isUnavailable, type Unavailable } from '../model/unavailable.ts';
import { createRecorder } from '../recording/file.ts';
import { EnvironmentError } from './exit.ts';

/** Writes a recording that is there whole or not at all; gives why not. */
export function tryRecording(path: string, records: Iterable<RawRecord>, maxSize?: number): Unavailable | undefined {
  const aside = `${path}.${process.pid}.part`;
  const recorder = createRecorder(aside, maxSize);
  if (isUnavailable(recorder)) return { ...recorder, what: `creating ${path}` };
  for (const record of records) recorder.write(record);
  recorder.close();
  const { failure } = recorder;
  if (failure === undefined) renameSync(aside, path);
  else rmSync(aside, { force: true });
  return failure === undefined ? undefined : { ...failure, what: `writing ${path}` };
}

export function writeRecording(path: string, records: Iterable<RawRecord>): void {
  const failure = tryRecording(path, records);
  if (failure !== undefined) throw new EnvironmentError(`${failure.what}: ${failure.why}`, failure.fix);
}
