import type { Netns } from '../../base/brand.ts';
import type { WaitingNeighbour } from '../../formats/neighbour-message.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Maybe } from '../../model/unavailable.ts';
import { ask, fact } from '../fact.ts';

/** Neighbours that packets wait for, as they were when last looked at. */
export function waitingNeighbours(evidence: Evidence, netns: Netns): Maybe<readonly WaitingNeighbour[]> {
  return fact(evidence, ask('neighbour-waiting', netns), 'waiting neighbours', (body): Maybe<readonly WaitingNeighbour[]> => {
    try {
      const list: unknown = JSON.parse(typeof body === 'string' ? body : '');
      if (Array.isArray(list)) return list.filter(isWaiting);
    } catch {
      // said below
    }
    return { unavailable: 'malformed', what: 'listing neighbours that wait', why: 'not the JSON list that it should be' };
  }, 'any');
}

function isWaiting(value: unknown): value is WaitingNeighbour {
  const w = value as Partial<WaitingNeighbour> | null;
  return typeof w === 'object' && w !== null && typeof w.address === 'string' && typeof w.ifindex === 'number' && typeof w.waitedMs === 'number';
}
