import type { Mono, Netns } from '../base/brand.ts';
import { logSymptoms } from '../evidence/log/symptoms.ts';
import type { Evidence } from '../model/evidence.ts';
import type { Question, Topic } from '../model/question.ts';
import type { Symptom } from '../model/symptom.ts';
import { createSilentLosses } from './silent.ts';

/** Log lines remembered, so that one is told once. */
const MAX_LINES = 5_000;

/**
 * Symptoms that no event tells of: counters and tables (silent.ts), and lines that daemons wrote to
 * their logs since `since`. Remembers what it has seen, so the readings must come in order.
 */
export function createAnswerSymptoms(watched: readonly Netns[], since: Mono): (evidence: Evidence, take: (topic: Topic) => readonly Question[]) => readonly Symptom[] {
  const silent = createSilentLosses();
  const told = new Set<string>();
  let first = true;

  const logs = (evidence: Evidence): Symptom[] =>
    watched.flatMap((netns) =>
      logSymptoms(evidence, netns, since).filter((symptom) => {
        const key = `${symptom.pid} ${symptom.file} ${symptom.line}`;
        if (told.has(key)) return false;
        if (told.size >= MAX_LINES) told.clear();
        told.add(key);
        return true;
      }),
    );

  return (evidence, take) => {
    const lines = take('log-tail').length + take('processes').length;
    const look = first || lines > 0;
    first = false;
    return [...silent(evidence, [...take('proc'), ...take('neighbour-waiting')]), ...(look ? logs(evidence) : [])];
  };
}
