import { assertNever } from '../base/assert.ts';
import { mono, netnsInode, type Mono, type Netns } from '../base/brand.ts';
import { plural, printable } from '../base/text.ts';
import type { HostRecord, MissedRecord, RawRecord } from '../model/record.ts';
import { commonClock, hostnamesOf, joinedHostname, type OnCommonClock, type Recorded } from './common-clock.ts';
import { EnvironmentError, UsageError } from './exit.ts';
import { moved, relocated } from './moved-record.ts';
import { openRecording } from './replay-command.ts';
import { writeRecording } from './write-recording.ts';

export interface Source {
  readonly name: string;
  readonly records: readonly RawRecord[];
}

export interface Merged {
  readonly records: readonly RawRecord[];
  readonly hosts: readonly MergedHost[];
}

export interface MergedHost {
  readonly name: string;
  readonly hostname: string;
  readonly clock: OnCommonClock;
  /** Namespaces that had a number which was taken, and have another now. */
  readonly renumbered: number;
  /** From its first to its last record, ns of the common clock. */
  readonly first: Mono;
  readonly last: Mono;
}

/**
 * Joins recordings of several hosts on one time line: that of the first. The difference of the clocks comes from packets that
 * both saw (common-clock.ts); without any, from what each host said of its wall clock, and that is said. Namespaces whose inode numbers meet get new
 * ones, and every name says its host. All hosts must be of one kernel release: numbers of drop reasons are its own.
 */
export function merge(sources: readonly Source[]): Merged {
  const hosts = sources.map(({ name, records }) => {
    const host = records.find((r) => r.record === 'host');
    if (host === undefined) throw new UsageError(`${name} holds no records`);
    return { name, host, records };
  });
  const [lead] = hosts;
  if (lead === undefined || hosts.length < 2) throw new UsageError('merge needs two recordings or more');
  const other = hosts.find((h) => h.host.kernel !== lead.host.kernel || JSON.stringify([h.host.dropReasons, h.host.syscalls]) !== JSON.stringify([lead.host.dropReasons, lead.host.syscalls]));
  if (other !== undefined) throw new EnvironmentError(`${other.name} is of kernel ${other.host.kernel}, ${lead.name} of ${lead.host.kernel}: their drop reasons have different numbers`, 'replay each by itself');
  const traced = hosts.find((h) => h.records.some((r) => r.record === 'trace-page'));
  if (traced !== undefined) throw new EnvironmentError(`${traced.name} was recorded with the tracefs probe, whose pages hold times and symbols of their own host`, 'replay each by itself');

  const again = hosts.find((h, i) => hosts.some((o, j) => j < i && sameRecords(h.records, o.records)));
  if (again !== undefined) throw new UsageError(`${again.name} is there twice: the same recording would be counted twice`);

  const inside = hosts.find((h) => hosts.some((o) => o !== h && hostnamesOf(o.host.hostname).length > 1 && hostnamesOf(o.host.hostname).some((n) => hostnamesOf(h.host.hostname).includes(n))));
  if (inside !== undefined) throw new UsageError(`${inside.name} is of a host that another of the recordings was merged from: its losses would be counted twice; merge all at once`);

  const clocks = sinceTheBeginning(hosts, commonClock(hosts));
  const boots = [...new Set(hosts.map((h) => h.host.bootId))];
  const sameBoot = (a: HostRecord): boolean => a.bootId === lead.host.bootId;
  const taken = new Set<number>();
  const merged: RawRecord[] = [];
  const out: MergedHost[] = [];
  const netns: { inode: Netns; name?: string }[] = [];
  const names: (readonly [Netns, string])[] = [];
  hosts.forEach(({ name, host, records }, i) => {
    const clock = clocks[i]!;
    const { move } = clock;
    const numbers = new Map<number, Netns>();
    let renumbered = 0;
    // two recordings of one boot speak of the same namespaces
    const space = (inode: number): Netns => {
      if (inode === 0 || (sameBoot(host) && i > 0)) return netnsInode(inode);
      let made = numbers.get(inode);
      if (made === undefined) {
        let free = inode;
        while (taken.has(free)) free = free >= 0xffff_fff0 ? 1 : free + 1;
        if (free !== inode) renumbered += 1;
        taken.add(free);
        made = netnsInode(free);
        numbers.set(inode, made);
      }
      return made;
    };
    const label = (inode: Netns, known: string | undefined): string => `${host.hostname}:${known ?? (inode === host.home ? 'host' : `net:[${inode}]`)}`;
    const known = new Map(host.netnsNames);
    for (const n of host.netns) netns.push({ inode: space(n.inode), name: label(n.inode, n.name ?? known.get(n.inode)) });
    for (const [inode, ns] of host.netnsNames) names.push([space(inode), label(inode, ns)]);
    for (const inode of new Set([host.home, ...host.netns.map((n) => n.inode)])) if (!known.has(inode)) names.push([space(inode), label(inode, undefined)]);
    let first = host.time, last = host.time;
    for (const record of records) {
      if (record.record === 'host') continue;
      if (record.record === 'tick' && record.last === true && i > 0) continue;
      if (record.time < first) first = record.time;
      if (record.time > last) last = record.time;
      merged.push(relocated(moved(record, move, space), -CODE_ROOM * BigInt(boots.indexOf(host.bootId))));
    }
    out.push({ name, hostname: host.hostname, clock, renumbered, first: move(first), last: move(last) });
  });
  merged.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  // judged for the last time behind everything
  const end = merged.reduce((t, r) => (r.time > t ? r.time : t), out[0]!.first);
  const body = merged.filter((r) => !(r.record === 'tick' && r.last === true));
  const begin = out.reduce((t, h) => (h.first < t ? h.first : t), out[0]!.first);
  const host: HostRecord = {
    ...lead.host, time: begin, realtimeOffset: lead.host.realtimeOffset - clocks[0]!.move(mono(0n)), hostname: joinedHostname(hosts.map((h) => h.host.hostname)), cpus: Math.max(...hosts.map((h) => h.host.cpus)),
    namespaces: hosts.reduce((n, h) => n + h.host.namespaces, 0), netns, netnsNames: names,
  };
  const notes = out.filter((h) => h.clock.how.by !== 'same-clock').map((h): MissedRecord => ({ record: 'missed', time: begin, source: 'clock', count: 0, text: `${h.hostname} on the time line of ${lead.host.hostname}: ${clockWords(h.clock)}` }));
  return { records: [host, ...notes, ...body, { record: 'tick', time: end, last: true }], hosts: out };
}

