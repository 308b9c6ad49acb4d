import type { Netns } from '../../base/brand.ts';
import { isoTime } from '../../base/time.ts';
import { tupleText } from '../../evidence/conntrack/index.ts';
import { originText, type Origin, type Reconstruction } from '../../evidence/post-mortem/index.ts';
import type { ConntrackEvent, Event, ExecEvent } from '../../model/event.ts';
import type { EvidenceLine, Incident } from '../../model/incident.ts';

/** Before and after a loss, ns: a flush takes some 100 ms, and events are printed late. */
const BEFORE = 300_000_000n;
const AFTER = 20_000_000n;
const MOST_LINES = 14;

/**
 * An incident as a post-mortem can tell it: the moments around the last loss from all files on one clock, no process
 * where the texts name none, and what a judge for texts ruled out is not left open by the live one.
 */
export function refine(incident: Incident, { events, facts, realtimeOffset, host, cite }: Reconstruction, told: readonly Origin[]): Incident {
  const ruledOut = [...new Map(incident.ruledOut.map((r) => [r.cause, r])).values()].filter((r) => r.cause !== incident.cause.id);
  const done = new Set([incident.cause.id, ...ruledOut.map((r) => r.cause)]);
  const cannotTell = [...new Map(incident.cannotTell.map((c) => [c.cause, c])).values()].filter((c) => !done.has(c.cause));
  const victims = incident.victims.map(({ process, ...rest }) => (process === undefined || process.pid === 0 ? rest : { ...rest, process }));
  const asked = facts.missing.map((m): Incident['cannotTell'][number] => ({ cause: incident.cause.id, because: `missing among the files: ${m.what}`, wouldTell: m.wouldTell }));
  const cited = (e: EvidenceLine): string => {
    const source = sourceOf(e);
    const where = cite(source, e.text, incident.where.netns.inode as Netns);
    return where === undefined ? source : `${source} (${where})`;
  };
  const conntrack = incident.cause.id.startsWith('conntrack.');
  // where nothing joins the clocks, a line about a refused send and a traced drop at POSTROUTING may be one packet
  const twice = !facts.joined && incident.cause.id === 'conntrack.insert-race' && incident.where.symbol !== undefined ? Math.min(facts.confirmDrops.postrouting, facts.failedSends.length) : 0;
  const once: EvidenceLine[] = twice === 0 || twice >= incident.count ? [] : [{ source: 'counting', text: `${twice} of the refused sends in the log may be the traced drops at POSTROUTING: they are counted once` }];
  return {
    ...incident, state: 'closed', explanation: unnumbered(incident.explanation).replace(LIVE_ONLY, '. The files tell of the call alone: whether a packet of it was dropped, and where, they do not say.'), culprit: { ...incident.culprit, text: unnumbered(incident.culprit.text), ...(incident.culprit['pid'] === 0 ? { pid: undefined } : {}) }, ruledOut, victims, count: incident.count - (once.length === 0 ? 0 : twice),
    cannotTell: [...(conntrack ? asked : []), ...cannotTell],
    evidence: [...incident.evidence.map((e) => ({ ...e, source: cited(e), text: unnumbered(e.text) })), ...toldBy(told), ...once, ...(conntrack && facts.joined ? timeLine(incident, events, facts, realtimeOffset, host.netnsNames.get(incident.where.netns.inode as never)) : [])],
  };
}

/** At most so many files are named as what told of an incident's losses. */
const MOST_FILES = 4;

/** Which lines of which files told of the losses: the first of each file. */
function toldBy(told: readonly Origin[]): readonly EvidenceLine[] {
  const files = new Map<string, { first: number; last: number; count: number }>();
  for (const { file, line } of told) {
    const known = files.get(file);
    if (known === undefined) files.set(file, { first: line, last: line, count: 1 });
    else {
      known.first = Math.min(known.first, line);
      known.last = Math.max(known.last, line);
      known.count += 1;
    }
  }
  return [...files].slice(0, MOST_FILES).map(([file, f]) => ({ source: 'told by', text: f.count === 1 ? originText({ file, line: f.first }) : `${file}, ${f.count} times from line ${f.first} to line ${f.last}` }));
}

/** What only a probe that saw every drop may say. */
const LIVE_ONLY = ', and no packet was dropped with it. The kernel refused the call before it made a packet.';

/** Probes did not run: their events were read in a trace, or calls in a log that does not know its pid. */
function sourceOf(e: EvidenceLine): string {
  if (e.source === 'call probe') return / by .*\(pid [1-9]/.test(e.text) ? 'trace' : 'log';
  return e.source === 'drop probe' || e.source === 'exec probe' ? 'trace' : e.source;
}

/** A log that does not say which process wrote it. */
const unnumbered = (text: string): string => text.replaceAll(' (pid 0)', '');

/** What happened around the last loss, in order, with what says so. */
function timeLine(incident: Incident, events: readonly Event[], facts: Reconstruction['facts'], offset: bigint, name: string | undefined): readonly EvidenceLine[] {
  const inode = incident.where.netns.inode;
  const last = events.findLast((e) => e.kind === 'drop' && e.netns === inode);
  if (last === undefined || last.kind !== 'drop') return [];
  const within = (time: bigint): boolean => time >= last.time - BEFORE && time <= last.time + AFTER;
  const tuple = last.conntrack?.original;
  const changes = events.filter((e): e is ConntrackEvent => e.kind === 'conntrack' && e.netns === inode && within(e.time) && e.change !== 'update' && (tuple === undefined || e.entry.original.protocol === tuple.protocol && [tuple.source, tuple.destination].includes(e.entry.original.source) && [tuple.source, tuple.destination].includes(e.entry.original.destination)));
  const pids = new Set(changes.map((e) => e.requester));
  const execs = events.filter((e): e is ExecEvent => e.kind === 'exec' && pids.has(e.task.pid) && within(e.time));
  const lines: { time: bigint; text: string }[] = [
    ...changes.map((e) => ({ time: e.time, text: `${e.change.toUpperCase()} ${tupleText(e.entry.original)}${e.entry.id === undefined ? '' : `, id ${e.entry.id}`}${e.requester === 0 ? '' : `, asked for by netlink port id ${e.requester}`} (printed by conntrack -E)` })),
    ...execs.map((e) => ({ time: e.time, text: `${e.argv.length > 0 ? e.argv.join(' ') : e.filename} (pid ${e.task.pid}) starts` })),
    ...facts.marks.filter((m) => m.netns === inode && within(m.time)).map((m) => ({ time: m.time, text: `${m.text} (${m.source})` })),
    { time: last.time, text: `the packet is dropped in ${last.place.name ?? 'the kernel'} on CPU ${last.cpu}` },
    ...events.flatMap((e) => (e.kind === 'call' && e.netns === inode && e.task.tid === last.task.tid && within(e.time) ? [{ time: e.time, text: `${e.syscall} of ${e.task.comm} (pid ${e.task.pid}) returns ${e.errno}` }] : [])),
  ].sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  const source = `time line${name === undefined ? '' : ` of ${name}`}`;
  return lines.slice(0, MOST_LINES).map((l) => ({ source, time: isoTime(l.time, offset), text: `${(Number(l.time / 1000n) / 1e6).toFixed(6)} s: ${l.text}` }));
}
