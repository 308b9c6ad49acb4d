import type { Evidence } from './evidence.ts';
import type { Finding } from './finding.ts';
import type { Topic } from './question.ts';
import type { Symptom } from './symptom.ts';

/**
 * A cause: one reason why a packet did not arrive. Its file is `causes/<area>/<name>.ts`, its id `<area>.<name>`.
 * `judge` is a pure function of the symptom and the evidence: no clock, no I/O, no parsing.
 */
export interface Cause {
  readonly id: string;
  /** A noun phrase that a user reads first: "a firewall rule dropped it". */
  readonly title: string;
  /** The topics that `judge` may ask about; a test holds it to them. */
  readonly needs: readonly Topic[];
  readonly knowledge: Knowledge;
  judge(symptom: Symptom, evidence: Evidence): Finding;
}

/** What `whydrop explain CAUSE` and docs/causes/ print. Plain words, whole sentences. */
export interface Knowledge {
  /** What happens, in two to four sentences. */
  readonly what: string;
  /** How one notices: errno, counters, drop reasons, symbols. */
  readonly signs: readonly string[];
  /** What to look at or do, by hand. */
  readonly fixes: readonly string[];
  /** Kernel functions that decide it. */
  readonly functions: readonly string[];
  /** Drop reasons (kernel names) that it comes with. */
  readonly reasons: readonly string[];
  /** errnos that a sender sees. */
  readonly errnos: readonly string[];
  /** What changed between kernel versions. */
  readonly versions: readonly string[];
  /** Kernel file, RFC or man page that says so. */
  readonly sources: readonly string[];
}
