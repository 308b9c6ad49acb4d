import { CALL_LOST, CALLS, callProgram } from '../../bpf/call.ts';
import { CONNECT_LOST, connectProgram } from '../../bpf/connect.ts';
import { DROP_LOST, dropProgram } from '../../bpf/drop.ts';
import { EXEC_LOST, execProgram } from '../../bpf/exec.ts';
import { CALL_KEY, CALL_ROW, CONNECTING, COUNT_KEY, COUNT_ROW, COUNT_VALUE, DROP, RECORD_KIND } from '../../bpf/layout.ts';
import { FLOWS } from '../../bpf/newcomer.ts';
import type { Program } from '../../bpf/assembler.ts';
import type { Access } from '../../bpf/blocks.ts';
import type { Btf } from '../../formats/btf.ts';
import { mono, type Mono, type Netns } from '../../base/brand.ts';
import type { CallCountsRecord, DropCountsRecord } from '../../model/record.ts';
import type { Sink } from '../../model/capture.ts';
import { isUnavailable, type Unavailable } from '../../model/unavailable.ts';
import type { Arm, ArmedProbe, Scope } from '../source.ts';
import { attachRawTracepoint, close, createMap, createMapReader, loadProgram, lookupMap, MAP_TYPE, openRing, possibleCpus, PROG_TYPE, updateMap, type BpfMap, type Ring } from '../sys/bpf.ts';
import { pinned } from '../sys/ffi.ts';
import { coarseClockNs } from '../sys/limits.ts';
import { conntrackTypes, dropReasons, kernelTypes } from './kernel-types.ts';

export { dropReasons, kernelTypes } from './kernel-types.ts';

/** The drop probe also keeps exact counts. */
export interface DropProbe extends ArmedProbe {
  /** The counters, summed over CPUs; undefined when nothing was ever counted. */
  readCounts(): DropCountsRecord | Unavailable | undefined;
}

/** Counters at most; what does not fit is in the loss ledger. 64 kB and 32 bytes a CPU each. */
const COUNTERS = 8192;
const NAMESPACES = 16_384;
/** Bytes; a power of two and of pages. 4,000 descriptions. */
const DROP_RING = 4 << 20;
const CALL_RING = 1 << 20;
const CONNECT_RING = 1 << 18;
/** Attempts under way at most; of older ones beyond that the end is not seen. */
const CONNECTIONS = 16_384;
/** Between readings of the counters of failed calls. */
const CALL_COUNTS_NS = 200_000_000n;
const RECORDS_A_DRAIN = 2_000;
const LOST_SLOTS = 5;
/** Between readings of what was lost: while records come, and at rest. */
const BUSY_LOST_NS = 250_000_000n;
const LOST_NS = 1_000_000_000n;

/** System calls that the call probe watches here, for the first record of a capture. */
export const watchedSyscalls = (): readonly (readonly [number, string])[] => (CALLS[process.arch] ?? []).map((c) => [c.nr, c.name] as const);

/** Drops of packets: skb:kfree_skb by tp_btf, or by raw tracepoint where that is not allowed. */
export const armDrops = (scope: Scope): DropProbe | Unavailable => {
  const btf = kernelTypes();
  if (isUnavailable(btf)) return btf;
  const maps = createMaps({
    counts: [MAP_TYPE.percpuHash, COUNT_KEY.size, COUNT_VALUE.size, COUNTERS],
    ring: [MAP_TYPE.ringbuf, 0, 0, DROP_RING],
    netns: [MAP_TYPE.hash, 4, 4, NAMESPACES],
    flows: [MAP_TYPE.percpuArray, 4, 4 * FLOWS, 1],
    lost: [MAP_TYPE.percpuArray, 4, 8, LOST_SLOTS],
  });
  if (isUnavailable(maps)) return maps;
  watch(maps, scope.netns);
  const attached = attachDrops(btf, maps, scope.netns.length > 0);
  if (isUnavailable(attached)) {
    maps.close();
    return attached;
  }
  const ring = openRing(maps.all['ring'] as BpfMap);
  if (isUnavailable(ring)) {
    attached.close();
    maps.close();
    return ring;
  }
  const cpus = possibleCpus();
  const reader = createMapReader(maps.all['counts'] as BpfMap, cpus);
  const probe = armed('drop-bpf', maps, 'ring', [attached], ring, cpus, [
    [DROP_LOST.ring, 'bpf-ring', 'drops were counted but not described: the ring buffer was full'],
    [DROP_LOST.counters, 'bpf-counters', `drops were not counted: more than ${COUNTERS} different counters`],
  ]);
  return { ...probe, readCounts: () => readCounts(reader.read(), cpus) };
};

