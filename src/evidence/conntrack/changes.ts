import { mono, type Mono, type Netns } from '../../base/brand.ts';
import { plural } from '../../base/text.ts';
import { burstHas } from '../../formats/conntrack-burst.ts';
import type { ConntrackEntry, ConntrackEvent, Tuple } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { authorOf, deleteCommands, type Author } from './author.ts';
import { inverse, sameExchange, sameTuple } from './tuple.ts';

/** Entries that went because somebody asked, close together and by one asker: a flush or a filtered delete. */
export interface Deletion {
  readonly first: Mono;
  readonly last: Mono;
  readonly count: number;
  readonly author: Author;
  /** The command line asks for all entries. Undefined: it is not known. */
  readonly flush?: boolean;
  /** Seen as events; else inferred from the command alone. */
  readonly seen: boolean;
}

/** One entry that was destroyed, and by whom. */
export interface Destroyed {
  readonly time: Mono;
  readonly entry: ConntrackEntry;
  /** Undefined: the kernel itself (time-out, early drop, an interface that went). */
  readonly author?: Author;
  /** Seconds that it had left; 0 or undefined for one that timed out. */
  readonly left?: number;
}

const GAP_NS = 500_000_000n;

/** Events of a namespace in `[from, to]`, newest first. They come in order, so nothing older is looked at, or copied. */
function* newestFirst(evidence: Evidence, netns: Netns, from: Mono, to: Mono): Generator<ConntrackEvent> {
  const events = evidence.conntrackEvents();
  for (let i = events.length - 1; i >= 0; i--) {
    const e = events[i]!;
    if (e.time < from) return;
    if (e.netns === netns && e.time <= to) yield e;
  }
}

/** Deletes that overlap `[from, to]`, oldest first. */
export function deletions(evidence: Evidence, netns: Netns, from: Mono, to: Mono): readonly Deletion[] {
  const open = new Map<number, { first: Mono; last: Mono; count: number }>();
  const found: { port: number; first: Mono; last: Mono; count: number }[] = [];
  for (const e of [...newestFirst(evidence, netns, from, to)].reverse()) {
    if (e.change !== 'destroy' || e.requester === 0) continue;
    const count = e.burst?.count ?? 1;
    const run = open.get(e.requester);
    if (run !== undefined && e.time - run.last <= GAP_NS) {
      run.last = e.time;
      run.count += count;
      continue;
    }
    const next = { port: e.requester, first: e.time, last: e.time, count };
    open.set(e.requester, next);
    found.push(next);
  }
  const seen = found.map((f): Deletion => {
    const author = authorOf(evidence, netns, f.port, f.first);
    const words = author.process?.cmdline;
    return { first: f.first, last: f.last, count: f.count, author, ...(words === undefined ? {} : { flush: /\s(-F|--flush)\b/.test(words) }), seen: true };
  });
  const told = new Set(seen.map((d) => d.author.process?.pid));
  const inferred = deleteCommands(evidence, netns, from, to).filter((c) => !told.has(c.author.process?.pid)).map((c): Deletion => ({ first: c.time, last: c.time, count: 0, author: c.author, flush: c.flush, seen: false }));
  return [...seen, ...inferred].filter((d) => d.author.started === undefined || d.author.started <= to).sort((a, b) => Number(a.first - b.first));
}

/**
 * The last destroy event of an exchange (whichever end began it) that can have come before `at`; bursts are searched
 * by hash. Events bear the time of their reading, so one that is told a little later counts; where the start of its
 * author was seen, that decides.
 */
export function destroyedEntry(evidence: Evidence, netns: Netns, tuple: Tuple, from: Mono, at: Mono): Destroyed | undefined {
  for (const found of newestFirst(evidence, netns, from, mono(at + VERY_LATE_NS))) {
    if (found.change !== 'destroy' || !concerns(found, tuple)) continue;
    const end = destroyedBy(evidence, netns, found, tuple);
    if (before(found.time, end.author, at)) return end;
  }
  return undefined;
}

function destroyedBy(evidence: Evidence, netns: Netns, found: ConntrackEvent, tuple: Tuple): Destroyed {
  const author = found.requester === 0 ? undefined : authorOf(evidence, netns, found.requester, found.time);
  const exact = sameExchange(found.entry.original, tuple);
  const entry = exact ? found.entry : { original: tuple, reply: inverse(tuple), status: found.entry.status };
  return { time: found.time, entry, ...(author === undefined ? {} : { author }), ...(exact && found.entry.timeout !== undefined ? { left: found.entry.timeout } : {}) };
}

/** Whether what is told at `told` can have happened before `at`. */
function before(told: Mono, author: Author | undefined, at: Mono): boolean {
  if (author?.started !== undefined) return author.started <= at;
  return told <= at + LATE_NS;
}

