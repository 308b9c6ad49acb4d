import { mono, netnsInode, type Mono, type Netns } from '../base/brand.ts';
import { COUNT_KEY, COUNT_ROW, CALL, DROP, EXEC } from '../bpf/layout.ts';
import type { HostRecord, RawRecord } from '../model/record.ts';
import { EnvironmentError, UsageError } from './exit.ts';
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
  /** What was added to its monotonic times to bring them onto the first host's clock, ns. */
  readonly shift: bigint;
  /** Namespaces that had a number which was taken, and have another now. */
  readonly renumbered: number;
  /** From its first to its last record, ns of the common clock. */
  readonly first: Mono;
  readonly last: Mono;
}

/**
 * Joins recordings of several hosts on one time line: that of the first. The difference of the monotonic clocks is taken
 * from what each host said of its wall clock, so it is as good as their NTP. Namespaces whose inode numbers meet get new
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

  const sameBoot = (a: HostRecord): boolean => a.bootId === lead.host.bootId;
  const taken = new Set<number>();
  const merged: RawRecord[] = [];
  const out: MergedHost[] = [];
  const netns: { inode: Netns; name?: string }[] = [];
  const names: (readonly [Netns, string])[] = [];
  hosts.forEach(({ name, host, records }, i) => {
    const shift = sameBoot(host) ? 0n : host.realtimeOffset - lead.host.realtimeOffset;
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
      merged.push(moved(record, shift, space));
    }
    out.push({ name, hostname: host.hostname, shift, renumbered, first: mono(first + shift), last: mono(last + shift) });
  });
  merged.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  // judged for the last time behind everything
  const end = merged.reduce((t, r) => (r.time > t ? r.time : t), lead.host.time);
  const body = merged.filter((r) => !(r.record === 'tick' && r.last === true));
  const begin = out.reduce((t, h) => (h.first < t ? h.first : t), lead.host.time);
  const host: HostRecord = {
    ...lead.host, time: begin, hostname: [...new Set(hosts.map((h) => h.host.hostname))].join(' + '), cpus: Math.max(...hosts.map((h) => h.host.cpus)),
    namespaces: hosts.reduce((n, h) => n + h.host.namespaces, 0), netns, netnsNames: names,
  };
  return { records: [host, ...body, { record: 'tick', time: end, last: true }], hosts: out };
}

function moved(record: RawRecord, shift: bigint, space: (inode: number) => Netns): RawRecord {
  const time = mono(record.time + shift);
  switch (record.record) {
    case 'drop-sample': return { ...record, time, bytes: patched(record.bytes, DROP.size, DROP.time, DROP.netns, shift, space) };
    case 'call': return { ...record, time, bytes: patched(record.bytes, CALL.size, CALL.time, CALL.netns, shift, space) };
    case 'exec': return { ...record, time, bytes: patched(record.bytes, EXEC.size, EXEC.time, EXEC.netns, shift, space) };
    case 'drop-counts': {
      const bytes = Uint8Array.from(record.bytes);
      const v = new DataView(bytes.buffer);
      for (let row = 0; row + COUNT_ROW.size <= bytes.length; row += COUNT_ROW.size) v.setUint32(row + COUNT_KEY.netns, space(v.getUint32(row + COUNT_KEY.netns, true)), true);
      return { ...record, time, bytes };
    }
    case 'netlink': return { ...record, time, netns: space(record.netns) };
    case 'answer': return { ...record, time, ...(record.question.netns === undefined ? {} : { question: { ...record.question, netns: space(record.question.netns) } }) };
    default: return { ...record, time };
  }
}

function patched(bytes: Uint8Array, size: number, timeAt: number, netnsAt: number, shift: bigint, space: (inode: number) => Netns): Uint8Array {
  if (bytes.length < size) return bytes;
  const made = Uint8Array.from(bytes);
  const v = new DataView(made.buffer);
  v.setBigUint64(timeAt, BigInt.asUintN(64, v.getBigUint64(timeAt, true) + shift), true);
  v.setUint32(netnsAt, space(v.getUint32(netnsAt, true)), true);
  return made;
}

/** `whydrop merge A B -o OUT`. */
export function mergeCommand(paths: readonly string[], options: { readonly output: string }): void {
  const { records, hosts } = merge(paths.map((name) => ({ name, records: openRecording(name) })));
  writeRecording(options.output, records);
  for (const h of hosts) process.stderr.write(`${h.name}: ${h.hostname}, ${(Number(h.last - h.first) / 1e9).toFixed(1)} s; its clock was moved by ${(Number(h.shift) / 1e9).toFixed(6)} s${h.renumbered > 0 ? `, ${h.renumbered} namespaces have new numbers` : ''}\n`);
  process.stderr.write(`wrote ${options.output}: times are as exact as the hosts' wall clocks were (NTP: milliseconds), so what happened first on two hosts is sure only beyond that\n`);
}
