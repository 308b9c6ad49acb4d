import { UsageError } from './exit.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `10s`, `500ms`, `2m`, `1h`, `10` (seconds) → milliseconds. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  const value = Number(match?.[1]);
  if (match === null || !(value > 0)) throw new UsageError(`not a duration: ${text} (write 10s, 500ms, 2m or 1h)`);
  return value * (UNITS[match[2] ?? 's'] ?? 1000);
}
