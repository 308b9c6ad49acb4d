import type { Unavailable } from '../../model/unavailable.ts';

/** Answers in JSON are read without trust: what is not there, or of another kind, is undefined. */
export function json(body: string | Uint8Array, what: string): unknown {
  try {
    const value: unknown = JSON.parse(typeof body === 'string' ? body : new TextDecoder().decode(body));
    return value;
  } catch {
    // what is wrong where is of no use to anyone
    return { unavailable: 'malformed', what, why: 'not JSON' } satisfies Unavailable;
  }
}

export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

export function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function integer(value: unknown): number | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
