/* Network namespaces and decoded probes for the lab tests of the eBPF tier. Needs root, iproute2, iptables, python3. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { netnsInode, type Netns } from '../../src/base/brand.ts';
import type { CallEvent, DropCountEvent, DropEvent, ExecEvent } from '../../src/model/event.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import type { RawRecord } from '../../src/model/record.ts';
import { armDrops, dropReasons, kernelTypes, watchedSyscalls, type DropProbe } from '../../src/sources/bpf/index.ts';
import { readKallsyms } from '../../src/sources/kallsyms.ts';
import type { Arm, ArmedProbe } from '../../src/sources/source.ts';
import { decodeCall, decodeCounts, decodeDrop, decodeExec, type Names } from '../../src/timeline/sample.ts';
import { symbolsOf } from '../../src/timeline/symbols.ts';

/** False, or why these tests cannot run here. */
export const skip: string | false = process.getuid?.() !== 0 ? 'not root' : isUnavailable(kernelTypes()) ? 'no BTF' : false;

export interface Lab {
  readonly name: string;
  readonly inode: Netns;
  /** Runs a command in the namespace and gives what it printed. */
  run(...command: string[]): string;
  /** Python in the namespace; the promise ends with the program. */
  python(script: string, ...args: string[]): Promise<{ readonly pid: number; readonly out: string }>;
  spawn(...command: string[]): ChildProcess;
  remove(): void;
}

/** A namespace with its loopback up. */
export function lab(suffix: string): Lab {
  const name = `wdk-${suffix}-${process.pid}`;
  execFileSync('ip', ['netns', 'add', name]);
  execFileSync('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  const start = (...command: string[]): ChildProcess => spawn('ip', ['netns', 'exec', name, ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
  return {
    name,
    inode: netnsInode(statSync(`/run/netns/${name}`).ino),
    run: (...command) => execFileSync('ip', ['netns', 'exec', name, ...command], { encoding: 'utf8' }),
    python: (script, ...args) => new Promise((resolve, reject) => {
      const child = start('python3', '-c', script, ...args);
      let out = '';
      child.stdout?.on('data', (d: Buffer) => (out += d.toString()));
      child.once('exit', (code) => (code === 0 ? resolve({ pid: child.pid ?? 0, out }) : reject(new Error(`python3 ended with ${code}: ${out}`))));
    }),
    spawn: start,
    remove: () => void spawnSync('ip', ['netns', 'del', name]),
  };
}

let names: Names | undefined;
/** The names of this kernel. */
export function kernelNames(): Names {
  if (names !== undefined) return names;
  const btf = kernelTypes();
  assert.ok(!isUnavailable(btf));
  const text = readKallsyms();
  assert.ok(!isUnavailable(text));
  const symbols = symbolsOf(text);
  const reasons = new Map(dropReasons(btf));
  const calls = new Map(watchedSyscalls());
  names = { symbols: () => symbols, reason: (number) => ({ number, name: reasons.get(number) ?? String(number) }), syscall: (nr) => calls.get(nr) ?? `syscall ${nr}` };
  return names;
}

export interface Seen {
  readonly drops: DropEvent[];
  readonly calls: CallEvent[];
  readonly execs: ExecEvent[];
  readonly missed: { readonly source: string; readonly count: number }[];
  /** The exact counters at the end. */
  readonly counts: readonly DropCountEvent[];
}

/** Arms, lets `traffic` run, and decodes all that came. */
export async function watching(arms: readonly (Arm | typeof armDrops)[], netns: readonly Netns[], traffic: () => Promise<unknown>): Promise<Seen> {
  const decode = kernelNames();
  const records: RawRecord[] = [];
  const probes: ArmedProbe[] = [];
  try {
    for (const arm of arms) {
      const probe = arm({ netns, self: process.pid });
      assert.ok(!isUnavailable(probe), JSON.stringify(probe));
      probes.push(probe);
    }
    const drain = (): void => probes.forEach((p) => p.drain((r) => records.push(r)));
    const timer = setInterval(drain, 20);
    try {
      await traffic();
      await sleep(300); // the ledger is read four times a second
    } finally {
      clearInterval(timer);
    }
    drain();
    const counts = probes.flatMap((p) => {
      const read = (p as Partial<DropProbe>).readCounts?.();
      assert.ok(read === undefined || !isUnavailable(read), 'the counters can be read');
      return read === undefined ? [] : decodeCounts(read.bytes, read.time, decode);
    });
    const of = <T>(make: (r: RawRecord) => T | undefined): T[] => records.flatMap((r) => make(r) ?? []);
    return {
      drops: of((r) => (r.record === 'drop-sample' ? decodeDrop(r.bytes, decode) : undefined)),
      calls: of((r) => (r.record === 'call' ? decodeCall(r.bytes, decode) : undefined)),
      execs: of((r) => (r.record === 'exec' ? decodeExec(r.bytes) : undefined)),
      missed: of((r) => (r.record === 'missed' ? r : undefined)),
      counts,
    };
  } finally {
    for (const probe of probes) probe.close();
  }
}

/** Drops of one reason, counted exactly. */
export const counted = (seen: Seen, reason: string): number => seen.counts.filter((c) => c.reason.name === reason).reduce((sum, c) => sum + c.packets, 0);
