import { printable } from '../base/text.ts';
import type { StackCount } from '../report/index.ts';
import type { Exported } from './exported.ts';

/** Stacks of drops with how often each was seen, most first. Innermost frame first. */
export function stackCounts(exported: Exported): StackCount[] {
  const stacks = new Map<string, { cause: string; frames: readonly string[]; count: number }>();
  for (const { event, incident } of exported.events) {
    if (event.kind !== 'drop') continue;
    const places = event.stack.length > 0 ? event.stack : [event.place];
    const frames = places.map((p) => p.name ?? `0x${p.address.toString(16)}`);
    const cause = incident?.cause ?? 'unknown';
    const key = `${cause};${frames.join(';')}`;
    const known = stacks.get(key);
    if (known === undefined) stacks.set(key, { cause, frames, count: 1 });
    else known.count += 1;
  }
  return [...stacks.values()].sort((a, b) => b.count - a.count);
}

/** Folded stacks for flame graph tools: `cause;outermost;…;innermost COUNT`, a line a stack. */
export function* foldedOf(exported: Exported): Generator<string> {
  for (const { cause, frames, count } of stackCounts(exported)) yield `${[cause, ...frames.toReversed()].map(frame).join(';')} ${count}\n`;
}

/** `;`, blanks and line ends part frames and counts: none may be in a frame, and no frame is empty. */
const frame = (name: string): string => printable(name).replace(/[;\s]/g, '_') || '[unknown]';
