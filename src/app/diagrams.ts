import { isoTime } from '../base/time.ts';
import type { CallEvent, ConntrackEvent, DropEvent, Event, ExecEvent } from '../model/event.ts';
import type { Incident } from '../model/incident.ts';
import { sequenceOf, type Diagram } from '../report/index.ts';

/** Sequence diagrams of incidents whose story is one of time: who deleted, who was first, who lost. */
export interface Diagrams {
  event(event: Event): void;
  /** Draws what is new among the incidents, while the events around it are still here. */
  incidents(incidents: readonly Incident[]): void;
  readonly all: ReadonlyMap<string, Diagram>;
}

type Timed = DropEvent | CallEvent | ExecEvent | ConntrackEvent;

const TIMED = 'conntrack.insert-race';
/** Events kept: some seconds of a busy flow. */
const KEPT = 4_000;
/** Before the loss and after it, ns. */
const BEFORE = 2_000_000_000n;
const AFTER = 500_000_000n;

export function createDiagrams(realtimeOffset: bigint): Diagrams {
  let recent: Timed[] = [];
  const all = new Map<string, Diagram>();
  return {
    all,
    event: (event) => {
      if (event.kind !== 'drop' && event.kind !== 'call' && event.kind !== 'exec' && event.kind !== 'conntrack') return;
      recent.push(event);
      if (recent.length > KEPT * 1.5) recent = recent.slice(-KEPT);
    },
    incidents: (incidents) => {
      for (const incident of incidents) {
        if (incident.cause.id !== TIMED || all.has(incident.id)) continue;
        const at = recent.find((e) => e.kind === 'drop' && e.netns === incident.where.netns.inode && e.reason.name === incident.where.reason && isoTime(e.time, realtimeOffset) >= incident.first);
        if (at === undefined) continue;
        const around = recent.filter((e) => e.time >= at.time - BEFORE && e.time <= at.time + AFTER && (e.kind === 'exec' || e.netns === at.netns) && (e.kind !== 'drop' || e === at));
        const diagram = sequenceOf(around.toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0)), { incident, realtimeOffset });
        if (diagram !== undefined) all.set(incident.id, diagram);
      }
    },
  };
}
