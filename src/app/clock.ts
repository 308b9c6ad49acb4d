import type { Mono } from '../base/brand.ts';
import type { MissedRecord } from '../model/record.ts';
import { realtimeOffset } from '../sources/host.ts';

/** A smaller change is none: reading both clocks is not one instant on a busy machine. ns. */
const STEP_NS = 500_000_000n;

/**
 * Notices that the wall clock was stepped, or stood while the host slept: everything is told on the wall clock as it was when
 * watching began, so that order and intervals stay right, and whoever compares it with logs has to know by how much. Slewing (adjtime) moves both
 * clocks and is no step. Looked at now and then; gives an entry for the loss ledger at each step.
 */
export function watchClock(offset: bigint, read: () => bigint = realtimeOffset): (time: Mono) => MissedRecord | undefined {
  let told = offset;
  return (time) => {
    const seen = read();
    if (seen - told < STEP_NS && told - seen < STEP_NS) return undefined;
    told = seen;
    const off = seen - offset;
    const still = off < STEP_NS && -off < STEP_NS;
    return { record: 'missed', time, source: 'clock', count: 0, text: still ? 'the wall clock was stepped back to where it was when watching began: times agree with it again' : `the wall clock was stepped: from here on it is ${seconds(off < 0n ? -off : off)} ${off < 0n ? 'behind' : 'ahead of'} the times that are shown, which stay on the clock as it was when watching began` };
  };
}

/** `3600.0 s`. */
const seconds = (ns: bigint): string => `${(Number(ns) / 1e9).toFixed(1)} s`;

/** ms of the wall clock as it was when whydrop started, whatever happened to it since: what intervals and rates are measured by. */
export const steadyNow = (): number => performance.timeOrigin + performance.now();
