import { isUnavailable } from '../model/unavailable.ts';
import { readKallsyms } from '../sources/kallsyms.ts';
import { symbolsOf, type Symbols } from '../timeline/symbols.ts';

let symbols: Symbols | undefined;

/** The running kernel's functions, read at the first use and kept; without a name for any place when they can't be read. */
export function symbolsOnce(): Symbols {
  if (symbols === undefined) {
    const text = readKallsyms();
    symbols = symbolsOf(isUnavailable(text) ? '' : text);
  }
  return symbols;
}

/** Anew: after a module was loaded, or an address had no name. Some 60 ms. */
export function symbolsAgain(): Symbols {
  const text = readKallsyms(true);
  symbols = symbolsOf(isUnavailable(text) ? '' : text);
  return symbols;
}
