/**
 * bpf(2): maps, programs, attachments. Everything is held by file descriptors, so nothing outlives the process. Layouts
 * of union bpf_attr: include/uapi/linux/bpf.h.
 */
import { closeSync, readFileSync } from 'node:fs';
import type { Program } from '../../bpf/assembler.ts';
import type { Unavailable } from '../../model/unavailable.ts';
import { memlock, raiseMemlock } from './limits.ts';
import { addressOf, EACCES, EAGAIN, ENOENT, ENOSYS, EPERM, errnoName, mmap, pinned, PROT_READ, PROT_WRITE, syscall, type Mapping } from './ffi.ts';

const BPF: Readonly<Record<string, number>> = { x64: 321, arm64: 280, riscv64: 280, loong64: 280, ppc64: 361, s390x: 351 };
const COMMAND = { mapCreate: 0, mapLookup: 1, mapUpdate: 2, progLoad: 5, rawTracepointOpen: 17, mapLookupBatch: 24 } as const;
export const MAP_TYPE = { hash: 1, percpuHash: 5, percpuArray: 6, lruHash: 9, lruPercpuHash: 10, ringbuf: 27 } as const;
export const PROG_TYPE = { rawTracepoint: 17, tracing: 26 } as const;
const BPF_TRACE_RAW_TP = 23;
const ATTR = 128;
const LOAD_TRIES = 50;

function bpf(command: number, attr: Buffer): number {
  const nr = BPF[process.arch];
  return nr === undefined ? -ENOSYS : syscall(nr, command, attr, attr.length);
}

/** Old kernels say EPERM when the limit of locked memory is reached: raised once, and tried again. */
function charged(call: () => number): number {
  const result = call();
  return result === -EPERM && raiseMemlock() ? call() : result;
}

/** Why bpf(2) said no, in words that help. */
function refused(what: string, errno: number): Unavailable {
  const why = errnoName(errno);
  if (errno === EPERM || errno === EACCES) {
    const sysctl = readSysctl('/proc/sys/kernel/unprivileged_bpf_disabled');
    return { unavailable: 'permission', what, why: sysctl === undefined ? why : `${why} (kernel.unprivileged_bpf_disabled = ${sysctl})`, fix: fixOf(missingCapabilities(), memlock()?.soft) };
  }
  if (errno === ENOSYS) return { unavailable: 'unsupported', what, why, fix: 'this kernel was built without bpf(2) (CONFIG_BPF_SYSCALL); the tracefs tier does without' };
  return { unavailable: 'failed', what, why };
}

/** More locked memory than all our maps take. */
const ENOUGH_LOCKED = 256n << 20n;

/** What loading a tracing program takes (capabilities(7)): numbers of include/uapi/linux/capability.h. CAP_SYS_ADMIN does for both. */
const NEEDED = [['CAP_BPF', 39n], ['CAP_PERFMON', 38n]] as const;
const CAP_SYS_ADMIN = 21n;

/** Which of them this process lacks; undefined when that cannot be read. */
function missingCapabilities(): readonly string[] | undefined {
  const held = /^CapEff:\s*([0-9a-f]+)$/m.exec(readSysctl('/proc/self/status') ?? '')?.[1];
  if (held === undefined) return undefined;
  const mask = BigInt(`0x${held}`);
  const has = (bit: bigint): boolean => ((mask >> bit) & 1n) === 1n;
  return has(CAP_SYS_ADMIN) ? [] : NEEDED.flatMap(([name, bit]) => (has(bit) ? [] : [name]));
}

/** `locked`: bytes of memory that this process may lock. */
export function fixOf(missing: readonly string[] | undefined, locked: bigint | undefined): string {
  switch (missing?.length) {
    case undefined: return 'run as root, or with CAP_BPF and CAP_PERFMON';
    case 0: return `${locked === undefined || locked > ENOUGH_LOCKED ? '' : `before Linux 5.11 BPF is charged to the limit of locked memory, which is ${locked / 1024n} kB here and cannot be raised by this process: ulimit -l unlimited (systemd: LimitMEMLOCK=infinity), or CAP_SYS_RESOURCE; otherwise `}this process has the capabilities: a seccomp filter, a user namespace or kernel lockdown (cat /sys/kernel/security/lockdown; confidentiality allows no BPF tracing) refuses it`;
    default: return `run as root, or also with ${missing?.join(' and ')}`;
  }
}

function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined; // an old kernel has no such sysctl
  }
}

