import { mono } from '../../base/brand.ts';
import { causes } from '../../causes/index.ts';
import { postMortemCauses } from '../../causes/post-mortem/index.ts';
import { createDiagnosis } from '../../diagnose/index.ts';
import { reconstruct, type Origin, type Reconstruction } from '../../evidence/post-mortem/index.ts';
import { victimsOf } from '../../evidence/socket/victims.ts';
import type { EvidenceFile } from '../../formats/evidence-file.ts';
import type { Event } from '../../model/event.ts';
import type { Incident } from '../../model/incident.ts';
import type { Diagram } from '../../report/index.ts';
import { sequenceOf } from '../../report/sequence.ts';
import { refine } from './refine.ts';

export interface Analysis {
  readonly incidents: readonly Incident[];
  readonly diagrams: ReadonlyMap<string, Diagram>;
  readonly reconstruction: Reconstruction;
  readonly losses: readonly { readonly source: string; readonly count: number; readonly text: string }[];
  readonly eventsSeen: number;
}

/** Rounds of judging: each may ask for what the round before made worth knowing. */
const MOST_ROUNDS = 40;

/** The verdicts from texts. What a cause asks and no text answers is unavailable, and it says so. */
export function analyse(files: readonly EvidenceFile[]): Analysis {
  const reconstruction = reconstruct(files);
  const { events, facts, host, realtimeOffset, span } = reconstruction;
  let given = false;
  const diagnosis = createDiagnosis({
    host, realtimeOffset,
    // the live judges stand first: they know more where they can tell
    causes: [...causes, ...postMortemCauses(facts)],
    victims: victimsOf,
    fromAnswers: () => {
      const symptoms = given ? [] : reconstruction.symptoms;
      given = true;
      return symptoms;
    },
  });
  for (const event of events) diagnosis.add(event);
  const end = mono(span.to + 2_000_000_000n);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const { questions } = diagnosis.judge(end);
    if (questions.length === 0 && round > 0) break;
    for (const question of questions) {
      const name = question.argument === undefined ? question.topic : `${question.topic} ${question.argument}`;
      diagnosis.add({ kind: 'answer', time: end, question, body: { unavailable: 'failed', what: `looking for ${name}`, why: 'it is not among the files' } });
    }
  }
  const told = new Map<string, Origin[]>();
  for (const event of events) {
    const origin = reconstruction.origins.get(event);
    const id = origin === undefined || (event.kind !== 'drop' && event.kind !== 'call') ? undefined : diagnosis.incidentOf(event)?.id;
    if (origin === undefined || id === undefined) continue;
    const list = told.get(id);
    if (list === undefined) told.set(id, [origin]);
    else list.push(origin);
  }
  const incidents = diagnosis.incidents(end).map((incident) => refine(incident, reconstruction, told.get(incident.id) ?? []));
  const diagrams = new Map<string, Diagram>();
  for (const incident of incidents) {
    const diagram = incident.cause.id.startsWith('conntrack.') ? sequenceOf(around(events, incident, realtimeOffset), { incident, realtimeOffset }) : undefined;
    if (diagram !== undefined) diagrams.set(incident.id, diagram);
  }
  return {
    incidents, diagrams, reconstruction,
    losses: events.flatMap((e) => (e.kind === 'missed' ? [{ source: e.source, count: e.count, text: e.text }] : [])),
    eventsSeen: events.filter((e) => e.kind !== 'answer').length,
  };
}

/** Events of the incident's namespace around its last loss: one race, not all of them. */
function around(events: readonly Event[], incident: Incident, offset: bigint): readonly Event[] {
  const wall = (time: bigint): number => Number((time + offset) / 1_000_000n);
  const last = Date.parse(incident.last);
  return events.filter((e) => (e.kind === 'exec' || !('netns' in e) || e.netns === incident.where.netns.inode) && wall(e.time) >= last - 250 && wall(e.time) <= last + 50);
}
