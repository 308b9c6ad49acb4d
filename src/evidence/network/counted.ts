import { counterOfDrop } from '../../model/counted.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { counterDeltas, movedBy } from '../counters/index.ts';

/** How far the counter that goes with a drop's reason rose in its namespace since before the loss; undefined where no counter is known for it. */
export function countedHere(evidence: Evidence, drop: DropEvent): Maybe<{ readonly counter: string; readonly by: number }> | undefined {
  const counter = counterOfDrop(drop);
  if (counter === undefined) return undefined;
  const deltas = counterDeltas(evidence, drop.netns, counter[0]);
  return isUnavailable(deltas) ? deltas : { counter: counter[1], by: movedBy(deltas, counter[1]) };
}
