import { existsSync, renameSync } from 'node:fs';
import { isUnavailable } from '../model/unavailable.ts';
import { EnvironmentError, UsageError } from './exit.ts';
import { createKeeper, type Keeper } from './keep.ts';
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
 * when an incident forms and on SIGUSR1; what came since then is added every ten seconds while incidents go on, and at the end.
 */
export async function record(options: RecordOptions): Promise<void> {
  if (options.output === undefined) throw new UsageError('record needs -o FILE');
  const keeper = createKeeper(options.output, { ...(options.maxSize === undefined ? {} : { maxSize: options.maxSize }), ...(options.ring === undefined ? {} : { ring: options.ring }) });
  if (isUnavailable(keeper)) throw new EnvironmentError(`${keeper.what}: ${keeper.why}`, keeper.fix);
  await watch(options, options.redact === true ? await redacting(keeper, options.output) : keeper, options.ring === undefined);
}

/** A recording that could not be redacted does not keep the name of one that was. */
async function redacting(keeper: Keeper, output: string): Promise<Keeper> {
  const { redactCommand } = await import('./redact.ts');
  return {
    ...keeper,
    close: () => {
      keeper.close();
      if (!existsSync(output)) return;
      try {
        redactCommand(output, { output });
      } catch (error) {
        renameSync(output, `${output}.not-redacted`);
        process.stderr.write(`whydrop: ${output} could not be redacted; what was recorded is in ${output}.not-redacted\n`);
        throw error;
      }
    },
  };
}
