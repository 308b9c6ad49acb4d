import { readFileSync } from 'node:fs';
import type { Maybe } from '../model/unavailable.ts';
import { readingFailed } from './read.ts';

/** Whoever uses it holds it: weak, so that it is read once for all of them, and does not stay. */
let last: WeakRef<Uint8Array> | undefined;

/** /proc/kallsyms, 5 MB of text, which the kernel writes in some 40 ms. */
export function readKallsyms(): Maybe<Uint8Array> {
  const known = last?.deref();
  if (known !== undefined) return known;
  try {
    const text = readFileSync('/proc/kallsyms');
    last = new WeakRef(text);
    return text;
  } catch (error) {
    return readingFailed('/proc/kallsyms', error);
  }
}
