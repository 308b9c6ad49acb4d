import { mono, type Mono, type Netns } from '../base/brand.ts';
import type { Diagnosis } from '../diagnose/index.ts';
import type { Sink } from '../model/capture.ts';
import type { Event } from '../model/event.ts';
import type { Incident } from '../model/incident.ts';
import { questionKey, type Question, type Topic } from '../model/question.ts';
import type { HostRecord, RawRecord } from '../model/record.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { trimMemory } from '../sources/sys/ffi.ts';
import { letGoOfCode } from '../sources/sys/own-code.ts';
import { createReady } from '../sources/sys/ready.ts';
import { givenUpLoss, samplingLoss } from './sampling.ts';
import { symbolsOnce } from './symbols.ts';
import { createTimeline, type Timeline } from '../timeline/index.ts';
import type { Diagram } from '../report/index.ts';
import { watchClock } from './clock.ts';
import { createDiagrams } from './diagrams.ts';
import type { FlowFilter } from './flow-filter.ts';
import type { Probes } from './probes.ts';
import { diagnosisOf, judgedUnder, ofCauses, POLLED_NETNS } from './verdicts.ts';

export interface ProbeState {
  readonly id: string;
  readonly state: 'armed' | 'unavailable';
  readonly why?: string;
  readonly fix?: string;
}

/** What the session gives out while it runs. */
export interface Listener {
  incidents?(incidents: readonly Incident[]): void;
  missed?(loss: { source: string; count: number; text: string }): void;
  /** Every raw record, for a recording. */
  record?: Sink;
}

export interface SessionOptions {
  readonly host: HostRecord;
  readonly probes: Probes;
  readonly netns: readonly Netns[];
  readonly filter: FlowFilter;
  /** Only these causes are shown; empty: all. */
  readonly onlyCauses: readonly string[];
  readonly listener: Listener;
  /** Events that are of no interest are left out before anything is judged. */
  readonly keep: (event: Event) => boolean;
}

/** A live run: probes → records → events → verdicts. Whoever starts it stops it. */
export interface Session {
  readonly netns: readonly Netns[];
  readonly diagnosis: Diagnosis;
  readonly eventsSeen: number;
  /** Sequence diagrams by incident id. */
  readonly diagrams: ReadonlyMap<string, Diagram>;
  readonly losses: readonly { source: string; count: number; text: string }[];
  /** Reads what is known before anything is lost, so that counters have a before. */
  baseline(): Promise<void>;
  run(): void;
  /** Drains what is left, gives late answers a moment, disarms. Gives the final incidents. */
  stop(): Promise<readonly Incident[]>;
  incidents(): readonly Incident[];
}

/** Read before watching: what a later reading is compared with. */
const BASELINE: readonly { topic: Topic; argument?: string }[] = [
  { topic: 'nft' }, { topic: 'iptables' }, { topic: 'ip6tables' }, { topic: 'iptables-legacy' }, { topic: 'ip6tables-legacy' }, { topic: 'ebtables' }, { topic: 'arptables' },
  { topic: 'link' }, { topic: 'qdisc' },
  { topic: 'proc', argument: 'net/stat/nf_conntrack' }, { topic: 'conntrack-stats' }, { topic: 'proc', argument: 'net/snmp' }, { topic: 'proc', argument: 'net/snmp6' }, { topic: 'proc', argument: 'net/netstat' },
  { topic: 'proc', argument: 'net/softnet_stat' }, { topic: 'proc', argument: 'net/xfrm_stat' },
];
/** Waited for at most. */
const BASELINE_MS = 2_500;
/** More namespaces than this are not read beforehand: it would take longer than anyone waits. */
const BASELINE_NETNS = 8;
/** Polled while watching: losses that no event tells of. */
const POLLED: readonly { topic: Topic; argument: string }[] = [{ topic: 'proc', argument: 'net/netstat' }, { topic: 'proc', argument: 'net/snmp' }, { topic: 'proc', argument: 'net/snmp6' }, { topic: 'proc', argument: 'net/stat/nf_conntrack' }];
const POLL_MS = 1_000;
/** Neighbours that do not answer are looked for this often, at rest at each look: the kernel itself reports them after three seconds. */
const NEIGHBOUR_MS = 300;
/** Logs are read again this often, the list of processes every tenth time. */
const LOG_MS = 1_000;
/** Between looks at the probes while something happens: what comes meanwhile is judged together. */
const DRAIN_MS = 25;
/** At rest the probes wake us. A look now and then is for what only time brings. */
const REST_MS = 500;
/** Probes that cannot wake us are looked at this often, more often for a while after something happened. */
const LOOK_MS = 80;
const MOVING = 40;
/** Probes that tell what made a drop. */
const MAKES_DROPS: ReadonlySet<string> = new Set(['exec-bpf', 'conntrack-events']);
/** Counters are read while samples come, and now and then in between. */
const COUNT_MS = 1_000;
const BUSY_COUNT_MS = 100;
/** Memory goes back after so many answers, this often at most. */
const TRIM_AFTER = 20;
const TRIM_MS = 5_000;
/** The start is over by then. */
const STARTED_MS = 3_000;
/** Due a little early is due. */
const SLACK_MS = 50;
/** Its records are wanted with the next drop, not before. */
const UNHURRIED = 'exec-bpf';
const LATE_ANSWERS_MS = 3_000;

