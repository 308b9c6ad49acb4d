import { mono, netnsInode, type Mono, type Netns } from '../src/base/brand.ts';
import type { ConntrackEvent, DropCountEvent, ExecEvent, MissedEvent } from '../src/model/event.ts';
import type { Answer, Evidence, HostFacts } from '../src/model/evidence.ts';
import { questionKey, type Question } from '../src/model/question.ts';
import type { Maybe, Unavailable } from '../src/model/unavailable.ts';

export type Answered = readonly [question: Question, body: string | Uint8Array | Unavailable];

/** What a unit test knows; what it leaves out is unavailable ('missing'), so a cause must cope or say so. */
export interface FakeEvidence {
  readonly answers?: readonly Answered[];
  /** Answers read before the symptom began. */
  readonly before?: readonly Answered[];
  readonly conntrackEvents?: readonly ConntrackEvent[];
  readonly execs?: readonly ExecEvent[];
  readonly dropCounts?: readonly DropCountEvent[];
  readonly missed?: readonly MissedEvent[];
  readonly host?: Partial<HostFacts>;
  readonly now?: Mono;
}

export const HOME = netnsInode(4026531840);
export const BLUE = netnsInode(4026532001);
export const GREEN = netnsInode(4026532002);

/** Evidence from literals; `asked` lists every question that was put, for checking a cause's `needs`. */
export function fakeEvidence(fake: FakeEvidence): Evidence & { readonly asked: Question[] } {
  const now = fake.now ?? mono(10_000_000_000n);
  const table = (rows: readonly Answered[] | undefined, time: Mono) => {
    const map = new Map<string, { time: Mono; body: string | Uint8Array | Unavailable }>();
    for (const [question, body] of rows ?? []) map.set(questionKey(question), { time, body });
    return map;
  };
  const after = table(fake.answers, mono(now - 1_000_000n));
  const before = table(fake.before, mono(now - 5_000_000_000n));
  const asked: Question[] = [];
  const look = (map: typeof after, question: Question): Maybe<Answer> => {
    const found = map.get(questionKey(question));
    if (found === undefined) return { unavailable: 'missing', what: `asking ${question.topic} ${question.argument ?? ''}`.trim(), why: 'the test has no answer' };
    if (typeof found.body === 'string' || found.body instanceof Uint8Array) return { time: found.time, body: found.body };
    return found.body;
  };
  return {
    asked,
    answer: (q) => (asked.push(q), look(after, q)),
    lastAnswer: (q) => (asked.push(q), look(after, q)),
    before: (q) => (asked.push(q), look(before, q)),
    conntrackEvents: (netns?: Netns) => (fake.conntrackEvents ?? []).filter((e) => netns === undefined || e.netns === netns),
    execs: () => fake.execs ?? [],
    dropCounts: () => fake.dropCounts ?? [],
    missed: () => fake.missed ?? [],
    host: { kernel: '6.18.44', hostname: 'host', cpus: 2, home: HOME, netnsNames: new Map([[BLUE, 'blue'], [GREEN, 'green']]), ...fake.host },
    memo: new Map(),
    now,
    iso: (time) => new Date(Number(time / 1_000_000n)).toISOString(),
  };
}
