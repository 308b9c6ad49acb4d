import type { RawRecord } from './record.ts';

/** Everything that was seen, in the order in which it was delivered: the kernel's side of the arrow, live or from a file. */
export type Capture = Iterable<RawRecord>;

/** Where sources put what they read. */
export type Sink = (record: RawRecord) => void;
