import type { Mono, Netns } from '../base/brand.ts';
import type { Question } from './question.ts';
import type { Unavailable } from './unavailable.ts';

/**
 * What a source delivered, raw: bytes and texts as the kernel gave them. A recording is a sequence of these and
 * nothing else, so a decoder that is fixed later repairs old recordings.
 */
export type RawRecord =
  | HostRecord
  | SymbolsRecord
  | DropSampleRecord
  | DropCountsRecord
  | TracePageRecord
  | CallRecord
  | CallCountsRecord
  | ExecRecord
  | NetlinkRecord
  | AnswerRecord
  | MissedRecord
  | ProbeRecord
  | TickRecord;

/** First in every capture: what is needed to decode the rest elsewhere. */
export interface HostRecord {
  readonly record: 'host';
  readonly time: Mono;
  readonly kernel: string; //        uname -r
  readonly machine: string; //       uname -m
  readonly hostname: string;
  readonly cpus: number;
  readonly bootId: string;
  /** CLOCK_REALTIME minus CLOCK_MONOTONIC at `time`, ns. */
  readonly realtimeOffset: bigint;
  /** Numbers and names of `enum skb_drop_reason` (BTF or the event's print format) and of the subsystems' enums. */
  readonly dropReasons: readonly (readonly [number: number, name: string])[];
  /** Syscall numbers of this architecture that the call probe watches. */
  readonly syscalls: readonly (readonly [number: number, name: string])[];
  /** The `format` files of the tracefs events in use, by `group/event`, and `header_page`. */
  readonly formats: Readonly<Record<string, string>>;
  /** Network namespaces watched; empty: all. */
  readonly netns: readonly { readonly inode: Netns; readonly name?: string }[];
  /** How many namespaces the host had: with one alone, what tracefs cannot place is placed. */
  readonly namespaces: number;
  /** The namespace that whydrop ran in. */
  readonly home: Netns;
  /** Names of namespaces when the capture began. */
  readonly netnsNames: readonly (readonly [inode: Netns, name: string])[];
}

/** Lines of /proc/kallsyms for the addresses that occurred (`address size? name [module]`); all-zero when restricted. */
export interface SymbolsRecord {
  readonly record: 'symbols';
  readonly time: Mono;
  readonly text: string;
}

/** One sample of the drop probe; layout in bpf/sample-layout.ts. */
export interface DropSampleRecord {
  readonly record: 'drop-sample';
  readonly time: Mono;
  readonly bytes: Uint8Array;
}

/** The drop counters, summed over CPUs: totals since the probe was armed, one row a key; layout in bpf/sample-layout.ts. */
export interface DropCountsRecord {
  readonly record: 'drop-counts';
  readonly time: Mono;
  readonly bytes: Uint8Array;
}

/** One page of a tracefs ring buffer (per_cpu/cpuN/trace_pipe_raw). */
export interface TracePageRecord {
  readonly record: 'trace-page';
  readonly time: Mono;
  readonly cpu: number;
  readonly bytes: Uint8Array;
  /** JSON text of {@link TraceTask}[]: the threads that the page's events name, as /proc had them when the page was read. */
  readonly tasks?: string;
}

/** A thread that an event names; events have no more than its number. */
export interface TraceTask {
  readonly tid: number;
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  /** 0 when it could not be read. */
  readonly netns: number;
  readonly comm: string;
  readonly argv: readonly string[];
}

/** One failed system call; layout in bpf/sample-layout.ts. */
export interface CallRecord {
  readonly record: 'call';
  readonly time: Mono;
  readonly bytes: Uint8Array;
}

/** How many calls failed, per process, system call and errno, since the probe was armed; layout in bpf/layout.ts. */
export interface CallCountsRecord {
  readonly record: 'call-counts';
  readonly time: Mono;
  readonly bytes: Uint8Array;
}

/** One execve; layout in bpf/sample-layout.ts. */
export interface ExecRecord {
  readonly record: 'exec';
  readonly time: Mono;
  readonly bytes: Uint8Array;
}

/** One datagram of a netlink multicast socket. */
export interface NetlinkRecord {
  readonly record: 'netlink';
  readonly time: Mono;
  readonly netns: Netns;
  readonly group: 'conntrack';
  readonly bytes: Uint8Array;
}

/** The answer to a question, or why there is none. `time` is when reading began. */
export interface AnswerRecord {
  readonly record: 'answer';
  readonly time: Mono;
  readonly question: Question;
  readonly body: string | Uint8Array | Unavailable;
}

/** whydrop itself missed something: an entry for the loss ledger. */
export interface MissedRecord {
  readonly record: 'missed';
  readonly time: Mono;
  /** `bpf-ring`, `trace-page`, `conntrack-events`, … */
  readonly source: string;
  readonly count: number;
  /** One sentence: what was missed and what would avoid it. */
  readonly text: string;
}

/** A probe was armed, or could not be. */
export interface ProbeRecord {
  readonly record: 'probe';
  readonly time: Mono;
  readonly id: string;
  readonly unavailable?: Unavailable;
}

/** Marks when the live run judged, so that a replay judges at the same points. */
export interface TickRecord {
  readonly record: 'tick';
  readonly time: Mono;
  /** The last judgement: nothing was answered after it. */
  readonly last?: true;
}
