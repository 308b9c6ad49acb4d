import type { Address } from '../base/brand.ts';
import type { Event } from '../model/event.ts';
import type { RawRecord } from '../model/record.ts';
import { isUnavailable, type Unavailable } from '../model/unavailable.ts';
import { createBlackBox } from '../recording/black-box.ts';
import { createRecorder } from '../recording/file.ts';
import { tryRecording } from './write-recording.ts';
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
  /** Resolves when writing has failed: a disk is full, mostly. What was written until then can be read. */
  readonly failed: Promise<Unavailable>;
  /** Why the file is not what it should be. */
  readonly failure: () => Unavailable | undefined;
}

const FLUSH_MS = 1_000;
/** A black box is written this often at most. */
const AGAIN_MS = 10_000;

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

  let fail!: (why: Unavailable) => void;
  const failed = new Promise<Unavailable>((done) => (fail = done));
  if (options.ring !== undefined) {
    const box = createBlackBox(BigInt(options.ring) * 1_000_000n);
    let failure: Unavailable | undefined;
    let timer: NodeJS.Timeout | undefined;
    let writtenAt = -Infinity;
    const put = (): void => {
      clearTimeout(timer);
      timer = undefined;
      const symbols = symbolRecord();
      if (symbols !== undefined) box.write(symbols);
      failure = tryRecording(path, box.records(), options.maxSize);
      writtenAt = performance.now();
      if (failure !== undefined) fail(failure);
    };
    return {
      write: box.write,
      event,
      // an incident that goes on is told each second: what came since is written now and then, and at the end
      trigger: () => {
        if (performance.now() - writtenAt >= AGAIN_MS) put();
        else timer ??= setTimeout(put, AGAIN_MS);
      },
      close: () => {
        if (timer !== undefined) put();
      },
      failed,
      failure: () => failure,
    };
  }
  const recorder = createRecorder(path, options.maxSize);
  if (isUnavailable(recorder)) return recorder;
  const flush = (): void => {
    const symbols = symbolRecord();
    if (symbols !== undefined) recorder.write(symbols);
    recorder.flush();
    if (recorder.failure !== undefined) fail(recorder.failure);
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
    failed,
    failure: () => recorder.failure,
  };
}