// functions of their own: a closure made where a probe's closures are made would hold the kernel's types as long as those live
function attachDrops(btf: Btf, maps: Maps, filter: boolean): Attached | Unavailable {
  const conntrack = conntrackTypes(btf);
  const options = { filter, ...tick() };
  return attachEither(btf, 'kfree_skb', (access) => dropProgram(btf, conntrack, { ...options, access }), maps.all);
}
const attachCalls = (btf: Btf, maps: Maps, filter: boolean): Attached | Unavailable =>
  attachEither(btf, 'sys_exit', (access) => callProgram(btf, process.arch, { filter, access, ...tick() }), maps.all);

/** Failed system calls on sockets. */
export const armCalls: Arm = (scope) => {
  const btf = kernelTypes();
  if (isUnavailable(btf)) return btf;
  const maps = createMaps({
    calls: [MAP_TYPE.lruPercpuHash, CALL_KEY.size, COUNT_VALUE.size, 4096],
    'calls-ring': [MAP_TYPE.ringbuf, 0, 0, CALL_RING],
    netns: [MAP_TYPE.hash, 4, 4, NAMESPACES],
    lost: [MAP_TYPE.percpuArray, 4, 8, LOST_SLOTS],
  });
  if (isUnavailable(maps)) return maps;
  watch(maps, scope.netns);
  const probe = withRing('calls-bpf', maps, attachCalls(btf, maps, scope.netns.length > 0), [
    [CALL_LOST.ring, 'bpf-calls', 'failed calls were not described: the ring buffer was full'],
    [CALL_LOST.counters, 'bpf-calls', 'failed calls were not counted'],
  ]);
  if (isUnavailable(probe)) return probe;
  const cpus = possibleCpus();
  const reader = createMapReader(maps.all['calls'] as BpfMap, cpus);
  // read while calls come and until two readings are alike: those that were not described count too
  let due = false;
  let before: Uint8Array | undefined;
  let next = 0n;
  return {
    ...probe,
    drain: (sink, last = false) => {
      const count = probe.drain(sink, last);
      const now = process.hrtime.bigint();
      if (count > 0) due = true;
      if (!last && (!due || now < next)) return count;
      next = now + CALL_COUNTS_NS;
      const counts = readCallCounts(reader.read(), cpus, mono(now));
      const same = counts === undefined || (before !== undefined && Buffer.compare(counts.bytes, before) === 0);
      due = count > 0 || !same;
      if (counts !== undefined && !same) sink(counts);
      before = counts?.bytes;
      return count;
    },
  };
};

/** TCP connection attempts that failed without a call that says so, or that were given up. */
export const armConnects: Arm = (scope) => {
  const btf = kernelTypes();
  if (isUnavailable(btf)) return btf;
  const maps = createMaps({
    connecting: [MAP_TYPE.lruHash, 8, CONNECTING.size, CONNECTIONS],
    'calls-ring': [MAP_TYPE.ringbuf, 0, 0, CONNECT_RING],
    netns: [MAP_TYPE.hash, 4, 4, NAMESPACES],
    lost: [MAP_TYPE.percpuArray, 4, 8, LOST_SLOTS],
  });
  if (isUnavailable(maps)) return maps;
  watch(maps, scope.netns);
  return withRing('connects-bpf', maps, attach('inet_sock_set_state', connectProgram(btf, scope.netns.length > 0), maps.all, 0), [
    [CONNECT_LOST, 'bpf-connects', 'connection attempts that failed were not described: the ring buffer was full'],
  ]);
};

