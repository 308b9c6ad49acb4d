import { isoTime } from '../base/time.ts';
import { mono, type Mono, type Netns } from '../base/brand.ts';
import type { Cause } from '../model/cause.ts';
import { counterKey, countKey } from '../model/counter.ts';
import type { CallEvent, DropCountEvent, DropEvent, Event } from '../model/event.ts';
import type { Evidence, HostFacts } from '../model/evidence.ts';
import type { Incident, Victim } from '../model/incident.ts';
import { questionKey, type Question } from '../model/question.ts';
import type { Symptom } from '../model/symptom.ts';
import { counts, seenOften } from './counts.ts';
import { draw, hashOf, incidentId, incidentKey, QUIET, rank, type Growing } from './incidents.ts';
import { judge, type Verdict } from './judge.ts';
import { signature } from './signature.ts';
import { createSigns, type Sign } from './signs.ts';
import { createStore, type View } from './store.ts';
import { shareOut, victimsOf } from './victims.ts';

/**
 * From events to verdicts. Fed with events in order; {@link Diagnosis.judge} is called now and then, gives back what
 * is new and what it would like to know. Deterministic: the same events and the same times of judging give the same
 * incidents, live or from a file.
 */
export interface Diagnosis {
  add(event: Event): void;
  /** `last`: nothing will be answered any more; everything is judged with what there is. */
  judge(now: Mono, last?: boolean): { readonly incidents: readonly Incident[]; readonly questions: readonly Question[] };
  /** All incidents as they stand, most important first. */
  incidents(now: Mono): readonly Incident[];
  /** The incident that an event which was added belongs to; undefined before it was judged, and for a call that was joined to its drop. */
  incidentOf(event: DropEvent | CallEvent): { readonly id: string; readonly cause: string } | undefined;
  /** Incidents that were over and given out, and had to make room: they are not among {@link Diagnosis.incidents}. */
  readonly givenUp: number;
  /** Exact number of packets dropped so far, every cause and `info` included. */
  readonly packetsDropped: number;
  /** Of those, how many the probe counted without describing them: it samples a flood, and a full ring buffer keeps nothing. */
  readonly undescribed: { readonly packets: number; /** Counters without a single description. */ readonly unseen: readonly DropCountEvent[] };
}

export interface DiagnosisOptions {
  readonly host: HostFacts;
  /** CLOCK_REALTIME minus CLOCK_MONOTONIC, ns. */
  readonly realtimeOffset: bigint;
  /** In order of preference for ties. */
  readonly causes: readonly Cause[];
  /** Who suffered: process, flow, errno. */
  readonly victims: (evidence: Evidence, symptom: Symptom) => readonly Victim[];
  /** Symptoms that only answers tell of: counters that moved, lines in logs. */
  readonly fromAnswers: (evidence: Evidence, take: ReturnType<typeof createStore>['answered']) => readonly Symptom[];
}

/** Put before the causes in one go at most; the rest waits for the next. Bounds the time of a judgement. */
const JUDGED_AT_ONCE = 64;
/** A verdict is looked at again after this long, while losses go on: counters move, answers get better. */
const LOOK_AGAIN = 2_000_000_000n;
/** An incident changes on the screen at most this often. */
const SHOW_AGAIN = 1_000_000_000n;
/** Incidents that differ only by the conversation; those of further conversations are one. */
const MOST_ALIKE = 8;
const MAX_SIGNS = 8_000;
/** Of more, those that are over longest are given up: they have been given out. */
const MAX_INCIDENTS = 2_000;
const MAX_ALIKE = 65_536;

