import type { Evidence } from '../model/evidence.ts';
import type { AnswerEvent } from '../model/event.ts';
import type { Topic } from '../model/question.ts';
import type { Symptom } from '../model/symptom.ts';

/** Symptoms that no event tells of: counters of losses that moved, lines in applications' logs. */
export function symptomsFromAnswers(evidence: Evidence, take: (topic: Topic) => readonly AnswerEvent[]): readonly Symptom[] {
  void evidence;
  void take;
  return [];
}