/** Kernel and modules lie within two GB; so far apart the code of two hosts is put. */
const CODE_ROOM = 1n << 36n;

/** What happened before the first host was booted has no time on its clock: then all are told on a clock that began earlier. */
function sinceTheBeginning(hosts: readonly Recorded[], clocks: readonly OnCommonClock[]): readonly OnCommonClock[] {
  const first = hosts.reduce((least, { records }, i) => records.reduce((t, r) => {
    const time = clocks[i]!.move(r.time);
    return time < t ? time : t;
  }, least), 0n as bigint);
  if (first >= 0n) return clocks;
  const more = (-first / SECOND + 2n) * SECOND;
  return clocks.map((clock) => ({ ...clock, move: (time) => mono(clock.move(time) + more) }));
}
const SECOND = 1_000_000_000n;

const sameRecords = (a: readonly RawRecord[], b: readonly RawRecord[]): boolean =>
  a.length === b.length && a.every((r, i) => r.record === b[i]?.record && r.time === b[i]?.time) && hostOf(a)?.bootId === hostOf(b)?.bootId;
const hostOf = (records: readonly RawRecord[]): HostRecord | undefined => records.find((r) => r.record === 'host');

/** How its times came onto the common clock, and how sure that is. */
function clockWords({ how, wallAhead }: OnCommonClock): string {
  const ahead = wallAhead === 0n ? 'in step' : wallAhead < 0n ? `${seconds(-wallAhead)} behind` : `${seconds(wallAhead)} ahead`;
  switch (how.by) {
    case 'same-clock': return 'the same boot, one clock';
    case 'packets': case 'conntrack': {
      const { pairs } = how;
      const seen = how.by === 'packets' ? `${plural(pairs.there + pairs.back, 'pair')} of events whose order is known (${pairs.there} one way, ${pairs.back} the other)` : `${plural(pairs.tracked, 'connection')} that both conntracks told of`;
      return `its wall clock was ${ahead}, ± ${seconds(how.uncertainty)}, by ${seen}${pairs.contradicting === 0 ? '' : `; ${pairs.contradicting} did not fit and were left out`}${how.ppm === 0 ? '' : `; its clock ran ${Math.abs(how.ppm)} ppm ${how.ppm < 0 ? 'slower' : 'faster'}`}${how.through.length === 0 ? '' : `; reckoned through ${how.through.join(', ')}`}`;
    }
    case 'wall-clocks': {
      const { there, back, tracked, contradicting } = how.pairs;
      if (there + back === 0 && tracked > 0) return `both wall clocks are taken to be right: the ${tracked} connections that both conntracks told of contradict each other`;
      if (there + back === 0) return 'both wall clocks are taken to be right, since no packet was seen by both hosts: how far they were apart is not known (with NTP: milliseconds)';
      if (there + back === contradicting) return `both wall clocks are taken to be right: the ${there + back} pairs of events that both hosts saw contradict each other`;
      const one = `${plural(there + back, 'pair')} of events, all in one direction, which bound the clocks on one side only`;
      return how.corrected ? `its wall clock was ${ahead} or more, by ${one}: it was moved so far that no effect is before its cause` : `both wall clocks are taken to be right; that agrees with ${one}`;
    }
    default: return assertNever(how, 'clock source');
  }
}

/** Three digits that count: `37.002 s`, `1.24 ms`. */
function seconds(ns: bigint): string {
  const s = Number(ns) / 1e9;
  return s >= 1 ? `${s.toFixed(3)} s` : `${Number((s * 1e3).toPrecision(3))} ms`;
}

/** `whydrop merge A B -o OUT`. */
export function mergeCommand(paths: readonly string[], options: { readonly output: string }): void {
  const { records, hosts } = merge(paths.map((name) => ({ name, records: openRecording(name) })));
  writeRecording(options.output, records);
  for (const [i, h] of hosts.entries()) {
    const clock = i === 0 ? 'gives the clock' : clockWords(h.clock);
    process.stderr.write(`${h.name}: ${printable(h.hostname)}, ${(Number(h.last - h.first) / 1e9).toFixed(1)} s; ${clock}${h.renumbered > 0 ? `; ${plural(h.renumbered, 'namespace')} got another number` : ''}\n`);
  }
  process.stderr.write(`wrote ${options.output}\n`);
}
