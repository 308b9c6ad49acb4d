import { availableParallelism, cpus, hostname, machine, release } from 'node:os';
import { mono } from '../base/brand.ts';
import type { HostRecord } from '../model/record.ts';
import { isUnavailable } from '../model/unavailable.ts';
import { readText } from './read.ts';
import { pinned, syscall } from './sys/ffi.ts';

/** What only the probes know of the host; see {@link HostRecord}. */
export type ProbeKnowledge = Pick<HostRecord, 'dropReasons' | 'syscalls' | 'formats' | 'netns' | 'namespaces' | 'home' | 'netnsNames'>;

/** The first record of a capture. */
export function readHost(known: ProbeKnowledge): HostRecord {
  const bootId = readText('/proc/sys/kernel/random/boot_id');
  return {
    record: 'host',
    time: mono(process.hrtime.bigint()),
    kernel: release(),
    machine: machine(),
    hostname: hostname(),
    cpus: cpus().length || availableParallelism(),
    bootId: isUnavailable(bootId) ? '' : bootId.trim(),
    realtimeOffset: realtimeOffset(),
    ...known,
  };
}

/** System call number of clock_gettime(2). */
const CLOCK_GETTIME: Readonly<Record<string, number>> = { x64: 228, arm64: 113, riscv64: 113, loong64: 113, ppc64: 246, s390x: 260 };

/** CLOCK_REALTIME minus CLOCK_MONOTONIC, ns. */
export function realtimeOffset(): bigint {
  const nr = CLOCK_GETTIME[process.arch];
  const timespec = pinned(16);
  const before = process.hrtime.bigint();
  if (nr !== undefined && syscall(nr, 0 /* CLOCK_REALTIME */, timespec, 0) === 0) {
    const after = process.hrtime.bigint();
    return timespec.readBigInt64LE(0) * 1_000_000_000n + timespec.readBigInt64LE(8) - (before + after) / 2n;
  }
  return BigInt(Date.now()) * 1_000_000n - before; // to a millisecond
}
