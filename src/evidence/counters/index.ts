/** Counters of the kernel before and after, by name. */
export { counterDeltas, countersNow, deltaText, movedBy, type CounterFile, type Delta, type Deltas } from './deltas.ts';
export { conntrackLosses, olderThan, type ConntrackLosses } from './conntrack-signature.ts';
