import { decodeConntrackStat, totalOf } from '../formats/nf-conntrack-stat.ts';
import { decodeSnmp } from '../formats/snmp.ts';
import type { Netns } from '../base/brand.ts';
import { isUnavailable, unavailableText } from '../model/unavailable.ts';
import type { Incident } from '../model/incident.ts';
import { createRates, type CounterSeries, type StackCount } from '../report/index.ts';
import { LISTED_INCIDENTS, listed, type SourceState } from '../views/web/index.ts';
import { steadyNow } from './clock.ts';
import { version } from './judged.ts';
import type { Live } from './live.ts';
import { WITHOUT } from './probes.ts';
import { conntrackFill, FILL, RULE_TOPICS, rulesOf } from './serve-host.ts';
import type { ServedSource } from './serve-recording.ts';
import type { Stacks } from './stacks.ts';
import { cost } from './stream.ts';

/** Seconds of history that are kept and shown. */
export const HISTORY = 3_600;
/** Counters are read of so many namespaces. */
const COUNTED_NETNS = 4;
/** Namespaces that the host page offers. */
const LISTED_NETNS = 1_000;
const SHOWN_COUNTERS = 8;
const KEPT_COUNTERS = 256;
const COUNTER_MS = 1_000;
const OF_LOSS = /err|drop|fail|discard|noport|overflow|invalid|chaintoolong|prune|backlog|reject|noroute/i;
const COUNTERS = ['net/stat/nf_conntrack', 'net/snmp', 'net/netstat'] as const;

export interface LiveSource extends ServedSource {
  stop(): void;
}

/** The live watch as the browser sees it: incidents, an hour of losses by the second, an hour of counters that moved. */
export function serveLive(live: Live, stacks: Stacks): LiveSource {
  const started = steadyNow();
  const rates = createRates(HISTORY);
  const counters = createCounterHistory();
  const nameOf = (inode: number): string => live.watched.find((w) => w.inode === inode)?.name ?? live.session.incidents().find((i) => i.where.netns.inode === inode)?.where.netns.name ?? `net:[${inode}]`;
  /** All that can be chosen: what is watched, and where something was lost, that first. */
  const namespaces = (): readonly Netns[] => {
    const hit = live.session.incidents().filter((i) => i.severity !== 'info').map((i) => i.where.netns.inode);
    return [...new Set([...(live.session.netns.length > 0 ? live.session.netns : hit), ...live.watched.map((w) => w.inode)])].slice(0, LISTED_NETNS) as Netns[];
  };
  const { snapshots } = live.probes;

  let reading = false;
  const read = async (): Promise<void> => {
    rates.add(steadyNow(), live.session.incidents());
    if (reading) return;
    reading = true;
    const own = namespaces().slice(0, COUNTED_NETNS);
    const several = live.watched.length !== 1;
    await Promise.all(own.flatMap((netns) => COUNTERS.map(async (argument) => {
      const { body } = await snapshots.ask({ topic: 'proc', netns, argument });
      if (isUnavailable(body)) return; // no conntrack in this namespace, say: the doctor tells of what cannot be read
      const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
      const conntrack = argument === COUNTERS[0];
      const values = conntrack ? totalOf(decodeConntrackStat(text).cpus) : decodeSnmp(text).values;
      for (const [name, value] of values) if (OF_LOSS.test(name)) counters.add(`${several ? `${nameOf(netns)} ` : ''}${conntrack ? 'nf_conntrack ' : ''}${name}`, steadyNow(), value);
    })));
    reading = false;
  };
  void read();
  const timer = setInterval(() => void read(), COUNTER_MS);

  const state = (): Omit<SourceState, 'sources'> => {
    const now = steadyNow();
    const incidents = live.session.incidents();
    rates.add(now, incidents);
    const series = rates.series();
    const length = Math.max(0, ...series.map((s) => s.perSecond.length));
    // the series end with the last whole second
    const timelineFrom = (Math.floor(now / 1000) - length) * 1000;
    return {
      id: 'live', name: 'live', from: started, to: now,
      host: { hostname: live.host.hostname, kernel: live.host.kernel, machine: live.host.machine, cpus: live.host.cpus, whydrop: version },
      netns: live.watched.slice(0, 64), probes: live.states.map((p) => ({ ...p, ...(WITHOUT[p.id] === undefined ? {} : { without: WITHOUT[p.id]! }) })),
      losses: live.session.losses.slice(-100), cost: cost(live.session.eventsSeen),
      incidents: incidents.slice(0, LISTED_INCIDENTS).map(listed), unlisted: Math.max(0, incidents.length - LISTED_INCIDENTS),
      timelineFrom, ...(length === 0 ? {} : { timeline: { stepMs: 1000, series: series.map((s) => ({ cause: s.cause, counts: s.perSecond })) } }),
      counters: counters.series(timelineFrom, Math.max(timelineFrom, started)),
    };
  };

  const stacksOf = (incident: Incident): readonly StackCount[] => {
    const sampled = stacks.of(incident.id, incident.cause.id, incident.count);
    return sampled.length > 0 || incident.where.stack === undefined ? sampled : [{ cause: incident.cause.id, frames: incident.where.stack, count: incident.count }];
  };

  return {
    id: 'live', name: 'live', state,
    incident: (id) => {
      const incident = live.session.incidents().find((i) => i.id === id);
      if (incident === undefined) return undefined;
      const diagram = live.session.diagrams.get(id);
      return { incident, ...(diagram === undefined ? {} : { diagram }), stacks: stacksOf(incident) };
    },
    host: async (wanted) => {
      const missing: string[] = [];
      const all = namespaces();
      const chosen = all.find((n) => n === wanted);
      const perNetns = await Promise.all((chosen === undefined ? all.slice(0, COUNTED_NETNS) : [chosen]).map(async (netns: Netns) => {
        const texts = new Map<string, string>();
        const ask = async (topic: (typeof RULE_TOPICS)[number] | 'sysctl', argument?: string): Promise<void> => {
          const { body } = await snapshots.ask({ topic, netns, ...(argument === undefined ? {} : { argument }) });
          if (isUnavailable(body)) missing.push(unavailableText(body));
          else texts.set(argument === undefined ? topic : `${topic} ${argument}`, typeof body === 'string' ? body : new TextDecoder().decode(body));
        };
        await Promise.all([...RULE_TOPICS.map((t) => ask(t)), ...FILL.map((f) => ask('sysctl', f))]);
        return { rules: rulesOf(nameOf(netns), texts), conntrack: conntrackFill(nameOf(netns), texts) };
      }));
      return { namespaces: all.map((inode) => ({ inode, name: nameOf(inode) })), rules: perNetns.flatMap((p) => p.rules), missing: [...new Set(missing)], conntrack: perNetns.flatMap((p) => p.conntrack) };
    },
    stop: () => clearInterval(timer),
  };
}

