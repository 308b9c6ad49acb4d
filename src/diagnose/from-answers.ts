import type { Mono, Netns } from '../base/brand.ts';
import { countersNow } from '../evidence/counters/index.ts';
import { logSymptoms } from '../evidence/log/symptoms.ts';
import type { AnswerEvent } from '../model/event.ts';
import type { Evidence } from '../model/evidence.ts';
import type { Topic } from '../model/question.ts';
import type { Symptom } from '../model/symptom.ts';
import { isUnavailable } from '../model/unavailable.ts';

/** Counters of /proc/net/netstat that count losses which no drop event tells of. */
const SILENT: readonly string[] = ['TcpExt ListenOverflows'];
/** Log lines remembered, so that one is told once. */
const MAX_LINES = 5_000;

/**
 * Symptoms that no event tells of: counters of losses that moved between two readings, and lines that daemons wrote to
 * their logs since `since`. Remembers what it has seen, so the readings must come in order.
 */
export function createAnswerSymptoms(watched: readonly Netns[], since: Mono): (evidence: Evidence, take: (topic: Topic) => readonly AnswerEvent[]) => readonly Symptom[] {
  const last = new Map<string, number>();
  const told = new Set<string>();
  let first = true;

  const counters = (evidence: Evidence, answers: readonly AnswerEvent[]): Symptom[] => {
    const symptoms: Symptom[] = [];
    const netns = new Set(answers.filter((a) => a.question.argument === 'net/netstat').map((a) => a.question.netns));
    for (const inode of netns) {
      if (inode === undefined) continue;
      const now = countersNow(evidence, inode, 'netstat');
      if (isUnavailable(now)) continue;
      for (const name of SILENT) {
        const after = now.get(name);
        if (after === undefined) continue;
        const key = `${inode} ${name}`;
        const before = last.get(key);
        last.set(key, after);
        // the first reading is where counting begins; a counter that fell was of another namespace of that number
        if (before !== undefined && after > before) symptoms.push({ kind: 'counter', netns: inode, first: evidence.now, counter: `netstat ${name}`, before, after });
      }
    }
    return symptoms;
  };

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
    return [...counters(evidence, take('proc')), ...(look ? logs(evidence) : [])];
  };
}
