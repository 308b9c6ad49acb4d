import type { Netns } from '../base/brand.ts';
import type { Sink } from '../model/capture.ts';
import type { Unavailable } from '../model/unavailable.ts';

/** What to watch; the same for every probe. */
export interface Scope {
  /** Namespaces to watch; empty means all. Probes drop everything else in the kernel where they can. */
  readonly netns: readonly Netns[];
  /** whydrop's own pid: its packets and calls are never reported. */
  readonly self: number;
}

/** A probe that is armed. Whoever armed it closes it; closing removes every trace of it from the kernel. */
export interface ArmedProbe {
  readonly id: string;
  /** Moves what the kernel has ready into the sink; with `last`, also what is otherwise read now and then only. Never blocks. Returns the number of records moved. */
  drain(sink: Sink, last?: boolean): number;
  /** Descriptors that can be read when there is something to drain. Absent: only looking tells. */
  fds?(): readonly number[];
  /** Watch one more namespace from now on (a no-op when all are watched). */
  addNetns?(netns: Netns): void;
  close(): void;
}

/** Arms one probe, or says why that cannot be done here. */
export type Arm = (scope: Scope) => ArmedProbe | Unavailable;
