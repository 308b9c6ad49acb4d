import { readFileSync } from 'node:fs';
import { isUnavailable, type Maybe } from '../model/unavailable.ts';
import { readingFailed } from './read.ts';

let text: Maybe<Uint8Array> | undefined;

/** /proc/kallsyms, 5 MB of text, read at the first use (some 50 ms) and kept. `again` reads it anew: modules come and go. */
export function readKallsyms(again = false): Maybe<Uint8Array> {
  if (text === undefined || again || isUnavailable(text)) {
    try {
      text = readFileSync('/proc/kallsyms');
    } catch (error) {
      text = readingFailed('/proc/kallsyms', error);
    }
  }
  return text;
}
