import { isoTime } from '../base/time.ts';
import type { Mono, Netns } from '../base/brand.ts';
import { mono } from '../base/brand.ts';
import type { AnswerEvent, ConntrackEvent, DropCountEvent, Event, ExecEvent, MissedEvent } from '../model/event.ts';
import type { Answer, Evidence, HostFacts } from '../model/evidence.ts';
import { callKey, countKey } from '../model/counter.ts';
import { createMemo } from './memo.ts';
import { questionKey, type Question, type Topic } from '../model/question.ts';
import { isUnavailable, type Maybe, type Unavailable } from '../model/unavailable.ts';

/** How much is kept. Bounded, so that hours of watching cost no more than minutes. */
const KEEP = { answers: 8_000, answersPerKey: 6, largeAnswersPerKey: 3, conntrackEvents: 20_000, execs: 8_000, missed: 1_000, fresh: 256, callCounts: 10_000, small: 2_000, heavy: 2_000_000 } as const;
/** An answer of this length is a large one: of those fewer are kept. */
const LARGE = 65_536;

interface Kept {
  readonly time: Mono;
  readonly body: string | Uint8Array | Unavailable;
}

/**
 * All evidence seen so far. {@link view} gives it to one judgement, which records there what it asked for and did
 * not get.
 */
export interface Store {
  add(event: Event): void;
  /** Evidence for judging a symptom that began at `since`; answers older than `asOf` are asked again. */
  view(since: Mono, asOf: Mono, now: Mono): View;
  /** Questions put since the last call and not yet answered. */
  takeQuestions(): readonly Question[];
  readonly missed: readonly MissedEvent[];
  readonly dropCounts: ReadonlyMap<string, DropCountEvent>;
  /** Exact numbers by countKey and callKey (model/counter.ts). */
  exact(key: string): { readonly count: number; readonly bytes: number } | undefined;
  /** The questions of a topic that were answered since the last call of this for the same topic. */
  readonly answered: (topic: Topic) => readonly Question[];
}

export interface View extends Evidence {
  /** True when something that was read since {@link begin} is still being asked for. */
  readonly pending: boolean;
  /** Topics that were touched since then. */
  readonly touched: ReadonlySet<string>;
  /** Keys of all questions that are waited for, since the view was made. */
  readonly waits: ReadonlySet<string>;
  /** Another cause looks. */
  begin(): void;
}

export function createStore(host: HostFacts, realtimeOffset: bigint): Store {
  const answers = new Map<string, Kept[]>();
  const fresh = new Map<Topic, Map<string, Question>>();
  const asking = new Set<string>();
  const wanted = new Map<string, Question>();
  const conntrack: ConntrackEvent[] = [];
  const execs: ExecEvent[] = [];
  const missed: MissedEvent[] = [];
  const dropCounts = new Map<string, DropCountEvent>();
  const callCounts = new Map<string, number>();
  const memo = createMemo(KEEP.small, KEEP.heavy);
  const iso = (time: Mono): string => isoTime(time, realtimeOffset);

  const keepAnswer = (event: AnswerEvent): void => {
    const key = questionKey(event.question);
    asking.delete(key);
    const list = answers.get(key) ?? [];
    answers.delete(key);
    answers.set(key, list);
    const before = list.at(-1)?.body;
    const same = typeof before === 'string' && before === event.body; // one text in memory, not one a reading
    list.push({ time: event.time, body: same ? before : event.body });
    // the first is the baseline: it stays, the middle goes
    if (list.length > (lengthOf(event.body) < LARGE || same ? KEEP.answersPerKey : KEEP.largeAnswersPerKey)) list.splice(1, 1);
    if (answers.size > KEEP.answers) answers.delete(answers.keys().next().value as string);
    const topic = fresh.get(event.question.topic) ?? new Map<string, Question>();
    fresh.set(event.question.topic, topic);
    topic.set(key, event.question);
    if (topic.size > KEEP.fresh) topic.delete(topic.keys().next().value as string);
  };

  return {
    missed,
    dropCounts,
    exact: (key) => {
      const drops = dropCounts.get(key);
      if (drops !== undefined) return { count: drops.packets, bytes: drops.bytes };
      const calls = callCounts.get(key);
      return calls === undefined ? undefined : { count: calls, bytes: 0 };
    },
    answered: (topic) => {
      const questions = fresh.get(topic);
      fresh.delete(topic);
      return questions === undefined ? [] : [...questions.values()];
    },
    add: (event) => {
      switch (event.kind) {
        case 'answer':
          return keepAnswer(event);
        case 'conntrack':
          conntrack.push(event);
          if (conntrack.length > KEEP.conntrackEvents * 1.25) conntrack.splice(0, conntrack.length - KEEP.conntrackEvents);
          return;
        case 'exec':
          execs.push(event);
          if (execs.length > KEEP.execs * 1.25) execs.splice(0, execs.length - KEEP.execs);
          return;
        case 'missed':
          missed.push(event);
          if (missed.length > KEEP.missed) missed.splice(0, missed.length - KEEP.missed);
          return;
        case 'drop-count':
          dropCounts.set(countKey(event), event);
          return;
        case 'call-count':
          if (callCounts.size > KEEP.callCounts) callCounts.clear(); // the next reading brings those that still live
          callCounts.set(callKey(event.pid, event.syscall, event.errno), event.calls);
          return;
        case 'drop':
        case 'call':
          return;
      }
    },
    takeQuestions: () => {
      const questions = [...wanted.values()];
      for (const question of questions) asking.add(questionKey(question));
      wanted.clear();
      return questions;
    },
    view: (since, asOf, now) => {
      let pending = false;
      const touched = new Set<string>();
      const waits = new Set<string>();
      const wait = (question: Question, key: string): Unavailable => {
        pending = true;
        waits.add(key);
        if (!asking.has(key)) wanted.set(key, question);
        return { unavailable: 'pending', what: `asking ${question.topic}${question.argument === undefined ? '' : ` ${question.argument}`}`, why: 'not answered yet' };
      };
      const newest = (question: Question, notBefore: Mono): Maybe<Answer> => {
        touched.add(question.topic);
        const key = questionKey(question);
        const last = answers.get(key)?.at(-1);
        if (last === undefined || last.time < notBefore) return wait(question, key);
        return isUnavailable(last.body) ? last.body : { time: last.time, body: last.body };
      };
      return {
        answer: (question) => newest(question, asOf),
        lastAnswer: (question) => newest(question, mono(0n)),
        before: (question) => {
          touched.add(question.topic);
          const found = answers.get(questionKey(question))?.findLast((a) => a.time < since);
          if (found === undefined) return { unavailable: 'missing', what: `reading ${question.topic} before the loss`, why: 'nobody had asked yet' };
          return isUnavailable(found.body) ? found.body : { time: found.time, body: found.body };
        },
        conntrackEvents: (netns?: Netns) => (netns === undefined ? conntrack : conntrack.filter((e) => e.netns === netns)),
        execs: () => execs,
        dropCounts: () => [...dropCounts.values()],
        missed: () => missed,
        host,
        memo,
        now,
        iso,
        get pending() {
          return pending;
        },
        touched,
        waits,
        begin: () => {
          pending = false;
          if (touched.size > 0) touched.clear();
        },
      };
    },
  };
}

const lengthOf = (body: Kept['body']): number => (isUnavailable(body) ? 0 : body.length);
