/** A time of CLOCK_MONOTONIC as ISO 8601 wall time; `realtimeOffset` is CLOCK_REALTIME minus CLOCK_MONOTONIC, both ns. */
export function isoTime(time: bigint, realtimeOffset: bigint): string {
  return new Date(Number((time + realtimeOffset) / 1_000_000n)).toISOString();
}
