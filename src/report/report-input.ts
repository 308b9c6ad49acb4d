import type { Incident } from '../model/incident.ts';
import type { Diagram } from './diagram.ts';
import type { CostLine, LossLine, ProbeLine } from './watch-state.ts';

/** All that a written report is made of. Only `host`, `from`, `to` and `incidents` must be there. */
export interface ReportInput {
  readonly host: ReportHost;
  /** ISO 8601: what the report covers. */
  readonly from: string;
  readonly to: string;
  readonly netns: readonly { readonly inode: number; readonly name?: string }[];
  /** Ranked, most harm first. */
  readonly incidents: readonly Incident[];
  readonly probes: readonly ProbeLine[];
  readonly losses: readonly LossLine[];
  readonly cost?: CostLine;
  /** Drops over time. Without it no time line is drawn. */
  readonly timeline?: Timeline;
  /** Kernel counters that moved, plotted under the time line; the same clock. */
  readonly counters?: readonly CounterSeries[];
  /** Stacks of drops with how often each was seen. Without it the incidents' own stacks are used. */
  readonly stacks?: readonly StackCount[];
  /** Sequence diagrams by incident id. */
  readonly diagrams?: ReadonlyMap<string, Diagram>;
  /** What was run: `whydrop watch --netns blue`. */
  readonly command?: string;
}

export interface ReportHost {
  readonly hostname: string;
  readonly kernel: string;
  readonly machine?: string;
  readonly cpus?: number;
  /** Version of whydrop. */
  readonly whydrop: string;
}

/** Packets lost in each step, by cause. Every series has one value a step, the first begins at `ReportInput.from`. */
export interface Timeline {
  readonly stepMs: number;
  readonly series: readonly { readonly cause: string; readonly counts: readonly number[] }[];
}

export interface CounterSeries {
  /** `nf_conntrack insert_failed`, `UdpRcvbufErrors`. */
  readonly name: string;
  /** Milliseconds since `ReportInput.from`, and the counter's value. */
  readonly points: readonly (readonly [ms: number, value: number])[];
}

export interface StackCount {
  /** Cause id, for the colour. */
  readonly cause: string;
  /** Innermost first. */
  readonly frames: readonly string[];
  readonly count: number;
}