/** Programs that start. Of every namespace: a flush of conntrack may come from anywhere. */
export const armExecs: Arm = () => {
  const btf = kernelTypes();
  if (isUnavailable(btf)) return btf;
  const maps = createMaps({ 'calls-ring': [MAP_TYPE.ringbuf, 0, 0, CALL_RING], lost: [MAP_TYPE.percpuArray, 4, 8, LOST_SLOTS] });
  if (isUnavailable(maps)) return maps;
  return withRing('exec-bpf', maps, attach('sched_process_exec', execProgram(btf), maps.all, 0), [[EXEC_LOST, 'bpf-exec', 'programs that started were missed: the ring buffer was full']]);
};

interface Maps {
  readonly all: Readonly<Record<string, BpfMap>>;
  close(): void;
}

function createMaps(specs: Readonly<Record<string, readonly [type: number, key: number, value: number, entries: number]>>): Maps | Unavailable {
  const all: Record<string, BpfMap> = {};
  const closeAll = (): void => Object.values(all).forEach((m) => close(m.fd));
  for (const [name, [type, key, value, entries]] of Object.entries(specs)) {
    const map = createMap(name, type, key, value, entries);
    if (isUnavailable(map)) {
      closeAll();
      return map;
    }
    all[name] = map;
  }
  return { all, close: closeAll };
}

function watch(maps: Maps, namespaces: readonly Netns[]): void {
  const map = maps.all['netns'];
  if (map === undefined) return;
  for (const netns of namespaces) {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(netns);
    updateMap(map, key, key);
  }
}

interface Attached {
  close(): void;
}

/** Loads and attaches; with a typedef id as tp_btf, else as a raw tracepoint. */
function attach(tracepoint: string, program: Program | { readonly missing: string }, maps: Readonly<Record<string, BpfMap>>, typedef: number): Attached | Unavailable {
  if ('missing' in program) return { unavailable: 'unsupported', what: `generating the program for ${tracepoint}`, why: `this kernel has no ${program.missing}` };
  const fd = loadProgram(tracepoint, program, maps, typedef === 0 ? PROG_TYPE.rawTracepoint : PROG_TYPE.tracing, typedef);
  if (isUnavailable(fd)) return fd;
  const link = attachRawTracepoint(fd, typedef === 0 ? tracepoint : undefined);
  if (isUnavailable(link)) {
    close(fd);
    return link;
  }
  return {
    close: () => {
      close(link);
      close(fd);
    },
  };
}

/** As tp_btf, which reads kernel memory directly, or as a raw tracepoint where the verifier does not take that. */
function attachEither(btf: Btf, tracepoint: string, program: (access: Access) => Program | { readonly missing: string }, maps: Readonly<Record<string, BpfMap>>): Attached | Unavailable {
  const typedef = btf.tracepoint(tracepoint)?.typedef;
  const direct = typedef === undefined ? undefined : attach(tracepoint, program('direct'), maps, typedef);
  return direct === undefined || isUnavailable(direct) ? attach(tracepoint, program('probe'), maps, 0) : direct;
}

/** Length of a jiffy, where it can be known. */
function tick(): { readonly tickNs?: number } {
  const tickNs = coarseClockNs();
  return tickNs === undefined ? {} : { tickNs };
}

function withRing(id: string, maps: Maps, attached: Attached | Unavailable, losses: Losses): ArmedProbe | Unavailable {
  if (isUnavailable(attached)) {
    maps.close();
    return attached;
  }
  const ring = openRing(maps.all['calls-ring'] as BpfMap);
  if (isUnavailable(ring)) {
    attached.close();
    maps.close();
    return ring;
  }
  return armed(id, maps, 'calls-ring', [attached], ring, possibleCpus(), losses);
}

type Losses = readonly (readonly [slot: number, source: string, text: string])[];