/** Values of counters by time, kept where they change; bounded. */
export function createCounterHistory(kept = HISTORY): { add(name: string, at: number, value: number): void; series(from: number, shownFrom: number): CounterSeries[]; readonly points: number } {
  const first = new Map<string, { at: number; value: number }>();
  const changes = new Map<string, [number, number][]>();
  let latest = 0;
  return {
    get points() {
      return [...changes.values()].reduce((n, points) => n + points.length, 0);
    },
    add: (name, at, value) => {
      latest = Math.max(latest, at);
      const before = first.get(name);
      if (before === undefined) {
        if (first.size < KEPT_COUNTERS * 4) first.set(name, { at, value });
        return;
      }
      let points = changes.get(name);
      if (points === undefined) {
        if (value === before.value || changes.size >= KEPT_COUNTERS) return;
        points = [[before.at, before.value]];
        changes.set(name, points);
      }
      if (points.at(-1)![1] !== value) points.push([at, value]);
      if (points.length > kept) points.shift();
    },
    series: (from, shownFrom) =>
      [...changes]
        .map(([name, points]) => {
          const seen = points.filter(([at]) => at >= shownFrom);
          const earlier = points.findLast(([at]) => at < shownFrom);
          const whole = [...(earlier === undefined ? [] : [[shownFrom, earlier[1]] as const]), ...seen];
          const end = whole.at(-1);
          return { name, moved: (end?.[1] ?? 0) - (whole[0]?.[1] ?? 0), points: [...whole, ...(end === undefined ? [] : [[latest, end[1]] as const])].map(([at, value]) => [at - from, value] as const) };
        })
        .filter((s) => s.moved > 0)
        .sort((a, b) => b.moved - a.moved)
        .slice(0, SHOWN_COUNTERS)
        .map(({ name, points }) => ({ name, points })),
  };
}