export interface BpfMap {
  readonly fd: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

export function createMap(name: string, type: number, keySize: number, valueSize: number, maxEntries: number): BpfMap | Unavailable {
  const attr = pinned(ATTR);
  attr.writeUInt32LE(type, 0);
  attr.writeUInt32LE(keySize, 4);
  attr.writeUInt32LE(valueSize, 8);
  attr.writeUInt32LE(maxEntries, 12);
  attr.write(`wd_${name}`.replaceAll('-', '_').slice(0, 15), 28, 'latin1');
  const fd = charged(() => bpf(COMMAND.mapCreate, attr));
  return fd < 0 ? refused(`creating the BPF map ${name}`, -fd) : { fd, keySize, valueSize, maxEntries };
}

export function updateMap(map: BpfMap, key: Uint8Array, value: Uint8Array): number {
  const k = pinned(key.length);
  const v = pinned(value.length);
  k.set(key);
  v.set(value);
  const attr = pinned(ATTR);
  attr.writeUInt32LE(map.fd, 0);
  attr.writeBigUInt64LE(addressOf(k), 8);
  attr.writeBigUInt64LE(addressOf(v), 16);
  return bpf(COMMAND.mapUpdate, attr);
}

/** CPUs that a per-CPU map has a value for. */
export function possibleCpus(): number {
  const last = /(\d+)\s*$/.exec(readSysctl('/sys/devices/system/cpu/possible') ?? '0')?.[1];
  return Number(last) + 1;
}

/** Reads one element; a per-CPU map gives the values of all possible CPUs, each rounded up to 8 bytes. */
export function lookupMap(map: BpfMap, key: Uint8Array, value: Buffer): number {
  const k = pinned(key.length);
  k.set(key);
  const attr = pinned(ATTR);
  attr.writeUInt32LE(map.fd, 0);
  attr.writeBigUInt64LE(addressOf(k), 8);
  attr.writeBigUInt64LE(addressOf(value), 16);
  return bpf(COMMAND.mapLookup, attr);
}

/** Reads a whole hash map in one go, into buffers that are kept between calls. */
export function createMapReader(map: BpfMap, cpus: number): { read(): { keys: Buffer; values: Buffer; count: number } | Unavailable } {
  const stride = ((map.valueSize + 7) & ~7) * cpus;
  const keys = pinned(map.maxEntries * map.keySize);
  let capacity = 256;
  let values = pinned(capacity * stride);
  const token = pinned(8);
  return {
    read: () => {
      for (;;) {
        const attr = pinned(ATTR);
        attr.writeBigUInt64LE(addressOf(token), 8); // out_batch; in_batch 0: from the start
        attr.writeBigUInt64LE(addressOf(keys), 16);
        attr.writeBigUInt64LE(addressOf(values), 24);
        attr.writeUInt32LE(capacity, 32);
        attr.writeUInt32LE(map.fd, 36);
        const result = bpf(COMMAND.mapLookupBatch, attr);
        const count = attr.readUInt32LE(32);
        // ENOENT: that was all
        if (result === -ENOENT) return { keys, values, count };
        if ((result === 0 || result === -28) /* ENOSPC: a bucket did not fit */ && capacity < map.maxEntries) {
          capacity = Math.min(map.maxEntries, capacity * 4);
          values = pinned(capacity * stride);
          continue;
        }
        if (result === 0) return { keys, values, count };
        return refused('reading a BPF map', -result);
      }
    },
  };
}

/** Loads a program; when the verifier refuses it, the last lines of its log are the `why`. */
export function loadProgram(name: string, program: Program, maps: Readonly<Record<string, BpfMap>>, type: number, attachBtfId = 0): number | Unavailable {
  const code = pinned(program.instructions.length);
  code.set(program.instructions);
  for (const [index, map] of program.maps) code.writeInt32LE(maps[map]?.fd ?? -1, index * 8 + 4);
  const license = pinned(16);
  license.write('Dual MIT/GPL\0', 'latin1');
  const load = (log: Buffer | undefined): number => {
    const attr = pinned(ATTR);
    attr.writeUInt32LE(type, 0);
    attr.writeUInt32LE(code.length / 8, 4);
    attr.writeBigUInt64LE(addressOf(code), 8);
    attr.writeBigUInt64LE(addressOf(license), 16);
    if (log !== undefined) {
      attr.writeUInt32LE(1, 24);
      attr.writeUInt32LE(log.length, 28);
      attr.writeBigUInt64LE(addressOf(log), 32);
    }
    attr.write(`whydrop_${name}`.slice(0, 15), 48, 'latin1');
    if (attachBtfId !== 0) {
      attr.writeUInt32LE(BPF_TRACE_RAW_TP, 68);
      attr.writeUInt32LE(attachBtfId, 108);
    }
    // the verifier gives up with EAGAIN when a signal is waiting for this thread
    for (let tries = 1; ; tries++) {
      const result = bpf(COMMAND.progLoad, attr);
      if (result !== -EAGAIN || tries === LOAD_TRIES) return result;
    }
  };
  const fd = charged(() => load(undefined));
  if (fd >= 0) return fd;
  if (fd === -EPERM) return refused(`loading the BPF program ${name}`, EPERM);
  const log = pinned(1 << 18);
  const again = load(log);
  if (again >= 0) return again;
  const text = log.toString('latin1', 0, Math.max(0, log.indexOf(0))).trim().split('\n').slice(-4).join(' | ');
  // EACCES with a log is the verifier's word on the program, not on who loads it
  const what = `loading the BPF program ${name}`;
  return text === '' ? refused(what, -again) : { unavailable: 'failed', what, why: `${errnoName(-again)}: ${text}` };
}

/** Attaches to a raw tracepoint: by name, or (tp_btf) as the program itself says. The link is a descriptor. */
export function attachRawTracepoint(programFd: number, name?: string): number | Unavailable {
  const attr = pinned(ATTR);
  const text = pinned(64);
  if (name !== undefined) {
    text.write(`${name}\0`, 'latin1');
    attr.writeBigUInt64LE(addressOf(text), 0);
  }
  attr.writeUInt32LE(programFd, 8);
  const fd = bpf(COMMAND.rawTracepointOpen, attr);
  return fd < 0 ? refused(`attaching to the tracepoint ${name ?? ''}`.trim(), -fd) : fd;
}

const BUSY = 0x80000000, DISCARD = 0x40000000;

/**
 * A BPF ring buffer, read in place: one page with the consumer's position (ours to write), one with the producer's, then
 * the data (Documentation/bpf/ringbuf.rst). The kernel offers the data twice in a row, so that no record is cut; each of
 * these pages counts as resident, so the data is mapped once, and the one record a round that is cut is put together.
 */
export interface Ring {
  /** Hands out up to `limit` records; the bytes are the kernel's own and are only good during the call. */
  drain(limit: number, record: (bytes: Uint8Array) => void): number;
  close(): void;
}

const AT_PAGESZ = 6n;

/** Bytes of a page of memory, from the auxiliary vector (getauxval(3)): 4096, on arm64 also 16384 or 65536. */
export function pageSize(): number {
  const words = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= words.length; at += 16) if (words.readBigUInt64LE(at) === AT_PAGESZ) return Number(words.readBigUInt64LE(at + 8));
  return 4096;
}