function armed(id: string, maps: Maps, ringName: string, attached: readonly Attached[], ring: Ring, cpus: number, losses: Losses): ArmedProbe {
  const told = new Map<number, number>();
  const value = pinned(8 * cpus);
  let next = 0n;
  let open = true;
  const lost = (sink: Sink, busy: boolean): void => {
    const now = process.hrtime.bigint();
    if (now < next - (busy ? LOST_NS - BUSY_LOST_NS : 0n)) return;
    next = now + LOST_NS;
    for (const [slot, source, text] of losses) {
      const key = Buffer.alloc(4);
      key.writeUInt32LE(slot);
      if (lookupMap(maps.all['lost'] as BpfMap, key, value) < 0) continue;
      let total = 0;
      for (let cpu = 0; cpu < cpus; cpu++) total += Number(value.readBigUInt64LE(8 * cpu));
      const before = told.get(slot) ?? 0;
      told.set(slot, total);
      if (total > before) sink({ record: 'missed', time: mono(now), source, count: total - before, text });
    }
  };
  return {
    id,
    drain: (sink, last = false) => {
      if (!open) return 0;
      const count = ring.drain(RECORDS_A_DRAIN, (bytes) => sink(rawRecord(bytes)));
      lost(sink, count > 0 || last);
      return count;
    },
    fds: () => [(maps.all[ringName] as BpfMap).fd],
    addNetns: (netns) => watch(maps, [netns]),
    close: () => {
      if (!open) return;
      open = false;
      for (const a of attached) a.close();
      ring.close();
      maps.close();
    },
  };
}

const KINDS = { [RECORD_KIND.drop]: 'drop-sample', [RECORD_KIND.call]: 'call', [RECORD_KIND.exec]: 'exec', [RECORD_KIND.connect]: 'call' } as const;

/** A copy: the ring's memory is the kernel's. */
function rawRecord(bytes: Uint8Array): { record: 'drop-sample' | 'call' | 'exec'; time: ReturnType<typeof mono>; bytes: Uint8Array } {
  const copy = new Uint8Array(bytes);
  const view = new DataView(copy.buffer);
  const kind = view.getUint16(DROP.kind, true) as keyof typeof KINDS;
  return { record: KINDS[kind], time: mono(view.getBigUint64(DROP.time, true)), bytes: copy };
}

function readCounts(read: { keys: Buffer; values: Buffer; count: number } | Unavailable, cpus: number): DropCountsRecord | Unavailable | undefined {
  if (isUnavailable(read)) return read;
  if (read.count === 0) return undefined;
  const rows = Buffer.alloc(read.count * COUNT_ROW.size);
  for (let i = 0; i < read.count; i++) {
    const row = i * COUNT_ROW.size;
    read.keys.copy(rows, row, i * COUNT_KEY.size, (i + 1) * COUNT_KEY.size);
    rows.writeBigUInt64LE(sumOverCpus(read.values, i, cpus, COUNT_VALUE.packets), row + COUNT_ROW.packets);
    rows.writeBigUInt64LE(sumOverCpus(read.values, i, cpus, COUNT_VALUE.bytes), row + COUNT_ROW.bytes);
  }
  return { record: 'drop-counts', time: mono(process.hrtime.bigint()), bytes: rows };
}

function readCallCounts(read: { keys: Buffer; values: Buffer; count: number } | Unavailable, cpus: number, time: Mono): CallCountsRecord | undefined {
  if (isUnavailable(read) || read.count === 0) return undefined;
  const rows = Buffer.alloc(read.count * CALL_ROW.size);
  for (let i = 0; i < read.count; i++) {
    const row = i * CALL_ROW.size;
    read.keys.copy(rows, row, i * CALL_KEY.size, (i + 1) * CALL_KEY.size);
    rows.writeBigUInt64LE(sumOverCpus(read.values, i, cpus, COUNT_VALUE.packets), row + CALL_ROW.calls);
  }
  return { record: 'call-counts', time, bytes: rows };
}

function sumOverCpus(values: Buffer, element: number, cpus: number, at: number): bigint {
  let sum = 0n;
  for (let cpu = 0; cpu < cpus; cpu++) sum += values.readBigUInt64LE((element * cpus + cpu) * COUNT_VALUE.size + at);
  return sum;
}

/** What the BPF tier knows for the first record of a capture. */
export function reasonsOfKernel(): readonly (readonly [number, string])[] {
  const btf = kernelTypes();
  return isUnavailable(btf) ? [] : dropReasons(btf);
}
