import { placeText } from '../base/symbol.ts';
import type { DropEvent, Event } from '../model/event.ts';
import type { StackCount } from '../report/index.ts';

/** Sampled stacks of drops by incident, of a watch that goes on. */
export interface Stacks {
  event(event: Event): void;
  /** Of one incident, most first; the samples stand for its exact count. */
  of(id: string, cause: string, count: number): readonly StackCount[];
}

type Owner = (event: DropEvent) => { readonly id: string } | undefined;

/** Samples that wait for their verdict, incidents, and stacks of each that are kept. */
const WAITING = 4_096, INCIDENTS = 512, KINDS = 64;

export function createStacks(ownerOf: Owner): Stacks {
  let waiting: DropEvent[] = [];
  const counts = new Map<string, Map<string, { readonly frames: readonly string[]; seen: number }>>();
  const settle = (): void => {
    const rest: DropEvent[] = [];
    for (const event of waiting) {
      const owner = ownerOf(event);
      if (owner === undefined) {
        rest.push(event);
        continue;
      }
      const own = counts.get(owner.id) ?? new Map<string, { readonly frames: readonly string[]; seen: number }>();
      counts.delete(owner.id);
      counts.set(owner.id, own); // who was hit last is kept longest
      if (counts.size > INCIDENTS) counts.delete(counts.keys().next().value as string);
      const frames = event.stack.map(placeText);
      const key = frames.join('\n');
      const known = own.get(key);
      if (known !== undefined) known.seen += 1;
      else if (own.size < KINDS) own.set(key, { frames, seen: 1 });
    }
    waiting = rest.slice(-WAITING / 2); // what has no verdict by then gets none
  };
  return {
    event: (event) => {
      if (event.kind !== 'drop' || event.stack.length === 0) return;
      waiting.push(event);
      if (waiting.length >= WAITING) settle();
    },
    of: (id, cause, count) => {
      settle();
      const own = [...(counts.get(id)?.values() ?? [])].sort((a, b) => b.seen - a.seen);
      const seen = own.reduce((n, s) => n + s.seen, 0);
      return own.map(({ frames, seen: part }) => ({ cause, frames, count: Math.max(1, Math.round((count * part) / seen)) }));
    },
  };
}
