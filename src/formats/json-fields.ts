/** Reading fields of untrusted JSON: a wrong type is an absent field. */
export type Json = Readonly<Record<string, unknown>>;

export const isObject = (v: unknown): v is Json => typeof v === 'object' && v !== null && !Array.isArray(v);
export const text = (o: Json, key: string): string | undefined => (typeof o[key] === 'string' ? o[key] : undefined);
export const number = (o: Json, key: string): number | undefined => (typeof o[key] === 'number' ? o[key] : undefined);
export const strings = (o: Json, key: string): readonly string[] => (Array.isArray(o[key]) ? o[key].filter((v): v is string => typeof v === 'string') : []);
export const objects = (o: Json, key: string): readonly Json[] => (Array.isArray(o[key]) ? o[key].filter(isObject) : []);
export const object = (o: Json, key: string): Json => (isObject(o[key]) ? o[key] : {});
export const flag = (o: Json, key: string): boolean => o[key] === true || o[key] === null;

export interface Decoded<T> {
  readonly values: readonly T[];
  /** `malformed`: not JSON, or not a list. Objects that do not fit are left out and counted. */
  readonly status: 'ok' | 'malformed';
  readonly skipped: number;
}

/** A list of objects out of JSON text; iproute2 prints nothing at all, or a bare `[`, for an empty list. */
export function decodeList<T>(source: string, decode: (o: Json) => T | undefined): Decoded<T> {
  const trimmed = source.trim();
  if (trimmed === '' || trimmed === '[') return { values: [], status: 'ok', skipped: 0 };
  let parsed: unknown;
  try {
    parsed = JSON.parse(trimmed);
  } catch (error) {
    if (error instanceof SyntaxError) return { values: [], status: 'malformed', skipped: 0 };
    throw error;
  }
  return decodeArray(parsed, decode);
}

export function decodeArray<T>(parsed: unknown, decode: (o: Json) => T | undefined): Decoded<T> {
  if (!Array.isArray(parsed)) return { values: [], status: 'malformed', skipped: 0 };
  const values: T[] = [];
  let skipped = 0;
  for (const item of parsed) {
    const value = isObject(item) ? decode(item) : undefined;
    if (value === undefined) skipped += isObject(item) && Object.keys(item).length === 0 ? 0 : 1;
    else values.push(value);
  }
  return { values, status: 'ok', skipped };
}

/** Bounded number out of a word, decimal or `0x…`. */
export function wordNumber(word: unknown): number | undefined {
  if (typeof word === 'number') return Number.isFinite(word) ? word : undefined;
  if (typeof word !== 'string' || !/^(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})$/.test(word)) return undefined;
  return Number(word);
}
