import type { Mono, Netns } from '../../base/brand.ts';
import type { Dropper } from '../../formats/rule-text.ts';
import type { ConntrackEntry } from '../../model/event.ts';
import type { ConntrackLosses } from '../counters/index.ts';

/** An entry of a polled table that was gone at the next poll, though it had long to live. */
export interface Vanished {
  readonly netns?: Netns;
  readonly entry: ConntrackEntry;
  /** Times of the two polls, as the text has them. */
  readonly seen: string;
  readonly gone: string;
  readonly at: Mono;
  readonly file: string;
}

/** Counters of one namespace between two snapshots. */
export interface CounterChange {
  readonly netns: Netns;
  readonly file: string;
  readonly counters: string;
  readonly moved: readonly { readonly name: string; readonly before: number; readonly after: number }[];
}

/** What conntrack's counters lost between the first and the last snapshot of a namespace. */
export interface ConntrackChange {
  readonly netns: Netns;
  readonly losses: ConntrackLosses;
  /** Failed inserts on each CPU where there were any. */
  readonly perCpu: readonly { readonly cpu: number; readonly failed: number }[];
  /** On kernels without clash resolution (before 4.7) each failed insert is a lost packet. */
  readonly lost: number;
  readonly files: readonly string[];
}

/** What only a post-mortem has: pieces of text that no live source would give in this shape. */
export interface PostMortemFacts {
  readonly kernel: { readonly release: string; readonly because: string };
  /** How the clocks of the texts were brought together, as a sentence. */
  readonly clocks: string;
  readonly joined: boolean;
  readonly vanished: readonly Vanished[];
  readonly overruns: readonly { readonly file: string; readonly text: string }[];
  /** Places that whoever collected this had found to be normal and left out. */
  readonly filtered: readonly bigint[];
  readonly filterFile?: string;
  readonly conntrack: readonly ConntrackChange[];
  readonly counters: readonly CounterChange[];
  readonly rules: readonly { readonly netns?: Netns; readonly file: string; readonly line: number; readonly tool: string; /** Whose tables they are; undefined: the text does not say. */ readonly engine?: 'nft' | 'legacy'; readonly droppers: readonly (Dropper & { readonly moved?: number })[] }[];
  /** Lines of logs that tell of a failed send. */
  readonly failedSends: readonly { readonly file: string; readonly line: number; readonly text: string; readonly netns?: Netns }[];
  /** Losses that were seen at the hooks where entries are inserted. */
  readonly confirmDrops: { readonly postrouting: number; readonly input: number };
  /** Drops that a probe saw lose an insert race, by the kernel's own word. */
  readonly clashes: number;
  /** Entries that were deleted by request, as events say. */
  readonly deletedByRequest: number;
  /** Moments that no event stands for: what probes saw inside the kernel, what programs wrote. */
  readonly marks: readonly { readonly time: Mono; readonly netns: Netns; readonly source: string; readonly text: string }[];
  /** Sentences on how a piece was understood, where it could be understood otherwise. */
  readonly notes: readonly string[];
  /** Pieces that would tell more, most telling first. */
  readonly missing: readonly { readonly what: string; readonly wouldTell: string }[];
}
