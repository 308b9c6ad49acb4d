import type { Netns } from '../base/brand.ts';
import { causes } from '../causes/index.ts';
import { createAnswerSymptoms } from '../diagnose/from-answers.ts';
import { createDiagnosis, type Diagnosis } from '../diagnose/index.ts';
import { victimsOf } from '../evidence/socket/victims.ts';
import type { Event } from '../model/event.ts';
import type { HostFacts } from '../model/evidence.ts';
import type { Incident } from '../model/incident.ts';
import type { HostRecord } from '../model/record.ts';
import { filtersAnything, wanted, type FlowFilter } from './flow-filter.ts';

/** Counters and logs are followed in this many of the watched namespaces at most. */
export const POLLED_NETNS = 16;

/** What evidence knows of the host, from the first record of a capture: live and from a file alike. */
export function hostFacts(host: HostRecord): HostFacts {
  return { kernel: host.kernel, hostname: host.hostname, cpus: host.cpus, home: host.home, netnsNames: new Map(host.netnsNames) };
}

/** The diagnosis of a capture: live and replay judge with the same. */
export function diagnosisOf(host: HostRecord, watched: readonly Netns[]): Diagnosis {
  return createDiagnosis({
    host: hostFacts(host),
    realtimeOffset: host.realtimeOffset,
    causes,
    victims: victimsOf,
    fromAnswers: createAnswerSymptoms(watched.slice(0, POLLED_NETNS), host.time),
  });
}

/** Whether an event is judged. Exact counters know no flows: with a filter, samples are counted instead. */
export function judgedUnder(filter: FlowFilter): (event: Event) => boolean {
  if (!filtersAnything(filter)) return () => true;
  return (event) => event.kind !== 'drop-count' && event.kind !== 'call-count' && wanted(filter, event);
}

/** Incidents of these causes or areas; of all when none is named. */
export function ofCauses(only: readonly string[], incidents: readonly Incident[]): readonly Incident[] {
  return only.length === 0 ? incidents : incidents.filter((i) => only.some((c) => i.cause.id === c || i.cause.id.startsWith(`${c}.`)));
}
