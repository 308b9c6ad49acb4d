/** Limits and units of the running kernel that no file tells. */
import { pinned, syscall } from './ffi.ts';

/** clock_getres(2): include/uapi/asm-generic/unistd.h and the tables of the others. */
const CLOCK_GETRES: Readonly<Record<string, number>> = { x64: 229, arm64: 114, riscv64: 114, loong64: 114, ppc64: 247, s390x: 261 };
const CLOCK_MONOTONIC_COARSE = 6;

/** Resolution of the coarse clock: a jiffy, 1/HZ s, in ns (kernel/time/posix-timers.c: KTIME_LOW_RES). */
export function coarseClockNs(): number | undefined {
  const nr = CLOCK_GETRES[process.arch];
  const at = pinned(16);
  if (nr === undefined || syscall(nr, CLOCK_MONOTONIC_COARSE, at, 0) !== 0) return undefined;
  const ns = Number(at.readBigInt64LE(0)) * 1e9 + Number(at.readBigInt64LE(8));
  return ns > 0 && ns <= 100_000_000 ? ns : undefined;
}

/** getrlimit(2), setrlimit(2). */
const RLIMIT: Readonly<Record<string, readonly [get: number, set: number]>> = { x64: [97, 160], arm64: [163, 164], riscv64: [163, 164], loong64: [163, 164], ppc64: [76, 75], s390x: [191, 75] };
const RLIMIT_MEMLOCK = 8;
const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;

/** What this process may lock into memory: soft and hard limit in bytes, all ones for no limit. */
export function memlock(): { readonly soft: bigint; readonly hard: bigint } | undefined {
  const at = pinned(16);
  const nr = RLIMIT[process.arch]?.[0];
  return nr === undefined || syscall(nr, RLIMIT_MEMLOCK, at, 0) !== 0 ? undefined : { soft: at.readBigUInt64LE(0), hard: at.readBigUInt64LE(8) };
}

/**
 * Before 5.11 BPF maps and programs are charged to RLIMIT_MEMLOCK, 64 kB by default (kernel/bpf/syscall.c). Raises this
 * process's own limit, as far as it may (CAP_SYS_RESOURCE: without bounds, else to the hard limit); false when it stays.
 */
export function raiseMemlock(): boolean {
  const nr = RLIMIT[process.arch]?.[1];
  const before = memlock();
  if (nr === undefined || before === undefined || before.soft === RLIM_INFINITY) return false;
  const set = (soft: bigint, hard: bigint): boolean => {
    const at = pinned(16);
    at.writeBigUInt64LE(soft, 0);
    at.writeBigUInt64LE(hard, 8);
    return syscall(nr, RLIMIT_MEMLOCK, at, 0) === 0;
  };
  return set(RLIM_INFINITY, RLIM_INFINITY) || (before.hard > before.soft && set(before.hard, before.hard));
}
