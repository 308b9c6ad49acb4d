import type { Mono, Netns } from '../base/brand.ts';
import type { CallEvent, DropEvent } from './event.ts';

/**
 * What wants explaining: a packet that was dropped, a call that failed without a drop, or a counter of losses that
 * moved where no event tells of it.
 */
export type Symptom = DropSymptom | CallSymptom | CounterSymptom | LogSymptom;

export interface DropSymptom {
  readonly kind: 'drop';
  readonly netns: Netns;
  readonly first: Mono;
  readonly drop: DropEvent;
  /** The failed call of the same task that this drop made fail. */
  readonly call?: CallEvent;
}

export interface CallSymptom {
  readonly kind: 'call';
  readonly netns: Netns;
  readonly first: Mono;
  readonly call: CallEvent;
}

export interface CounterSymptom {
  readonly kind: 'counter';
  readonly netns: Netns;
  readonly first: Mono;
  /** `netstat TcpExt ListenOverflows`, `link eth0 rx_dropped`, `qdisc eth0 8001: drops`, `neighbour 10.0.0.9 2`. */
  readonly counter: string;
  readonly before: number;
  readonly after: number;
  /** It need not be a loss: where no cause has more to say of it, nothing is said. */
  readonly clue?: true;
  /** A neighbour that has not answered so far, with packets that wait for it. */
  readonly neighbour?: { readonly address: string; readonly ifindex: number; readonly waitedMs: number };
}

/** A line of an application's own log that tells of lost or refused packets. */
export interface LogSymptom {
  readonly kind: 'log';
  readonly netns: Netns;
  readonly first: Mono;
  readonly pid: number;
  readonly file: string;
  readonly line: string;
}