export function openRing(map: BpfMap): Ring | Unavailable {
  const size = map.maxEntries;
  const page = pageSize();
  const consumer = mmap(map.fd, page, PROT_READ | PROT_WRITE, 0);
  const producer = mmap(map.fd, page + size, PROT_READ, page);
  if (typeof consumer === 'number' || typeof producer === 'number') {
    if (typeof consumer !== 'number') consumer.unmap();
    if (typeof producer !== 'number') producer.unmap();
    return refused('mapping the BPF ring buffer', -(typeof consumer === 'number' ? consumer : (producer as number)));
  }
  return ringOver(consumer, producer, size, page);
}

export function ringOver(consumer: Mapping, producer: Mapping, size: number, page: number): Ring {
  const read = new BigUint64Array(consumer.view, 0, 1);
  const written = new BigUint64Array(producer.view, 0, 1);
  const words = new Uint32Array(producer.view, page);
  const data = new Uint8Array(producer.view, page);
  const mask = size - 1;
  return {
    drain: (limit, record) => {
      let position = Number(read[0]);
      const end = Number(Atomics.load(written, 0));
      let count = 0;
      while (position < end && count < limit) {
        const at = position & mask;
        // acquire: what the writer wrote before it cleared the busy bit is seen
        const header = Atomics.load(words, at >>> 2);
        if ((header & BUSY) !== 0) break; // its writer is not done
        const length = header & ~(BUSY | DISCARD);
        if ((header & DISCARD) === 0) {
          record(ringBytes(data, at + 8, length));
          count += 1;
        }
        position += (length + 8 + 7) & ~7;
      }
      Atomics.store(read, 0, BigInt(position));
      return count;
    },
    close: () => {
      consumer.unmap();
      producer.unmap();
    },
  };
}

/** `length` bytes from a position at or before the ring's end: shared, or a copy where they go on at its start. */
function ringBytes(data: Uint8Array, at: number, length: number): Uint8Array {
  const over = at + length - data.length;
  if (over <= 0) return data.subarray(at, at + length);
  const whole = new Uint8Array(length);
  whole.set(data.subarray(at));
  whole.set(data.subarray(0, over), length - over);
  return whole;
}

export const close = (fd: number): void => closeSync(fd);
