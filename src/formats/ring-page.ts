import { DEFAULT_PAGE_LAYOUT, type PageLayout } from './header-page.ts';

/**
 * One page of a tracefs ring buffer, as `per_cpu/cpuN/trace_pipe_raw` gives it (kernel/trace/ring_buffer.c,
 * include/linux/ring_buffer.h). Page: u64 time stamp, `commit` word, events. Event: u32 with type_len:5, time_delta:27,
 * then its payload.
 */
export type RingPageStatus =
  | 'ok'
  | 'short-page' //     ends before its header does
  | 'commit-too-long' // claims more bytes than are there; those that are there were decoded
  | 'cut-event' //      an event reaches past the page's end
  | 'bad-length' //     an event with an impossible length
  | 'zero-tail'; //     zeros instead of events up to the end: seen on some kernels

export interface RingPage {
  readonly status: RingPageStatus;
  /** The clock at the first event, ns for clock `mono`. Add an event's `delta` to it. */
  readonly timestamp: bigint;
  /** Events visited. */
  readonly events: number;
  /** Bytes of event data. */
  readonly length: number;
  /** Events overwritten before this page. */
  readonly lost: number | 'unknown';
}

/**
 * Called for each event: where its payload lies in `page`, and ns since the page's time stamp (exact below 2^53).
 * The payload is not copied.
 */
export type VisitEvent = (offset: number, length: number, delta: number) => void;

const LENGTH_MASK = 0x07ff_ffff;
const MISSED_EVENTS = 0x8000_0000, MISSED_STORED = 0x4000_0000;
const TIME_SHIFT = 0x800_0000; // 2^27
/** Absolute stamps hold 59 bits; the top five are the page's own. */
const STAMP_LOW = (1n << 59n) - 1n;

/** Visits the events of one page in order, some 50 ns each. Never throws, never reads past the page, ends after at most length/4 events. */
export function readRingPage(page: Uint8Array, visit: VisitEvent, layout: PageLayout = DEFAULT_PAGE_LAYOUT): RingPage {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const le = layout.littleEndian;
  const start = layout.data;
  if (page.length < start) return { status: 'short-page', timestamp: 0n, events: 0, length: 0, lost: 0 };
  const timestamp = view.getBigUint64(layout.timestamp, le);
  // the flags are in the low word of `commit`, also where it is eight bytes
  const commit = view.getUint32(layout.commit + (le ? 0 : layout.commitSize - 4), le);
  const length = commit & LENGTH_MASK;
  let status: RingPageStatus = 'ok';
  let end = start + length;
  if (end > page.length) {
    status = 'commit-too-long';
    end = page.length;
  }
  let lost: number | 'unknown' = 0;
  if ((commit & MISSED_EVENTS) !== 0) {
    lost = 'unknown';
    const at = start + length;
    if ((commit & MISSED_STORED) !== 0 && at + layout.commitSize <= page.length) {
      lost = layout.commitSize === 8 ? Number(view.getBigUint64(at, le)) : view.getUint32(at, le);
    }
  }

  const { padding, timeExtend, timeStamp, dataMax } = layout;
  let events = 0, delta = 0, at = start;
  while (at + 4 <= end) {
    const word = view.getUint32(at, le);
    const type = le ? word & 31 : word >>> 27;
    const time = le ? word >>> 5 : word & LENGTH_MASK;
    let payload = at + 4, size: number;
    if (type > 0 && type <= dataMax) {
      size = type * 4;
    } else {
      if (type === padding && time === 0) break; // nothing more on this page
      if (at + 8 > end) {
        status = 'cut-event';
        break;
      }
      const array = view.getUint32(at + 4, le);
      if (type === timeExtend) {
        delta += array * TIME_SHIFT + time;
        at += 8;
        continue;
      }
      if (type === timeStamp) {
        delta = absolute(timestamp, array, time);
        at += 8;
        continue;
      }
      if (type === padding) { // a discarded event
        delta += time;
        if (array < 4) {
          status = 'bad-length';
          break;
        }
        at += 4 + align4(array);
        continue;
      }
      if (type !== 0 || array < 4) {
        status = word === 0 && array === 0 ? 'zero-tail' : 'bad-length';
        break;
      }
      payload = at + 8;
      size = array - 4;
    }
    delta += time;
    const next = payload + align4(size);
    if (payload + size > end) {
      status = status === 'ok' ? 'cut-event' : status;
      break;
    }
    events++;
    visit(payload, size, delta);
    at = next;
  }
  return { status, timestamp, events, length, lost };
}

const align4 = (n: number): number => n % 4 === 0 ? n : n + 4 - n % 4;

/** ns from the page's time stamp to an absolute one; a wrap of the low 59 bits since then is undone. */
function absolute(timestamp: bigint, array: number, time: number): number {
  const low = BigInt(array) * BigInt(TIME_SHIFT) + BigInt(time);
  let full = (timestamp & ~STAMP_LOW) | (low & STAMP_LOW);
  if (full + (1n << 58n) < timestamp) full += 1n << 59n;
  return Number(full - timestamp);
}
