import assert from 'node:assert/strict';

/**
 * One harness for every decoder: seeds are mutated by a fixed pseudo-random sequence, and for each input
 * the decoder must come back in time, not throw, not look past the end of its input, and say the same twice.
 */
export interface FuzzOptions<T extends Uint8Array | string> {
  /** Real inputs, small. */
  readonly seeds: readonly T[];
  readonly decode: (input: T) => unknown;
  /** Inputs tried in all; 2000 unless told. */
  readonly rounds?: number;
  /** The longest that one input may take, ms; 5000 unless told: the machine may be busy, and what hangs takes longer. */
  readonly limit?: number;
  readonly seed?: number;
}

/** xorshift32: the same sequence everywhere. */
export function randomSequence(seed: number): (below: number) => number {
  let x = seed | 0 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % Math.max(1, below);
  };
}

export function fuzzBytes(options: FuzzOptions<Uint8Array>): void {
  const next = randomSequence(options.seed ?? 0x5eed);
  const inputs = function* (): Iterable<Uint8Array> {
    for (const seed of options.seeds) {
      yield seed;
      for (let n = 0; n <= Math.min(seed.length, 256); n++) yield seed.slice(0, n); // every truncation of the head
    }
    for (let i = 0; i < (options.rounds ?? 2000); i++) yield mutateBytes(options.seeds, next);
  };
  for (const input of inputs()) {
    // surrounded by other bytes, twice by different ones: a decoder that reads outside of its view says two things
    const results = [0x00, 0xff].map((around) => {
      const memory = new Uint8Array(input.length + 128).fill(around);
      memory.set(input, 64);
      return attempt(() => options.decode(memory.subarray(64, 64 + input.length)), options.limit ?? 5000, input);
    });
    assert.deepEqual(results[1], results[0], `says two things of ${describe(input)}`);
  }
}

export function fuzzText(options: FuzzOptions<string>): void {
  const next = randomSequence(options.seed ?? 0x7e47);
  const inputs = function* (): Iterable<string> {
    for (const seed of options.seeds) {
      yield seed;
      for (let n = 0; n <= Math.min(seed.length, 400); n++) yield seed.slice(0, n);
    }
    for (let i = 0; i < (options.rounds ?? 2000); i++) yield mutateText(options.seeds, next);
  };
  for (const input of inputs()) {
    const one = attempt(() => options.decode(input), options.limit ?? 5000, input);
    assert.deepEqual(attempt(() => options.decode(input), options.limit ?? 5000, input), one, `says two things of ${describe(input)}`);
  }
}

function attempt(decode: () => unknown, limit: number, input: Uint8Array | string): unknown {
  const start = performance.now();
  let result: unknown;
  try {
    result = withoutFunctions(decode());
  } catch (error) {
    assert.fail(`throws ${String(error instanceof Error ? error.stack : error)} on ${describe(input)}`);
  }
  const took = performance.now() - start;
  assert.ok(took < limit, `takes ${took.toFixed(0)} ms on ${describe(input)}`);
  return result;
}

/** Closures of two runs are never equal; what they close over is compared through the data beside them. */
function withoutFunctions(value: unknown, depth = 0): unknown {
  if (typeof value === 'function') return 'function';
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || depth > 12) return value;
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [k, withoutFunctions(v, depth + 1)]));
  if (value instanceof Set) return value;
  if (Array.isArray(value)) return value.map((v) => withoutFunctions(v, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, withoutFunctions(v, depth + 1)]));
}

function describe(input: Uint8Array | string): string {
  return typeof input === 'string' ? JSON.stringify(input.slice(0, 2000)) : `bytes ${Buffer.from(input).toString('hex').slice(0, 4000)} (${input.length})`;
}

const INTERESTING = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 20, 28, 29, 30, 31, 32, 40, 63, 64, 127, 128, 254, 255];

export function mutateBytes(seeds: readonly Uint8Array[], next: (below: number) => number): Uint8Array {
  let bytes = Uint8Array.from(seeds[next(seeds.length)] ?? []);
  for (let n = 1 + next(6); n > 0; n--) {
    const at = next(bytes.length);
    switch (next(8)) {
      case 0: bytes[at] = next(256); break;
      case 1: bytes[at] = INTERESTING[next(INTERESTING.length)]!; break;
      case 2: bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8)); break;
      case 3: for (let i = 0; i < 4 && at + i < bytes.length; i++) bytes[at + i] = next(2) === 0 ? 0xff : 0; break;
      case 4: bytes = bytes.slice(0, at); break;
      case 5: bytes = joined(bytes.slice(0, at), bytes.slice(Math.min(bytes.length, at + 1 + next(16)))); break;
      case 6: bytes = joined(bytes.slice(0, at), bytes.slice(at, at + 1 + next(32)), bytes.slice(at)); break;
      default: {
        const other = seeds[next(seeds.length)] ?? bytes;
        bytes = joined(bytes.slice(0, at), other.slice(next(other.length)));
      }
    }
  }
  return bytes.length > 1 << 17 ? bytes.slice(0, 1 << 17) : bytes;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts));
}

const WORDS = ['0', '-1', '4294967296', '99999999999999999999', '0x', '{', '}', '[', ']', '"', ',', '\n', '\t', ' ', '\u0000', '\u202e', '\ud800', ':', '=', '%', '\\', '__proto__', 'constructor', '(((('];

export function mutateText(seeds: readonly string[], next: (below: number) => number): string {
  let text = seeds[next(seeds.length)] ?? '';
  for (let n = 1 + next(6); n > 0; n--) {
    const at = next(text.length + 1);
    switch (next(6)) {
      case 0: text = text.slice(0, at) + WORDS[next(WORDS.length)] + text.slice(at + next(4)); break;
      case 1: text = text.slice(0, at) + text.slice(at + 1 + next(20)); break;
      case 2: text = text.slice(0, at) + text.slice(at, at + 1 + next(80)) + text.slice(at); break;
      case 3: text = text.slice(0, at) + String.fromCharCode(next(256)) + text.slice(at + 1); break;
      case 4: text = text.slice(0, at); break;
      default: {
        const other = seeds[next(seeds.length)] ?? '';
        text = text.slice(0, at) + other.slice(next(other.length + 1));
      }
    }
  }
  return text.slice(0, 1 << 17);
}
