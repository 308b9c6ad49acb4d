import { placeText } from '../base/symbol.ts';
import type { DropEvent, Event } from '../model/event.ts';

/** A place that drops packets every day here, with the reason it gives. */
export interface LearnedPlace {
  readonly place: string;
  readonly address: bigint;
  readonly reason: string;
  readonly count: number;
}

/** Learns for a while which drops are everyday here, then leaves them out. */
export interface Learning {
  /** Whether the event is to be judged. While learning nothing is. */
  judged(event: Event): boolean;
  /** Ends learning; gives what was learned, most frequent first. */
  end(): readonly LearnedPlace[];
}

const keyOf = (drop: DropEvent): string => `${drop.place.address} ${drop.reason.number}`;

export function createLearning(): Learning {
  const seen = new Map<string, { place: string; address: bigint; reason: string; count: number }>();
  let learning = true;
  return {
    judged: (event) => {
      if (event.kind === 'answer' || event.kind === 'missed' || event.kind === 'exec' || event.kind === 'conntrack' || event.kind === 'drop-count' || event.kind === 'call-count') return true;
      if (event.kind === 'call') return !learning;
      const key = keyOf(event);
      const known = seen.get(key);
      if (!learning) return known === undefined;
      if (known === undefined) seen.set(key, { place: placeText(event.place), address: event.place.address, reason: event.reason.name, count: 1 });
      else known.count += 1;
      return false;
    },
    end: () => {
      learning = false;
      return [...seen.values()].sort((a, b) => b.count - a.count);
    },
  };
}

/** What was learned, as lines of text: the places and the filter that says the same to the kernel. */
export function learnedText(learned: readonly LearnedPlace[]): string {
  if (learned.length === 0) return 'Learned: nothing is dropped here in everyday work.\n';
  const rows = learned.map((l) => `  ${String(l.count).padStart(6)}  ${l.reason.padEnd(24)} ${l.place}`);
  const filter = learned.map((l) => `location != 0x${l.address.toString(16)}`).join(' && ');
  return `Learned: drops at ${learned.length === 1 ? 'this place are' : `these ${learned.length} places are`} everyday here and left out from now on\n${rows.join('\n')}\nAs a filter of skb:kfree_skb: ${filter}\n`;
}
