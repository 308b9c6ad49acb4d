import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Judging, PageRecording } from './serve-recording.ts';

/** What judging one recording may take. The thread that judges is ended beyond it; the server lives on. */
export const MOST_MEMORY_MB = 1_024;

/** Beside the bundle, or the source in a checkout. */
const WORKER = ['./recording-worker.js', './recording-worker.ts'].map((name) => new URL(name, import.meta.url)).find((url) => existsSync(url));

/**
 * Judges a recording in a thread of its own. `progress` is told a share between 0 and 1; `cancel` ends the thread at once.
 */
export function judgeAside(name: string, bytes: Uint8Array, progress: (share: number) => void, cancel: AbortSignal): Promise<PageRecording | { readonly error: string }> {
  return new Promise((done) => {
    if (WORKER === undefined) return done({ error: 'recording-worker.js is not built: npm run build' });
    const own = new Uint8Array(bytes); // a Buffer may lie in Node's pool, which cannot be given away
    const worker = new Worker(WORKER, { workerData: { name, bytes: own }, transferList: [own.buffer as ArrayBuffer], resourceLimits: { maxOldGenerationSizeMb: MOST_MEMORY_MB } });
    const end = (result: PageRecording | { readonly error: string }): void => {
      cancel.removeEventListener('abort', cancelled);
      void worker.terminate();
      done(result);
    };
    const cancelled = (): void => end({ error: `${name}: cancelled` });
    if (cancel.aborted) return cancelled();
    cancel.addEventListener('abort', cancelled);
    worker.on('message', (message: Judging) => {
      if ('share' in message) progress(message.share);
      else end('done' in message ? message.done : message);
    });
    worker.on('error', (error: NodeJS.ErrnoException) => end({ error: error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? `${name} takes more than ${MOST_MEMORY_MB} MB to judge here: whydrop replay judges it in a terminal, with --from and --to a part of it` : `${name}: ${error.message}` }));
    worker.on('exit', (code) => end({ error: `${name}: judging ended with ${code}` }));
  });
}
