import type { Address } from '../base/brand.ts';
import type { Event } from '../model/event.ts';
import type { RawRecord } from '../model/record.ts';
import { isUnavailable, type Unavailable } from '../model/unavailable.ts';
import { createBlackBox } from '../recording/black-box.ts';
import { createRecorder } from '../recording/file.ts';
import { symbolLines } from '../timeline/symbols.ts';
import { now } from './session.ts';
import { symbolsOnce } from './symbols.ts';

/** Keeps what is seen. Fed with records and with the events that they decode to: those name the symbols to keep. */
export interface Keeper {
  write(record: RawRecord): void;
  event(event: Event): void;
  /** Writes what is in the black box; does nothing for a plain recording. */
  trigger(): void;
  close(): void;
}

const FLUSH_MS = 1_000;

/** To a file, at most a second behind; or, with `ring` (ms), the last minutes in memory until {@link Keeper.trigger}. */
export function createKeeper(path: string, options: { readonly maxSize?: number; readonly ring?: number }): Keeper | Unavailable {
  const known = new Set<Address>();
  const fresh = new Set<Address>();
  const symbolRecord = (): RawRecord | undefined => {
    if (fresh.size === 0) return undefined;
    const text = symbolLines(symbolsOnce(), [...fresh]);
    for (const address of fresh) known.add(address);
    fresh.clear();
    return { record: 'symbols', time: now(), text };
  };
  const event = (e: Event): void => {
    const see = (address: Address): void => {
      if (!known.has(address)) fresh.add(address);
    };
    if (e.kind === 'drop') {
      see(e.place.address);
      for (const frame of e.stack) see(frame.address);
    } else if (e.kind === 'drop-count') see(e.place.address);
  };

  if (options.ring !== undefined) {
    const box = createBlackBox(BigInt(options.ring) * 1_000_000n);
    return {
      write: box.write,
      event,
      trigger: () => {
        const symbols = symbolRecord();
        if (symbols !== undefined) box.write(symbols);
        const recorder = createRecorder(path, options.maxSize);
        if (isUnavailable(recorder)) return void process.stderr.write(`whydrop: ${recorder.what}: ${recorder.why}\n`);
        for (const record of box.records()) recorder.write(record);
        recorder.close();
      },
      close: () => {},
    };
  }
  const recorder = createRecorder(path, options.maxSize);
  if (isUnavailable(recorder)) return recorder;
  const flush = (): void => {
    const symbols = symbolRecord();
    if (symbols !== undefined) recorder.write(symbols);
    recorder.flush();
  };
  const timer = setInterval(flush, FLUSH_MS);
  return {
    write: recorder.write,
    event,
    trigger: () => {},
    close: () => {
      clearInterval(timer);
      flush();
      recorder.close();
    },
  };
}
