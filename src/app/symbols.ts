import type { Address } from '../base/brand.ts';
import type { Place } from '../model/event.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { readKallsyms } from '../sources/kallsyms.ts';
import { symbolsOf, type Symbols } from '../timeline/symbols.ts';

/** The text is let go when no new address was asked for this long: 5 MB, and read again in 40 ms. */
const KEPT_MS = 30_000;
/** Places whose names are remembered meanwhile. */
const REMEMBERED = 20_000;

let symbols: Symbols | undefined;

/** The running kernel's functions, read when an address has no known name yet; without names when they can't be read. */
export function symbolsOnce(): Symbols {
  return (symbols ??= readWhenAsked());
}

function readWhenAsked(): Symbols {
  let read: Symbols | undefined;
  let used = 0;
  const now = (): Symbols => {
    used = performance.now();
    if (read === undefined) {
      const text = readKallsyms();
      read = symbolsOf(isUnavailable(text) ? '' : text);
      letGoLater(KEPT_MS);
    }
    return read;
  };
  const letGoLater = (ms: number): void => {
    setTimeout(() => {
      const left = used + KEPT_MS - performance.now();
      if (left > 0) letGoLater(left);
      else read = undefined;
    }, ms).unref();
  };
  const remembered = (find: (address: Address) => Place): ((address: Address) => Place) => {
    const places = new Map<Address, Place>();
    return (address) => {
      let place = places.get(address);
      if (place === undefined) {
        place = find(address);
        if (places.size >= REMEMBERED) places.clear();
        places.set(address, place);
      }
      return place;
    };
  };
  return {
    get status() {
      return now().status;
    },
    count: () => now().count(),
    find: remembered((address) => now().find(address)),
    findReturn: remembered((address) => now().findReturn(address)),
    line: (address) => now().line(address),
  };
}
