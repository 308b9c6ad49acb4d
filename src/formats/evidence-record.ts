import type { ConntrackEntry, PacketConntrack, RuleVerdict, Tuple } from '../model/event.ts';
import type { LogSign } from '../model/log-sign.ts';

/** A wall time as a text has it. `zone` false: read as if it were UTC, the zone is not known. */
export interface Stamp {
  readonly ns: bigint; //   since 1970
  readonly zone: boolean;
  /** The resolution of the text, ns. */
  readonly step: bigint;
  readonly text: string;
}

/** One frame of a stack as text: a name, or only an address. */
export interface Frame {
  readonly address?: bigint;
  readonly name?: string;
  readonly offset?: number;
  readonly module?: string;
}

/** One event of an ftrace, trace-cmd or perf listing. */
export interface TraceRecord {
  readonly kind: 'trace';
  readonly line: number;
  readonly comm: string;
  /** Undefined where it was blotted out. */
  readonly tid?: number;
  readonly cpu: number;
  /** ns of the trace's clock; see `stamp` and `keeps`. */
  readonly time: bigint;
  /** The wall time, where the text has no other; `time` is the same. */
  readonly stamp?: Stamp;
  /** What `time` is where it is no clock: the time of a day that is not named, or only the order of the lines. */
  readonly keeps?: 'day' | 'order';
  /** The latency columns, `..s1.`: third h, H or s means an interrupt context. */
  readonly flags?: string;
  readonly event: string;
  readonly fields: ReadonlyMap<string, string>;
  /** Probe events: where they sit; return probes: the function and its caller. */
  readonly at?: Frame;
  readonly caller?: Frame;
  readonly text: string;
  readonly stack: readonly Frame[];
  /** Which tool's text it is, where not ftrace's, trace-cmd's or perf's. */
  readonly tool?: string;
  /** What that tool says of the packet. */
  readonly told?: {
    readonly tuple?: Tuple;
    /** TCP flag bits. */
    readonly flags?: number;
    /** Its first bytes, an Ethernet header first. */
    readonly head?: Uint8Array;
    readonly length?: number;
    readonly interface?: string;
    readonly ifindex?: number;
    readonly mark?: number;
    /** Inode number of its network namespace, and the name where the tool looked it up. */
    readonly netns?: { readonly inode: number; readonly name?: string };
    readonly conntrack?: Omit<PacketConntrack, 'address'>;
    readonly verdict?: RuleVerdict;
  };
}

export type CounterName = 'stat/nf_conntrack' | 'snmp' | 'netstat' | 'snmp6' | 'softnet_stat' | 'dev' | 'conntrack -S' | 'ip -s link' | 'nstat';
export type RuleTool = 'iptables-save' | 'iptables -L' | 'nft' | 'nft -j';

/** Listings of iproute2 as JSON; each is the answer to a question of that topic (model/question.ts). */
export type ListingTopic = 'link' | 'address' | 'route' | 'route6' | 'rule' | 'rule6' | 'neighbour' | 'qdisc';

/** What text that people collected may hold. `line` counts from 1 in the file. */
export type EvidenceRecord =
  | TraceRecord
  | { readonly kind: 'conntrack-event'; readonly line: number; readonly stamp?: Stamp; readonly change: 'new' | 'update' | 'destroy'; readonly entry: ConntrackEntry; readonly portid?: number; readonly program?: string }
  | { readonly kind: 'conntrack-listing'; readonly line: number; readonly stamp?: Stamp; readonly netns?: string; readonly entries: readonly ConntrackEntry[] }
  /** `conntrack -E` said that the kernel told more than it could read. */
  | { readonly kind: 'conntrack-overrun'; readonly line: number; readonly text: string }
  | { readonly kind: 'counters'; readonly line: number; readonly file: CounterName; readonly text: string; readonly stamp?: Stamp }
  | { readonly kind: 'log'; readonly line: number; readonly text: string; readonly stamp?: Stamp; readonly sign?: LogSign }
  | { readonly kind: 'kernel-log'; readonly line: number; readonly seconds?: number; /** The wall time, where it says no seconds since boot. */ readonly stamp?: Stamp; readonly text: string }
  | { readonly kind: 'rules'; readonly line: number; readonly tool: RuleTool; readonly text: string; readonly stamp?: Stamp }
  | { readonly kind: 'symbols'; readonly line: number; readonly text: string }
  | { readonly kind: 'event-format'; readonly line: number; readonly text: string }
  | { readonly kind: 'kernel-options'; readonly line: number; readonly options: ReadonlyMap<string, string> }
  /** A filter on `location`: `kept` false, the addresses were left out (`location!=…`). */
  | { readonly kind: 'drop-filter'; readonly line: number; readonly addresses: readonly bigint[]; readonly kept: boolean }
  | { readonly kind: 'clocks'; readonly line: number; readonly wall: bigint; readonly mono: bigint; /** Both are called by name. */ readonly named: boolean; /** False: the wall time is local, its zone is not told. */ readonly zone?: boolean }
  /** A command with its beginning and end, from a log of commands. */
  | { readonly kind: 'command'; readonly line: number; readonly from: Stamp; readonly to?: Stamp; readonly command: string; readonly netns?: string }
  /** Events that a trace lost: per_cpu/cpuN/stats, or the head of the trace. */
  | { readonly kind: 'trace-loss'; readonly line: number; readonly lost: number }
  | { readonly kind: 'process'; readonly line: number; readonly pid: number; readonly command: string }
  | { readonly kind: 'socket'; readonly line: number; readonly local: string; readonly pid: number; readonly comm: string }
  | { readonly kind: 'sysctl'; readonly line: number; readonly name: string; readonly value: string }
  | { readonly kind: 'kernel'; readonly line: number; readonly release: string }
  /** A network namespace by its inode number, from lsns; the name is empty where it is bound to no file of `ip netns`. */
  | { readonly kind: 'netns'; readonly line: number; readonly inode: number; readonly name: string }
  | { readonly kind: 'listing'; readonly line: number; readonly topic: ListingTopic; /** JSON. */ readonly text: string; /** It was made of text for people. */ readonly fromText?: boolean }
  /** Known output that is not used in this shape; `instead`: the command whose output would be. */
  | { readonly kind: 'aside'; readonly line: number; readonly format: string; readonly instead?: string }
  /** A sentence on what a tool saw that is no lost packet by itself. */
  | { readonly kind: 'remark'; readonly line: number; readonly text: string };

/** What a reader made of lines: records, and the indices of the lines that it understood. */
export interface Reading {
  readonly records: readonly EvidenceRecord[];
  readonly taken: readonly number[];
}
