import { encodeBurst, hashMessage } from '../../formats/conntrack-burst.ts';
import { changeOf } from '../../formats/conntrack-message.ts';
import { walkMessages } from '../../formats/netlink.ts';
import type { ConntrackEvent } from '../../model/event.ts';

type Change = ConntrackEvent['change'];

/** Datagrams of one second that are kept whole, by change. */
const WHOLE: Readonly<Record<Change, number>> = { new: 5_000, update: 1_000, destroy: 5_000 };
const SECOND = 1_000_000_000n;
const CHUNK = 256 * 1024;

/**
 * Gathers datagrams into chunks of bytes for records. A flood beyond {@link WHOLE} becomes bursts: counts by
 * requester, and for destroyed entries 8 bytes each by which they are found again.
 */
export interface Gathering {
  add(datagram: Uint8Array, now: bigint): void;
  /** All that was added since the last call, in order; chunks of up to 256 KiB (more only for a large burst). */
  take(): readonly Uint8Array[];
}

interface Pile {
  count: number;
  sample: Uint8Array;
  hashes: Uint32Array;
  used: number;
}

export function createGathering(): Gathering {
  let chunk = Buffer.alloc(CHUNK);
  let filled = 0;
  let chunks: Uint8Array[] = [];
  let second = -1n;
  const seen: Record<Change, number> = { new: 0, update: 0, destroy: 0 };
  const piles = new Map<string, Pile>();

  const keep = (bytes: Uint8Array): void => {
    if (filled + bytes.length > CHUNK) flush();
    if (bytes.length > CHUNK) {
      chunks.push(Uint8Array.from(bytes));
      return;
    }
    chunk.set(bytes, filled);
    filled += bytes.length;
  };
  const flush = (): void => {
    if (filled === 0) return;
    chunks.push(Uint8Array.prototype.slice.call(chunk, 0, filled));
    filled = 0;
  };
  const pileUp = (datagram: Uint8Array): void => {
    walkMessages(datagram, (m) => {
      const change = changeOf(m);
      if (change === undefined) return;
      const key = `${change}|${m.port}`;
      let pile = piles.get(key);
      if (pile === undefined) piles.set(key, (pile = { count: 0, sample: new Uint8Array(0), hashes: new Uint32Array(change === 'destroy' ? 2_048 : 0), used: 0 }));
      pile.count += 1;
      // the newest is the sample; copied once a pile, the first will do as well as any
      if (pile.sample.length === 0) pile.sample = Uint8Array.from(datagram.subarray(m.from - 16, m.to));
      if (change !== 'destroy') return;
      if (pile.used + 2 > pile.hashes.length) {
        const larger = new Uint32Array(pile.hashes.length * 2);
        larger.set(pile.hashes);
        pile.hashes = larger;
      }
      if (hashMessage(datagram, m, pile.hashes, pile.used)) pile.used += 2;
    });
  };

  return {
    add: (datagram, now) => {
      if (now / SECOND !== second) {
        second = now / SECOND;
        seen.new = seen.update = seen.destroy = 0;
      }
      // one message a datagram in events (ctnetlink_conntrack_event); the first one decides
      const change = changeOf({ type: datagram[4]! | (datagram[5]! << 8), flags: datagram[6]! | (datagram[7]! << 8), sequence: 0, port: 0, from: 16, to: datagram.length });
      if (change !== undefined && ++seen[change] > WHOLE[change]) pileUp(datagram);
      else keep(datagram);
    },
    take: () => {
      for (const pile of piles.values()) keep(encodeBurst({ count: pile.count, sample: pile.sample, tuples: pile.hashes.subarray(0, pile.used) }));
      piles.clear();
      flush();
      const all = chunks;
      chunks = [];
      return all;
    },
  };
}
