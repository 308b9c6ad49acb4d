import type { Netns } from '../../base/brand.ts';
import { decodeIgmp, type GroupMembership } from '../../formats/group-membership.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { procLines } from './read.ts';

/** IPv4 groups that the interfaces of a namespace have joined. */
export function groupsJoined(evidence: Evidence, netns: Netns): Maybe<readonly GroupMembership[]> {
  const lines = procLines(evidence, netns, 'net/igmp');
  return isUnavailable(lines) ? lines : decodeIgmp(lines.join('\n'));
}
