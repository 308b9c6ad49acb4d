import { callKey, countKey, ethertypeName } from '../model/counter.ts';
import type { DropCountEvent, Event } from '../model/event.ts';
import type { Incident } from '../model/incident.ts';
import type { Metric } from '../exports/index.ts';

/** Exact counts as they grow, for someone who reads them now and then. */
export interface Tally {
  event(event: Event): void;
  incidents(incidents: readonly Incident[]): void;
  metrics(): readonly Metric[];
}

/** Series of one metric at most; what comes later is counted under `other`. A fleet's store pays for every series. */
const MOST_SERIES = 1_000;
const OTHER = 'other';

/** `netnsName` names a namespace; without one it is `net:[inode]`. */
export function createTally(netnsName: (inode: number) => string): Tally {
  const drops = new Map<string, { readonly event: Omit<DropCountEvent, 'kind' | 'time' | 'packets' | 'bytes'>; packets: number; bytes: number }>();
  /** The kernel counts calls before it knows their namespace: those count of which one was described, so was in a watched one. */
  const described = new Set<string>();
  const calls = new Map<string, { readonly syscall: string; readonly errno: string; calls: number }>();
  const interfaces = new Map<string, string>();
  const missed = new Map<string, number>();
  const lost = new Map<string, number>(); //                              by incident: a count that shrinks was shared out anew
  const losses = new Map<string, { readonly labels: readonly string[]; value: number }>();
  const open = new Map<string, readonly string[]>();

  const dropOf = (event: Omit<DropCountEvent, 'kind' | 'time' | 'packets' | 'bytes'>) => {
    const key = countKey(event);
    const known = drops.get(key) ?? { event, packets: 0, bytes: 0 };
    if (known.packets === 0) drops.set(key, known);
    return known;
  };
  const interfaceOf = (netns: number, ifindex: number): string => (ifindex === 0 ? '' : (interfaces.get(`${netns}|${ifindex}`) ?? `#${ifindex}`));

  return {
    event: (event) => {
      switch (event.kind) {
        case 'drop':
          if (event.interface !== undefined) interfaces.set(`${event.netns}|${event.ifindex}`, event.interface);
          if (event.probe === 'bpf') return;
          // without the exact counters of the BPF probe every drop seen is one
          {
            const drop = dropOf(event);
            drop.packets += 1;
            drop.bytes += event.length;
          }
          return;
        case 'drop-count': {
          const drop = dropOf(event);
          drop.packets = Math.max(drop.packets, event.packets);
          drop.bytes = Math.max(drop.bytes, event.bytes);
          return;
        }
        case 'call':
          described.add(callKey(event.task.pid, event.syscall, event.errno));
          return;
        case 'call-count': {
          const key = callKey(event.pid, event.syscall, event.errno);
          const known = calls.get(key) ?? { syscall: event.syscall, errno: event.errno, calls: 0 };
          calls.set(key, known);
          known.calls = Math.max(known.calls, event.calls);
          return;
        }
        case 'missed':
          missed.set(event.source, (missed.get(event.source) ?? 0) + event.count);
          return;
        default:
          return;
      }
    },
    incidents: (incidents) => {
      for (const { id, cause, severity, state, count, where } of incidents) {
        const labels = [cause.id, severity, netnsName(where.netns.inode)];
        if (state === 'open') open.set(id, labels);
        else open.delete(id);
        const before = lost.get(id) ?? 0;
        if (count <= before) continue;
        lost.set(id, count);
        const key = labels.join('\n');
        const known = losses.get(key) ?? { labels, value: 0 };
        losses.set(key, { labels, value: known.value + count - before });
      }
    },
    metrics: () => [
      {
        name: 'whydrop_dropped_packets_total', kind: 'counter', labels: ['netns', 'interface', 'reason', 'symbol', 'protocol'],
        help: 'Packets that the kernel freed as dropped since watching began, exact; everyday ones included.',
        series: bounded([...drops.values()].map((d) => ({ labels: dropLabels(d.event, netnsName, interfaceOf), value: d.packets }))),
      },
      {
        name: 'whydrop_dropped_bytes_total', kind: 'counter', labels: ['netns', 'interface', 'reason', 'symbol', 'protocol'],
        help: 'Bytes of those packets.',
        series: bounded([...drops.values()].map((d) => ({ labels: dropLabels(d.event, netnsName, interfaceOf), value: d.bytes }))),
      },
      {
        name: 'whydrop_failed_calls_total', kind: 'counter', labels: ['syscall', 'errno'],
        help: 'System calls on sockets that failed since watching began, exact.',
        series: bounded([...calls].filter(([key]) => described.has(key)).map(([, c]) => ({ labels: [c.syscall, c.errno], value: c.calls }))),
      },
      {
        name: 'whydrop_losses_total', kind: 'counter', labels: ['cause', 'severity', 'netns'],
        help: 'Packets and calls lost, by the cause that whydrop found (whydrop explain CAUSE).',
        series: bounded([...losses.values()]),
      },
      {
        name: 'whydrop_incidents_open', kind: 'gauge', labels: ['cause', 'severity', 'netns'],
        help: 'Incidents with a loss in the last 30 seconds.',
        series: bounded([...open.values()].map((labels) => ({ labels, value: 1 }))),
      },
      {
        name: 'whydrop_missed_total', kind: 'counter', labels: ['source'],
        help: 'What whydrop itself did not see, by source; counts of drops stay exact.',
        series: [...missed].map(([source, value]) => ({ labels: [source], value })),
      },
    ],
  };
}

function dropLabels(event: Omit<DropCountEvent, 'kind' | 'time' | 'packets' | 'bytes'>, netnsName: (inode: number) => string, interfaceOf: (netns: number, ifindex: number) => string): readonly string[] {
  const { netns, ifindex, reason, place, protocol } = event;
  return [netnsName(netns), interfaceOf(netns, ifindex), reason.name, place.name ?? 'unknown', ethertypeName(protocol)];
}

/** Those of the same labels added up; the first {@link MOST_SERIES} keep their labels for good, so that no counter runs backwards. */
function bounded(series: Metric['series']): Metric['series'] {
  const sums = new Map<string, { labels: readonly string[]; value: number }>();
  for (const { labels, value } of series) {
    const own = labels.join('\n');
    const shown = sums.size < MOST_SERIES || sums.has(own) ? labels : labels.map(() => OTHER);
    const key = shown.join('\n');
    const sum = sums.get(key) ?? { labels: shown, value: 0 };
    sums.set(key, sum);
    sum.value += value;
  }
  return [...sums.values()];
}
