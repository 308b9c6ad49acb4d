import type { RawRecord } from '../model/record.ts';

/** Upgraders[n] turns records of version n into version n + 1. Nothing else in whydrop knows old shapes. */
const UPGRADERS: Readonly<Record<number, (records: readonly RawRecord[]) => readonly RawRecord[]>> = {};

/** Brings records of an old recording to today's shape. */
export function upgrade(records: readonly RawRecord[], version: number): readonly RawRecord[] {
  let current = records;
  for (let v = version; ; v++) {
    const next = UPGRADERS[v];
    if (next === undefined) return current;
    current = next(current);
  }
}
