import type { Mono, Netns } from '../base/brand.ts';
import type { AnswerEvent, ConntrackEvent, DropCountEvent, ExecEvent, MissedEvent } from './event.ts';
import type { Question } from './question.ts';
import type { Maybe } from './unavailable.ts';

/** An answer with the time of its reading. */
export interface Answer {
  readonly time: Mono;
  readonly body: string | Uint8Array;
}

/**
 * What is known, for one judgement. Reading an answer that is not there asks for it: the call returns `pending`, the
 * engine hands the question to the sources and judges again when the answer has come. So a cause reads as if all
 * were known, and whatever it touched is on record.
 */
export interface Evidence {
  /** The newest answer, not older than the symptom under judgement. */
  answer(question: Question): Maybe<Answer>;
  /** The newest answer of any age: for what does not go stale (a process that has ended meanwhile). */
  lastAnswer(question: Question): Maybe<Answer>;
  /** The answer that was read before the symptom began, for deltas. Never asks. `missing` when there is none. */
  before(question: Question): Maybe<Answer>;
  /** Conntrack events of a namespace, oldest first, within a bounded window; all namespaces when none is given. */
  conntrackEvents(netns?: Netns): readonly ConntrackEvent[];
  /** Every execve seen, oldest first, bounded. */
  execs(): readonly ExecEvent[];
  /** Newest exact counts, one a key. */
  dropCounts(): readonly DropCountEvent[];
  /** The loss ledger: what whydrop missed. A verdict consults it before it says no. */
  missed(): readonly MissedEvent[];
  /** Names of namespaces, as `ip netns` knows them; undefined for the one whydrop runs in or one without a name. */
  readonly host: HostFacts;
  /** A place for memoised facts, keyed by their inputs (see evidence/fact.ts). */
  readonly memo: Memo;
  /** When this judgement takes place. */
  readonly now: Mono;
  /** A monotonic time as ISO 8601 wall time. */
  iso(time: Mono): string;
}

/** What was derived before, by its inputs. It forgets what was not used lately. */
export interface Memo {
  get(key: string): unknown;
  /** `weight`: length of the text that the value was decoded from, where that may be large. */
  set(key: string, value: unknown, weight?: number): void;
  delete(key: string): void;
}

export interface HostFacts {
  readonly kernel: string;
  readonly hostname: string;
  readonly cpus: number;
  /** The namespace that whydrop itself runs in. */
  readonly home: Netns;
  readonly netnsNames: ReadonlyMap<Netns, string>;
}

export type { AnswerEvent };
