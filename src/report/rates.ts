import type { Incident } from '../model/incident.ts';
import type { RateSeries } from './watch-state.ts';

/** Losses a second by cause, from counts that only grow. */
export interface Rates {
  /** The newest incidents at `now` (ms). May be called at any pace; whole seconds are kept. */
  add(now: number, incidents: readonly Incident[]): void;
  /** All series have the same length and end with the last whole second. */
  series(): readonly RateSeries[];
}

/** A verdict takes a moment: losses that are told so many seconds after the last of them are drawn where they were. */
const LATEST = 5;

/** Keeps `seconds` of history. The first call sets where counting begins. */
export function createRates(seconds = 300): Rates {
  const counts = new Map<string, { cause: string; count: number }>();
  const series = new Map<string, number[]>();
  let begun = false;
  let second = 0;
  let length = 0;
  const pending = new Map<string, number>();

  const close = (): void => {
    for (const cause of pending.keys()) if (!series.has(cause)) series.set(cause, Array.from({ length }, () => 0));
    for (const [cause, values] of series) values.push(pending.get(cause) ?? 0);
    length += 1;
    pending.clear();
    if (length <= seconds) return;
    length = seconds;
    for (const [cause, values] of series) {
      values.shift();
      if (values.every((v) => v === 0)) series.delete(cause);
    }
  };

  return {
    add: (now, incidents) => {
      const at = Math.floor(now / 1000);
      if (!begun) second = at;
      // a sleep of hours closes no more seconds than are kept
      for (let behind = Math.min(at - second, seconds + 1); behind > 0; behind--) close();
      second = Math.max(at, second);
      for (const incident of incidents) {
        const before = counts.get(incident.id);
        // a count that shrank was shared out anew between incidents: no packet was found again
        const more = Math.max(0, incident.count - (before?.count ?? 0));
        counts.set(incident.id, { cause: incident.cause.id, count: Math.max(incident.count, before?.count ?? 0) });
        if (more === 0) continue;
        const late = second - Math.floor(Date.parse(incident.last) / 1000);
        if (late >= 1 && late <= Math.min(LATEST, length)) {
          const values = series.get(incident.cause.id) ?? Array.from({ length }, () => 0);
          series.set(incident.cause.id, values);
          values[length - late]! += more;
        } else pending.set(incident.cause.id, (pending.get(incident.cause.id) ?? 0) + more);
      }
      begun = true;
    },
    series: () => [...series].map(([cause, perSecond]) => ({ cause, perSecond: [...perSecond] })),
  };
}
