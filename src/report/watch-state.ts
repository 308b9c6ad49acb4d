import type { Incident } from '../model/incident.ts';
import type { Diagram } from './diagram.ts';

/** A probe as it was armed, or why not. */
export interface ProbeLine {
  readonly id: string;
  readonly state: 'armed' | 'unavailable';
  readonly why?: string;
  readonly fix?: string;
  /** What is not seen without it. */
  readonly without?: string;
}

/** What whydrop itself missed. */
export interface LossLine {
  readonly source: string;
  readonly count: number;
  readonly text: string;
}

export interface CostLine {
  readonly cpuSeconds: number;
  /** Bytes. */
  readonly peakRss: number;
  readonly eventsSeen: number;
  readonly perEventNs?: number;
}

/** Losses a second, one value a second, oldest first. */
export interface RateSeries {
  readonly cause: string;
  readonly perSecond: readonly number[];
}

/** All that the live screen shows. A new value each time; nothing in it is changed afterwards. */
export interface WatchState {
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly started: number;
  readonly hostname: string;
  readonly kernel: string;
  readonly netns: readonly { readonly inode: number; readonly name?: string }[];
  readonly probes: readonly ProbeLine[];
  /** Ranked, most harm first. */
  readonly incidents: readonly Incident[];
  readonly rates: readonly RateSeries[];
  readonly losses: readonly LossLine[];
  readonly cost: CostLine;
  /** Share of one CPU used lately, 0 to 1 and above; without it the mean since `started` is shown. The live screen fills it in. */
  readonly cpuShare?: number;
  /** What `--port`, `--address`… let through, as text; undefined: everything. */
  readonly filter?: string;
  /** Sequence diagrams by incident id, where there are some. */
  readonly diagrams?: ReadonlyMap<string, Diagram>;
}
