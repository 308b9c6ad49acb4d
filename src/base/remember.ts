/**
 * What was decoded from the same words before, and that again: sockets, tasks and stacks repeat, and their values are
 * immutable. A table with one place for each hash: a look allocates nothing, a clash forgets the older one.
 *
 * `make` decodes `words` 32-bit words at `at`; it must depend on nothing else. More than `most` words are never kept.
 */
export function remember<T>(most: number, places: 64 | 256 | 1024, make: (v: DataView, at: number, words: number) => T): (v: DataView, at: number, words: number) => T {
  let keys = new Uint32Array(0); // made when it is needed
  const values: (T | undefined)[] = [];
  const mask = places - 1;
  /** Whether these are the words of that key. */
  const same = (v: DataView, at: number, words: number, key: number): boolean => {
    if (keys[key] !== words) return false;
    let i = 0;
    while (i < words && keys[key + 1 + i] === v.getUint32(at + 4 * i, true)) i++;
    return i === words;
  };
  let last = 0; // the same again, as in a flood, needs no hash
  return (v, at, words) => {
    if (words > most || at + 4 * words > v.byteLength) return make(v, at, words);
    if (values.length > 0 && same(v, at, words, last * (most + 1))) {
      const known = values[last];
      if (known !== undefined) return known;
    }
    let hash = words;
    const step = words > 16 ? 2 : 1; // the high halves of addresses tell little
    for (let i = 0; i < words; i += step) hash = Math.imul(hash ^ v.getUint32(at + 4 * i, true), 0x9e3779b1) ^ (hash >>> 15);
    const place = (hash ^ (hash >>> 16)) & mask;
    last = place;
    const key = place * (most + 1);
    const known = values[place];
    if (known !== undefined && same(v, at, words, key)) return known;
    if (keys.length === 0) {
      keys = new Uint32Array(places * (most + 1));
      for (let i = 0; i < places; i++) values.push(undefined);
    }
    keys[key] = words;
    for (let i = 0; i < words; i++) keys[key + 1 + i] = v.getUint32(at + 4 * i, true);
    return (values[place] = make(v, at, words));
  };
}

/** One value made for each object, kept as long as that is; the last is at hand. */
export function forEach<K extends WeakKey, T>(make: (of: K) => T): (of: K) => T {
  const made = new WeakMap<K, T>();
  let last: { readonly of: K; readonly value: T } | undefined;
  return (of) => {
    if (last?.of === of) return last.value;
    const value = made.get(of) ?? make(of);
    made.set(of, value);
    last = { of, value };
    return value;
  };
}

/** {@link remember} for text made of `size` bytes: addresses. Undefined where they are not there. */
export function rememberText(size: number, places: 256 | 1024, make: (b: Uint8Array, at: number) => string): (b: Uint8Array, at: number) => string | undefined {
  let keys = new Uint8Array(0);
  const values: string[] = [];
  const mask = places - 1;
  return (b, at) => {
    if (at < 0 || at + size > b.length) return undefined;
    let hash = size;
    for (let i = 0; i < size; i++) hash = Math.imul(hash ^ b[at + i]!, 0x9e3779b1) ^ (hash >>> 15);
    const place = (hash ^ (hash >>> 16)) & mask;
    const key = place * size;
    if (keys.length === 0) {
      keys = new Uint8Array(places * size);
      for (let i = 0; i < places; i++) values.push('');
    }
    const known = values[place]!;
    if (known !== '') {
      let same = 0;
      while (same < size && keys[key + same] === b[at + same]) same++;
      if (same === size) return known;
    }
    for (let i = 0; i < size; i++) keys[key + i] = b[at + i]!;
    return (values[place] = make(b, at));
  };
}
