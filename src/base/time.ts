/** What a Date can hold (ECMA-262, 21.4.1.1): a time that bytes or text claim may lie beyond. */
const MOST_MS = 8.64e15;

/** A time of CLOCK_MONOTONIC as ISO 8601 wall time; `realtimeOffset` is CLOCK_REALTIME minus CLOCK_MONOTONIC, both ns. */
export function isoTime(time: bigint, realtimeOffset: bigint): string {
  const ms = Number((time + realtimeOffset) / 1_000_000n);
  return new Date(Math.min(Math.max(ms, -MOST_MS), MOST_MS)).toISOString();
}
