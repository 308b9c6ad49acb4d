import { placeText } from '../base/symbol.ts';
import type { Diagnosis } from '../diagnose/index.ts';
import type { Loss } from './stream.ts';

/** Named at most; the rest is a number. */
const PLACES = 3;

/**
 * What the probe counted and did not describe, as an entry of the loss ledger: none when every packet was described.
 * `known`: the losses so far; what a full ring buffer kept out is among them. `leftOut`: described, and left out as the
 * user asked.
 */
export function samplingLoss(undescribed: Diagnosis['undescribed'], known: readonly Loss[], leftOut = 0): readonly Loss[] {
  const full = known.reduce((n, loss) => (loss.source === 'bpf-ring' ? n + loss.count : n), 0);
  const unseen = leftOut > 0 ? [] : undescribed.unseen.toSorted((a, b) => b.packets - a.packets);
  const never = unseen.reduce((n, c) => n + c.packets, 0);
  const count = Math.max(undescribed.packets - full - leftOut, never);
  if (count <= 0) return [];
  const places = unseen.slice(0, PLACES).map((c) => `${c.packets} at ${placeText(c.place)} (${c.reason.name}, net:[${c.netns}])`);
  const more = unseen.length > PLACES ? ` and ${unseen.length - PLACES} places more` : '';
  return [{
    source: 'sampling', count,
    text: `drops were counted exactly but not described one by one: of each kind a burst and then 40 a second on each CPU are, and of each flow beside them about one a second, so that a flood costs little and hides nobody${never === 0 ? '' : `; of these nothing but the number is known: ${places.join(', ')}${more}`}`,
  }];
}

/** Incidents that were over and had to make room for others, as an entry of the loss ledger. */
export function givenUpLoss(count: number): readonly Loss[] {
  return count === 0 ? [] : [{ source: 'incidents', count, text: `${count} incidents that were over and had been given out are not repeated at the end: the newest are kept` }];
}
