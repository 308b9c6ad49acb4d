import { existsSync } from 'node:fs';
import { isUnavailable } from '../model/unavailable.ts';
import { EnvironmentError, UsageError } from './exit.ts';
import { createKeeper } from './keep.ts';
import { watch, type WatchOptions } from './watch.ts';

export interface RecordOptions extends Omit<WatchOptions, 'record'> {
  readonly output: string;
  /** Milliseconds kept in memory. */
  readonly ring?: number;
  /** Bytes. */
  readonly maxSize?: number;
  /** Rewritten at the end without addresses, names and payload; until then the file has them. */
  readonly redact?: boolean;
}

/**
 * `whydrop record -o FILE`: what the sources deliver, raw. With `--ring` the last minutes are kept in memory and written
 * when an incident forms, on SIGUSR1, and at the end if nothing was written before.
 */
export async function record(options: RecordOptions): Promise<void> {
  if (options.output === undefined) throw new UsageError('record needs -o FILE');
  const keeper = createKeeper(options.output, { ...(options.maxSize === undefined ? {} : { maxSize: options.maxSize }), ...(options.ring === undefined ? {} : { ring: options.ring }) });
  if (isUnavailable(keeper)) throw new EnvironmentError(`${keeper.what}: ${keeper.why}`);
  await watch(options, keeper);
  if (options.redact === true && existsSync(options.output)) (await import('./redact.ts')).redactCommand(options.output, { output: options.output });
}