export function createDiagnosis(options: DiagnosisOptions): Diagnosis {
  const store = createStore(options.host, options.realtimeOffset);
  const signs = createSigns(MAX_SIGNS);
  const growing = new Map<string, Growing>();
  /** Those that are not over, or have changed since they were given out as such. */
  const active = new Set<Growing>();
  let givenUp = 0;
  /** Without a last verdict; those of them that wait for answers; and which of the answers each waits for. */
  const unjudged = new Set<Sign>();
  const waiting = new Map<Sign, ReadonlySet<string>>();
  const waiters = new Map<string, Set<Sign>>();
  /** Symptoms as the causes saw them last. */
  const lookedAt = new WeakMap<Sign, Symptom>();
  const sampled = new Map<Netns, number>();
  /** Kernel-side counter → incidents that it counts. */
  const owners = new Map<string, Set<string>>();
  /** Wide incident key → hashes of the keys of all incidents, made or not, that it would be. */
  const alikes = new Map<string, Set<number>>();
  const iso = (time: Mono): string => isoTime(time, options.realtimeOffset);

  const counted = (netns: Netns): number => {
    let sum = 0;
    for (const c of store.dropCounts.values()) if (c.netns === netns) sum += c.packets;
    return sum;
  };

  const take = (sign: Sign, now: Mono, last: boolean): void => {
    lookedAt.set(sign, sign.symptom);
    const view = store.view(sign.first, sign.asOf, now);
    const verdict = judge(sign.symptom, options.causes, view, last);
    if (view.waits.size > 0) wait(sign, view.waits);
    if (verdict === undefined) return;
    sign.judged = true;
    if (!verdict.provisional) {
      unjudged.delete(sign);
      ready(sign);
    }
    settle(sign, verdict, now);
  };

  /** Until one of these questions is answered, looking again would show the same. */
  const wait = (sign: Sign, keys: ReadonlySet<string>): void => {
    ready(sign);
    waiting.set(sign, keys);
    for (const key of keys) waiters.set(key, (waiters.get(key) ?? new Set<Sign>()).add(sign));
  };

  const ready = (sign: Sign): void => {
    for (const key of waiting.get(sign) ?? []) {
      const others = waiters.get(key);
      others?.delete(sign);
      if (others?.size === 0) waiters.delete(key);
    }
    waiting.delete(sign);
  };

  /** The verdict as it is, or, when many differ only by the conversation, the one about all further conversations. */
  const widened = (netns: Netns, verdict: Verdict): { readonly verdict: Verdict; readonly alike?: Set<number> } => {
    const { wider } = verdict.found;
    const own = incidentKey(netns, verdict);
    if (wider === undefined) return { verdict };
    const wide = { ...verdict, found: { ...verdict.found, ...wider } };
    const key = incidentKey(netns, wide);
    const alike = alikes.get(key) ?? new Set<number>();
    alikes.set(key, alike);
    if (alike.size < MAX_ALIKE) alike.add(hashOf(own));
    return growing.has(own) || alike.size <= MOST_ALIKE ? { verdict } : { verdict: wide, alike };
  };

  const settle = (sign: Sign, judged: Verdict, now: Mono): void => {
    const { verdict, alike } = widened(sign.symptom.netns, judged);
    const key = incidentKey(sign.symptom.netns, verdict);
    const current = sign.incident === undefined ? undefined : growing.get(sign.incident);
    if (current !== undefined && current.key !== key) {
      // a second look changes its mind only when it knows better
      if (verdict.found.confidence <= current.verdict.found.confidence) return;
      current.signs.splice(current.signs.indexOf(sign), 1);
      if (current.signs.length === 0) {
        growing.delete(current.key);
        active.delete(current);
      }
    }
    let incident = growing.get(key);
    if (incident === undefined) {
      incident = { key, id: incidentId(key), netns: sign.symptom.netns, verdict, signs: [], rejudged: now, changed: true, ...(alike === undefined ? {} : { alike }) };
      growing.set(key, incident);
    } else if (verdict.found.confidence >= incident.verdict.found.confidence) {
      incident.verdict = verdict;
    }
    if (sign.incident !== key) incident.signs.push(sign);
    if (sign.countKey !== undefined) owners.set(sign.countKey, (owners.get(sign.countKey) ?? new Set<string>()).add(key));
    sign.incident = key;
    mark(incident);
  };

  const mark = (incident: Growing): void => {
    incident.changed = true;
    active.add(incident);
  };

  /** It is over and was given out: what it takes to draw it again stays, the samples go. */
  const rest = (incident: Growing, now: Mono): void => {
    active.delete(incident);
    if (incident.verdict.found.victims === undefined) incident.known = victimsNow(incident, now);
    const lead = incident.signs[0];
    for (const sign of incident.signs) {
      sign.victims.clear();
      sign.resting = true;
      if (lead !== undefined) sign.symptom = lead.symptom;
    }
    if (growing.size <= MAX_INCIDENTS) return;
    for (const old of growing.values()) {
      if (active.has(old)) continue;
      for (const sign of old.signs) signs.forget(sign);
      growing.delete(old.key);
      givenUp += 1;
      if (growing.size <= MAX_INCIDENTS) return;
    }
  };

  const victimsNow = (incident: Growing, now: Mono): ReadonlyMap<string, Victim> =>
    victimsOf(incident, (sign, symptom) => {
      const view: View = store.view(sign.first, mono(0n), now);
      const victims = options.victims(view, symptom);
      // who it was is not known yet: to be drawn again
      if (view.pending) mark(incident);
      return victims;
    });

  const shown = (incident: Growing, now: Mono): Incident => {
    const tally = { ...counts(incident, signs.shares, store.exact), seen: seenOften(incident) };
    const name = options.host.netnsNames.get(incident.netns);
    return draw(incident, tally, incident.verdict.found.victims ?? shareOut(victimsNow(incident, now), incident, tally.count), now, iso, name);
  };

  return {
    get givenUp() {
      return givenUp;
    },
    get packetsDropped() {
      let sum = 0;
      for (const c of store.dropCounts.values()) sum += c.packets;
      return sum;
    },
    get undescribed() {
      let packets = 0;
      const unseen: DropCountEvent[] = [];
      for (const [key, c] of store.dropCounts) {
        const seen = signs.shares.get(key)?.seen ?? 0;
        packets += Math.max(0, c.packets - seen);
        if (seen === 0) unseen.push(c);
      }
      return { packets, unseen };
    },
    add: (event) => {
      const counter = event.kind === 'drop-count' || event.kind === 'call-count' ? counterKey(event) : undefined;
      const before = counter === undefined ? undefined : store.exact(counter)?.count;
      store.add(event);
      if (event.kind === 'answer') for (const sign of waiters.get(questionKey(event.question)) ?? []) ready(sign);
      if (counter !== undefined && store.exact(counter)?.count !== before) {
        for (const key of owners.get(counter) ?? []) {
          const incident = growing.get(key);
          if (incident !== undefined) mark(incident);
        }
      }
      switch (event.kind) {
        case 'drop':
          sampled.set(event.netns, (sampled.get(event.netns) ?? 0) + 1);
          signs.addDrop(event);
          return;
        case 'call':
          signs.addCall(event, counted(event.netns) > (sampled.get(event.netns) ?? 0));
          return;
        case 'conntrack':
          signs.addConntrack(event);
          return;
        default:
          return;
      }
    },
    judge: (now, last = false) => {
      for (const symptom of options.fromAnswers(store.view(now, mono(0n), now), store.answered)) signs.addOther(symptom);
      const changed = signs.takeChanged();
      for (const sign of changed) {
        if (!sign.judged && sign.symptom !== lookedAt.get(sign)) {
          unjudged.add(sign);
          ready(sign);
        }
        const incident = sign.incident === undefined ? undefined : growing.get(sign.incident);
        if (incident !== undefined) mark(incident);
      }
      let budget = last ? Infinity : JUDGED_AT_ONCE;
      for (const sign of [...unjudged]) {
        if (waiting.has(sign) && !last) continue;
        if (budget-- <= 0) break;
        take(sign, now, last);
      }
      // with many incidents each is looked at again less often: the work stays the same
      const lookAgain = LOOK_AGAIN * BigInt(Math.max(1, Math.ceil(active.size / 16)));
      for (const incident of active) {
        const lead = incident.signs[0];
        if (lead === undefined || now - incident.rejudged < lookAgain || lead.last <= incident.rejudged) continue;
        incident.rejudged = now;
        lead.asOf = now;
        unjudged.add(lead);
        ready(lead);
      }
      const news: Incident[] = [];
      for (const incident of [...active]) {
        const over = incident.shown?.open === true && now - incident.shown.time > QUIET;
        if (!over && (!incident.changed || (incident.shown !== undefined && now - incident.shown.time < SHOW_AGAIN))) continue;
        incident.changed = false;
        const drawn = shown(incident, now);
        const hash = hashOf(JSON.stringify(drawn));
        const same = hash === incident.shown?.hash;
        if (!same || over) incident.shown = { time: now, hash, open: drawn.state === 'open' };
        if (!same) news.push(drawn);
        if (drawn.state === 'closed' && !incident.changed) rest(incident, now);
      }
      return { incidents: news, questions: store.takeQuestions() };
    },
    incidentOf: (event) => {
      const sign = event.kind === 'drop'
        ? signs.all.get(signature({ kind: 'drop', netns: event.netns, first: event.time, drop: event })) ?? signs.all.get(`rest|${countKey(event)}`)
        : signs.all.get(signature({ kind: 'call', netns: event.netns, first: event.time, call: event }));
      const incident = sign?.incident === undefined ? undefined : growing.get(sign.incident);
      return incident === undefined ? undefined : { id: incident.id, cause: incident.verdict.cause.id };
    },
    incidents: (now) => rank([...growing.values()].map((incident) => shown(incident, now))),
  };
}
