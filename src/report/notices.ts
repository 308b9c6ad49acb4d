import type { Incident, Severity } from '../model/incident.ts';

/**
 * What of the stream of incidents is worth telling someone who is not looking: once when a verdict stands, again when
 * it becomes another or goes on, and when it is over.
 */
export interface Notice {
  readonly event: 'opened' | 'changed' | 'continues' | 'closed';
  readonly incident: Incident;
}

export interface NoticeRules {
  /** Less severe incidents are not told of. */
  readonly severity: Severity;
  /** Of a loss that goes on, a word this often (ms). */
  readonly again: number;
}

/** A verdict gets better in its first moments: told of once it has stood this long (ms). */
export const SETTLED = 2_000;
/** Incidents that are remembered as told; of the oldest beyond that a closing word may be missing. */
const MOST_TOLD = 4_096;

const WEIGHT: Readonly<Record<Severity, number>> = { info: 0, warning: 1, critical: 2 };

interface Told {
  readonly verdict: string;
  readonly count: number;
  readonly at: number;
}

/** Given incidents as they stand and the time (ms), says which to tell of; `last`: what stands now has settled. */
export function createNotices(rules: NoticeRules): (now: number, incidents: readonly Incident[], last?: boolean) => readonly Notice[] {
  const seen = new Map<string, number>();
  const told = new Map<string, Told>();

  const event = (now: number, incident: Incident, last: boolean): Notice['event'] | undefined => {
    const before = told.get(incident.id);
    if (incident.state === 'closed') return before === undefined ? undefined : 'closed';
    if (before === undefined) {
      const first = seen.get(incident.id) ?? now;
      seen.set(incident.id, first);
      return last || now - first >= SETTLED ? 'opened' : undefined;
    }
    if (!last && now - before.at < SETTLED) return undefined;
    if (before.verdict !== verdictOf(incident)) return 'changed';
    return incident.count > before.count && now - before.at >= rules.again ? 'continues' : undefined;
  };

  return (now, incidents, last = false) => {
    const notices: Notice[] = [];
    for (const incident of incidents) {
      if (WEIGHT[incident.severity] < WEIGHT[rules.severity] && !told.has(incident.id)) continue;
      const what = event(now, incident, last);
      if (what === undefined) continue;
      notices.push({ event: what, incident });
      seen.delete(incident.id);
      told.delete(incident.id);
      if (what !== 'closed') told.set(incident.id, { verdict: verdictOf(incident), count: incident.count, at: now });
    }
    for (const map of [seen, told]) {
      for (const id of map.keys()) {
        if (map.size <= MOST_TOLD) break;
        map.delete(id);
      }
    }
    return notices;
  };
}

const verdictOf = (i: Incident): string => `${i.cause.id}\n${i.severity}\n${i.culprit.text}`;