/** The first column counts the entries of the whole host: it moves all the time and tells nothing. */
const withoutEntries = (stat: string): string => stat.replace(/^\s*[0-9a-f]+(?=\s)/gm, '');

export const now = (): Mono => mono(process.hrtime.bigint());

export function createSession(options: SessionOptions): Session {
  const { probes, listener } = options;
  const timeline: Timeline = createTimeline(options.host, symbolsOnce);
  const diagnosis = diagnosisOf(options.host, options.netns);
  const diagrams = createDiagrams(options.host.realtimeOffset);
  const clockStep = watchClock(options.host.realtimeOffset);
  const losses: { source: string; count: number; text: string }[] = [];
  const inFlight = new Set<Promise<void>>();
  const lastText = new Map<string, string>();
  const lastSign = new Map<string, string>();
  const judged = judgedUnder(options.filter);
  let eventsSeen = 0;
  let leftOut = 0;
  let lastCounts = 0;
  let dirty = false;
  let moving = 0;
  let stopping = false;

  const add = (event: Event): void => {
    if (!options.keep(event)) {
      if (event.kind === 'drop') leftOut += 1;
      return;
    }
    if (!judged(event)) return;
    if (event.kind === 'drop' || event.kind === 'call') eventsSeen += 1;
    if (event.kind === 'missed') {
      const loss = { source: event.source, count: event.count, text: event.text };
      losses.push(loss);
      listener.missed?.(loss);
    }
    diagrams.event(event);
    diagnosis.add(event);
  };

  const own = (pid: number): boolean => pid === process.pid || probes.snapshots.owns(pid);
  const take = (record: RawRecord): void => {
    const events = timeline.decode(record);
    // our own listings ask the kernel too: what that makes is nobody's loss
    if (events.length > 0 && events.every((e) => (e.kind === 'call' || e.kind === 'exec' || (e.kind === 'drop' && !e.softirq)) && own(e.task.pid))) return;
    listener.record?.(record);
    for (const event of events) add(event);
    dirty = true;
  };

  const logs = new Map<string, Question>();
  let logRounds = 0;
  const ask = (question: Question, onlyIfChanged = false): Promise<void> => {
    if (question.topic === 'log-tail') logs.set(questionKey(question), question);
    const asked = probes.snapshots.ask(question).then((answer) => {
      if (onlyIfChanged && typeof answer.body === 'string') {
        const key = questionKey(question);
        const text = question.argument === 'net/stat/nf_conntrack' ? withoutEntries(answer.body) : answer.body;
        if (lastText.get(key) === text) return;
        lastText.set(key, text);
      }
      untrimmed += 1;
      take(answer);
    });
    inFlight.add(asked);
    return asked.finally(() => inFlight.delete(asked));
  };

  const askIfMoved = (question: Question): void => {
    const key = questionKey(question);
    const sign = probes.snapshots.sign?.(question);
    if (sign !== undefined && lastSign.get(key) === sign) return;
    if (sign !== undefined) lastSign.set(key, sign);
    void ask(question, true);
  };

  const show = (incidents: readonly Incident[]): readonly Incident[] => ofCauses(options.onlyCauses, incidents);

  const drain = (last = false): number => {
    // a drop comes before the call that it makes fail: calls are drained first, so that no call is ahead of its drop. What
    // can have made a drop (a program's start, a deleted connection) is drained after it, so that it is known by then
    const records: RawRecord[] = [];
    const drainInto = (probe: (typeof probes.armed)[number]): number => probe.drain((record) => records.push(record), last);
    const reasons = probes.armed.filter((p) => MAKES_DROPS.has(p.id));
    for (const probe of probes.armed) if (probe !== probes.drops && !reasons.includes(probe)) drainInto(probe);
    // at the end all that the ring holds: a drain takes a part of it
    for (let n = 0; n < (last ? 64 : 1) && probes.drops !== undefined && drainInto(probes.drops) > 0; n++);
    for (const probe of reasons) drainInto(probe);
    records.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    for (const record of records) take(record);
    const moved = records.length;
    // a second of attention after whatever happens
    moving = moved > 0 ? MOVING : Math.max(0, moving - 1);
    const time = now();
    const since = Number(time / 1_000_000n) - lastCounts;
    if (probes.drops !== undefined && (last || since >= (moved > 0 ? BUSY_COUNT_MS : COUNT_MS))) {
      lastCounts = Number(time / 1_000_000n);
      const counts = probes.drops.readCounts();
      if (counts !== undefined && !isUnavailable(counts)) take(counts);
    }
    return moved;
  };

  /** A replay judges at the same points. */
  const tick = (last = false): Mono => {
    const time = now();
    listener.record?.({ record: 'tick', time, ...(last ? { last } : {}) });
    return time;
  };

  const judge = (): void => {
    if (!dirty && !hasOpenWork()) return;
    dirty = false;
    judgedAt = performance.now();
    const { incidents, questions } = diagnosis.judge(tick());
    for (const question of questions) void ask(question).then(judgeSoon);
    const visible = show(incidents);
    diagrams.incidents(visible);
    if (visible.length > 0) listener.incidents?.(visible);
  };
  /** Answers that come together are judged together. */
  const judgeSoon = (): void => {
    if (soon || stopping) return;
    soon = true;
    setImmediate(() => {
      soon = false;
      if (!stopping) judge();
    });
  };
  let soon = false;
  let judgedAt = 0;
  const hasOpenWork = (): boolean => performance.now() - judgedAt >= REST_MS - SLACK_MS; // incidents wait to be shown again

  const ready = createReady();
  let running = false;
  let ended = false;
  /** Sleeps as long as nothing happens. `woken`: a probe said that there is something, and there was nothing. */
  const pause = async (moved: boolean, woken: boolean): Promise<boolean> => {
    const fds = ready === undefined || probes.armed.some((p) => p.fds === undefined) ? undefined : probes.armed.filter((p) => p.id !== UNHURRIED).flatMap((p) => p.fds?.() ?? []);
    if (!moved && !woken && fds !== undefined) return (await ready?.wait(fds, REST_MS)) === true;
    const ms = moved || woken || moving > 0 ? DRAIN_MS : LOOK_MS;
    await new Promise((done) => setTimeout(done, ms));
    return false;
  };
  const polled: { readonly every: number; readonly ask: () => void; last: number }[] = [
    {
      every: POLL_MS, last: 0,
      ask: () => {
        const step = clockStep(now());
        if (step !== undefined) take(step);
        for (const netns of options.netns.slice(0, POLLED_NETNS)) for (const what of POLLED) void ask({ ...what, netns }, true);
      },
    },
    {
      every: NEIGHBOUR_MS, last: 0,
      ask: () => {
        for (const netns of options.netns.slice(0, POLLED_NETNS)) void ask({ topic: 'neighbour-waiting', netns }, true);
      },
    },
    {
      every: LOG_MS, last: 0,
      ask: () => {
        if (logRounds++ % 10 === 9) for (const netns of options.netns.slice(0, POLLED_NETNS)) askIfMoved({ topic: 'processes', netns });
        for (const question of logs.values()) void ask(question, true);
      },
    },
  ];
  /** Listings are read, parsed and thrown away in bursts: what they took goes back when one is over. */
  let untrimmed = 0;
  const trim = (): void => {
    if (untrimmed < TRIM_AFTER) return;
    untrimmed = 0;
    trimMemory();
  };
  polled.push({ every: TRIM_MS, last: 0, ask: trim });
  /** What is due, in one go: each time the process wakes costs more than what it then reads. */
  const poll = (): void => {
    const time = performance.now();
    for (const p of polled) {
      if (time - p.last < p.every - SLACK_MS) continue;
      p.last = time;
      p.ask();
    }
  };
  const watch = async (): Promise<void> => {
    for (let woken = false; !ended; ) {
      const moved = drain() > 0;
      judge();
      poll();
      woken = await pause(moved, woken && !moved);
    }
    ready?.close();
  };

  return {
    netns: options.netns,
    diagnosis,
    get eventsSeen() {
      return eventsSeen;
    },
    diagrams: diagrams.all,
    losses,
    baseline: async () => {
      if (options.netns.length === 0 || options.netns.length > BASELINE_NETNS) return;
      const all = Promise.all(options.netns.flatMap((netns) => BASELINE.map((b) => ask({ ...b, netns }))));
      // a tool that hangs holds up nothing: its answer comes when it comes
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([all, new Promise((done) => (timer = setTimeout(done, BASELINE_MS)))]);
      clearTimeout(timer);
    },
    run: () => {
      running = true;
      setImmediate(() => void watch());
      setTimeout(letGoOfCode, STARTED_MS).unref();
    },
    stop: async () => {
      ended = true;
      if (running) ready?.wake();
      else ready?.close();
      drain(true);
      stopping = true;
      judgeToEnd: for (const deadline = performance.now() + LATE_ANSWERS_MS; ; ) {
        const time = tick();
        diagnosis.incidents(time); // what the last drawing will want to know is asked for now
        const { questions } = diagnosis.judge(time);
        for (const question of questions) void ask(question);
        if (inFlight.size === 0) break judgeToEnd;
        const left = deadline - performance.now();
        if (left <= 0) break judgeToEnd;
        await Promise.race([Promise.all(inFlight), new Promise((done) => setTimeout(done, left))]);
      }
      const end = tick(true);
      diagnosis.judge(end, true);
      const final = show(diagnosis.incidents(end));
      losses.push(...samplingLoss(diagnosis.undescribed, losses, leftOut), ...givenUpLoss(diagnosis.givenUp));
      diagrams.incidents(final);
      probes.close();
      return final;
    },
    incidents: () => show(diagnosis.incidents(now())),
  };
}