function concerns(e: ConntrackEvent, tuple: Tuple): boolean {
  if (sameExchange(e.entry.original, tuple) || sameExchange(e.entry.reply, tuple)) return true;
  return e.burst !== undefined && (burstHas(e.burst.tuples, tuple) || burstHas(e.burst.tuples, inverse(tuple)));
}

/** How an entry stands in the way of another: they share the original tuple, are each other's reverse, or share the tuple that replies come by. */
export type Rivalry = 'same-original' | 'reverse' | 'same-reply';

export function rivalryOf(winner: Pick<ConntrackEntry, 'original' | 'reply'>, original: Tuple, reply: Tuple | undefined): Rivalry | undefined {
  if (sameTuple(winner.original, original)) return 'same-original';
  if (sameTuple(winner.reply, original) || (reply !== undefined && sameTuple(winner.original, reply))) return 'reverse';
  return reply !== undefined && sameTuple(winner.reply, reply) ? 'same-reply' : undefined;
}

/** What made two packets both the first of one connection, as far as events tell. */
export interface RaceEvents {
  /** The entry that was in the table when the loser came to insert its own. */
  readonly winner?: { readonly event: ConntrackEvent; readonly rivalry: Rivalry };
  /** The entry of the same exchange whose end made the flow new: the last one before the winner's. */
  readonly destroyed?: Destroyed;
}

/**
 * The two events of the race that a packet lost at `at`. Events of one namespace come in order, but bear the time of
 * their reading, which may be some 10 ms late, so a flush that passes a flow twice is told at one time: the order
 * decides then, and that UDP packets of one direction are merged while those of opposite ones were not.
 */
export function raceAround(evidence: Evidence, netns: Netns, original: Tuple, reply: Tuple | undefined, at: Mono, within = 1_500_000_000n): RaceEvents {
  const merged = original.protocol === UDP && (reply === undefined || sameTuple(reply, inverse(original)));
  let best: { winner: NonNullable<RaceEvents['winner']>; destroyed?: Destroyed; score: number; started: bigint } | undefined;
  let stale: RaceEvents['winner'];
  let destroyed: Destroyed | undefined;
  let told = 0n, since = 0n; // the last reading, and the one before: what was read at `told` happened after `since` or just before
  for (const event of [...newestFirst(evidence, netns, mono(at > within ? at - within : 0n), mono(at + VERY_LATE_NS))].reverse()) {
    if (event.time > told) {
      since = told;
      told = event.time;
    }
    if (event.change === 'destroy' && concerns(event, original)) {
      const end = destroyedBy(evidence, netns, event, original);
      if (before(event.time, end.author, at)) destroyed = end;
      continue;
    }
    if (event.change !== 'new' || event.burst !== undefined) continue;
    const rivalry = rivalryOf(event.entry, original, reply);
    if (rivalry === undefined) continue;
    if (event.time < at - RACE_NS) stale = { event, rivalry };
    else if (since <= at + RACE_NS) {
      const fresh = destroyed !== undefined && event.time - destroyed.time < LATE_NS;
      const score = (fresh ? 2 : 0) + (merged && rivalry === 'reverse' ? 1 : 0);
      const started = destroyed?.author?.started ?? 0n;
      if (best === undefined || score > best.score || (score === best.score && started > best.started)) best = { winner: { event, rivalry }, ...(destroyed === undefined ? {} : { destroyed }), score, started };
    }
  }
  if (best !== undefined) return { winner: best.winner, ...(best.destroyed === undefined ? {} : { destroyed: best.destroyed }) };
  return { ...(stale === undefined ? {} : { winner: stale }), ...(destroyed === undefined ? {} : { destroyed }) };
}

const UDP = 17;

/** A race lasts microseconds; on an overcommitted virtual machine some milliseconds. */
const RACE_NS = 5_000_000n;
/** How late an event may be told on a host that has too much to do. */
const VERY_LATE_NS = 1_500_000_000n;

/** Destroy events are told up to this late: the probe is emptied 40 times a second. */
export const LATE_NS = 250_000_000n;

/** The span in which a delete can have made a flow new again, for a packet lost at `at`. */
export const around = (at: Mono, before = 1_500_000_000n): { readonly from: Mono; readonly to: Mono } => ({ from: mono(at > before ? at - before : 0n), to: mono(at + LATE_NS) });

/** `conntrack -F (pid 421) deleted 12 entries` */
export function deletionText(d: Deletion): string {
  return d.seen ? `${d.author.text} deleted ${plural(d.count, 'conntrack entry', 'conntrack entries')}` : `${d.author.text} ran (which entries it deleted was not seen)`;
}
