import { parentPort, workerData } from 'node:worker_threads';
import { UsageError } from './exit.ts';
import { judgeForPage, type Judging } from './serve-recording.ts';

/** Judges one recording aside, so that the live watch of the same server goes on; tells how far it is. */
const { name, bytes } = workerData as { readonly name: string; readonly bytes: Uint8Array };
const tell = (message: Judging): void => parentPort?.postMessage(message);

try {
  const result = judgeForPage(name, bytes, (share) => tell({ share }));
  tell('error' in result ? result : { done: result });
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  tell({ error: error.message });
}
