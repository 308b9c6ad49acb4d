import { mutateBytes, mutateText, randomSequence } from './fuzz.ts';
import type { Target } from './targets.ts';

/** What was wrong with one input. */
export interface Fault {
  readonly input: Uint8Array | string;
  readonly what: string;
}
export interface RunOptions {
  readonly target: Target;
  readonly seed: number;
  /** Stops at either. */
  readonly inputs: number;
  readonly ms: number;
  /** The longest that one input may take, ms of CPU. */
  readonly limit: number;
  /** Told of each input before it is tried: whoever watches from outside knows what hung. */
  readonly trying?: (input: Uint8Array | string) => void;
}

const POOL = 400;

/**
 * Mutates seeds, and those mutants that made the decoder answer in a new form. Whatever the input, the answer must come in
 * time, be no exception, and be no larger than what was read explains. Deterministic but for when time ends it.
 */
export function fuzzTarget(options: RunOptions): { readonly tried: number; readonly forms: number; readonly faults: readonly Fault[] } {
  const { target } = options;
  const next = randomSequence(options.seed);
  const pool: (Uint8Array | string)[] = [...target.seeds];
  const forms = new Set<string>();
  const faults: Fault[] = [];
  const said = new Set<string>();
  const began = performance.now();
  let tried = 0;
  for (; tried < options.inputs; tried++) {
    if ((tried & 31) === 0 && performance.now() - began > options.ms) break;
    const input = tried < target.seeds.length ? pool[tried]! : target.kind === 'bytes' ? mutateBytes(near(pool as Uint8Array[], next), next) : mutateText(near(pool as string[], next), next);
    options.trying?.(input);
    const result = attempt(target, input, options.limit);
    if ('fault' in result) {
      const key = result.fault.replace(/\d+/g, 'N').slice(0, 200); // one input of each kind is enough
      if (!said.has(key)) faults.push({ input, what: result.fault });
      said.add(key);
      continue;
    }
    if (forms.size < 20_000 && !forms.has(result.form)) {
      forms.add(result.form);
      if (pool.length < POOL) pool.push(input);
      else pool[target.seeds.length + next(POOL - target.seeds.length)] = input;
    }
  }
  return { tried, forms: forms.size, faults };
}

/** What is wrong with how one input is decoded, if anything. */
export function tryOnce(target: Target, input: Uint8Array | string, limit: number): string | undefined {
  const result = attempt(target, input, limit);
  return 'fault' in result ? result.fault : undefined;
}

function attempt(target: Target, input: Uint8Array | string, limit: number): { readonly form: string } | { readonly fault: string } {
  const before = process.threadCpuUsage(); // the machine may be busy with others
  try {
    const value = target.kind === 'bytes' ? target.decode(input as Uint8Array) : target.decode(input as string);
    const { user, system } = process.threadCpuUsage(before);
    const took = (user + system) / 1000;
    if (took > limit) return { fault: `takes ${took.toFixed(0)} ms for ${input.length}` };
    const size = { nodes: 0, text: 0 };
    const form = formOf(value, 0, size);
    // a byte may become a few values, never thousands; what is constant in size (tables of counters) stays small
    if (size.nodes > 20_000 + 200 * input.length) return { fault: `${size.nodes} values out of ${input.length}` };
    if (size.text > 200_000 + 400 * input.length) return { fault: `${size.text} characters out of ${input.length}` };
    return { form };
  } catch (error) {
    return { fault: `throws ${error instanceof Error ? (error.stack ?? error.message).split('\n', 4).join(' ') : String(error)}` };
  }
}

/** A result without its values: which fields there are, which words. */
function formOf(value: unknown, depth: number, size: { nodes: number; text: number }): string {
  size.nodes += 1;
  if (typeof value === 'string') {
    size.text += value.length;
    return value.length < 12 && /^[a-z-]+$/.test(value) ? value : 's';
  }
  if (typeof value !== 'object' || value === null) return (typeof value)[0] ?? '';
  if (ArrayBuffer.isView(value)) {
    size.text += value.byteLength;
    return 'b';
  }
  if (depth > 24) return '…';
  const parts = new Set<string>();
  if (Array.isArray(value) || value instanceof Set || value instanceof Map) for (const v of value as Iterable<unknown>) parts.add(formOf(v, depth + 1, size));
  else for (const [k, v] of Object.entries(value)) parts.add(`${k}:${formOf(v, depth + 1, size)}`);
  const form = [...parts].join();
  return `{${form.length > 400 ? `${form.slice(0, 400)}${form.length}` : form}}`;
}

/** Three of the pool, so that a splice joins neighbours of one run, and the mutator chooses cheaply. */
function near<T>(pool: readonly T[], next: (below: number) => number): readonly T[] {
  return [pool[next(pool.length)]!, pool[next(pool.length)]!, pool[next(pool.length)]!];
}
