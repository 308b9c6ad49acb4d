import { mono } from '../../base/brand.ts';
import { IPS } from '../../model/conntrack.ts';
import type { ConntrackEvent, ExecEvent } from '../../model/event.ts';
import { sameTuple } from '../conntrack/tuple.ts';
import type { Clocks } from './clocks.ts';
import type { Collected } from './collected.ts';
import type { Vanished } from './facts.ts';

/** `conntrack -E` as events. An excerpt beside the whole tells nothing twice. Events without a time say nothing of an order with others and are left out. */
export function conntrackEvents(collected: Collected, clocks: Clocks): readonly ConntrackEvent[] {
  const seen = new Set<string>();
  return collected.of('conntrack-event').flatMap(({ record, netns = collected.home }): ConntrackEvent[] => {
    if (record.stamp === undefined) return [];
    const key = `${netns} ${record.stamp.ns} ${record.change} ${record.entry.id ?? JSON.stringify(record.entry.original)}`;
    if (seen.has(key)) return [];
    seen.add(key);
    return [{ kind: 'conntrack', time: clocks.mono(record.stamp), netns, change: record.change, requester: record.portid ?? 0, entry: record.entry }];
  });
}

/**
 * Programs that were started: execve events of the trace, with the words that a log of commands has for the same
 * moment; and the names that `conntrack -E` gives to requesters, where no execve was seen of them.
 */
export function execEvents(collected: Collected, clocks: Clocks): readonly ExecEvent[] {
  const commands = collected.of('command').map(({ record, netns }) => ({ command: record.command, netns, from: clocks.mono(record.from), to: record.to === undefined ? mono(clocks.mono(record.from) + 1_000_000_000n) : clocks.mono(record.to) }));
  const byPid = new Map<string, ExecEvent>();
  for (const { record } of collected.of('trace')) {
    if (record.event !== 'sched_process_exec') continue;
    const filename = record.fields.get('filename') ?? '';
    const pid = Number(record.fields.get('pid') ?? record.tid ?? 0);
    const base = filename.slice(filename.lastIndexOf('/') + 1);
    const command = commands.find((c) => c.from <= record.time && record.time <= c.to && (c.command.split(/\s+/)[0] ?? '').split('/').at(-1) === base);
    // the same execve from another excerpt
    byPid.set(`${pid} ${filename} ${record.time}`, {
      kind: 'exec', time: mono(record.time), task: { pid, tid: pid, comm: base.slice(0, 15) }, parent: 0, filename,
      argv: command === undefined ? [] : command.command.split(/\s+/), ...(command?.netns === undefined ? {} : { netns: command.netns }),
    });
  }
  const execs = [...byPid.values()];
  const known = new Set(execs.map((e) => e.task.pid));
  for (const { record, netns } of collected.of('conntrack-event')) {
    if (record.portid === undefined || record.program === undefined || record.stamp === undefined || known.has(record.portid)) continue;
    known.add(record.portid);
    const at = clocks.mono(record.stamp);
    const command = commands.find((c) => c.from <= at && at <= c.to && c.command.startsWith(record.program!));
    execs.push({ kind: 'exec', time: at, task: { pid: record.portid, tid: record.portid, comm: record.program }, parent: 0, filename: record.program, argv: command === undefined ? [] : command.command.split(/\s+/), ...(netns === undefined ? {} : { netns }) });
  }
  return execs;
}

/** Entries with this long to live do not go by themselves between two polls. */
const ALIVE_SECONDS = 10;

/** Entries that were there at one poll and gone at the next, before their time. */
export function vanishedEntries(collected: Collected, clocks: Clocks): readonly Vanished[] {
  const perFile = new Map<string, ReturnType<typeof polls>>();
  for (const item of polls(collected)) {
    const key = `${item.file} ${item.netns ?? collected.home}`;
    perFile.set(key, [...(perFile.get(key) ?? []), item]);
  }
  const found: Vanished[] = [];
  for (const list of perFile.values()) {
    for (let i = 0; i + 1 < list.length; i++) {
      const a = list[i]!, b = list[i + 1]!;
      const from = a.record.stamp, to = b.record.stamp;
      if (from === undefined || to === undefined) continue;
      const elapsed = Number((to.ns - from.ns) / 1_000_000_000n);
      for (const entry of a.record.entries) {
        const left = (entry.timeout ?? 0) - elapsed;
        if (elapsed < 0 || left < ALIVE_SECONDS || b.record.entries.some((e) => sameTuple(e.original, entry.original) && (e.id === undefined || entry.id === undefined || e.id === entry.id))) continue;
        found.push({ entry, seen: from.text, gone: to.text, at: clocks.mono(to), file: a.file, ...(a.netns === undefined ? {} : { netns: a.netns }) });
      }
    }
  }
  return found;
}

const polls = (collected: Collected) => collected.of('conntrack-listing').filter((l) => l.record.stamp !== undefined);

/** `udp 10.0.0.1:5 → 10.0.0.2:7, ASSURED, 179 s left, 161,510 packets`, in part. */
export function livelyText(entry: Vanished['entry']): string {
  return [entry.status & IPS.ASSURED ? 'assured' : undefined, entry.timeout === undefined ? undefined : `${entry.timeout} s to live`, entry.packets === undefined ? undefined : `${entry.packets} packets`].filter((w) => w !== undefined).join(', ');
}
