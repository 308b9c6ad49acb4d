import { dropLine, packetText } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Found } from '../../model/finding.ts';

/** A finding of severity `info`: what was seen is part of healthy traffic. `why` is one sentence. */
export function noise(evidence: Evidence, drop: DropEvent, identity: string, what: string, why: string, confidence = 0.93): Found {
  const symbol = drop.place.name ?? '?';
  return {
    outcome: 'found',
    confidence,
    severity: 'info',
    identity: `${identity}|${drop.interface ?? ''}`,
    explanation: `${what} in ${netnsText(evidence, drop.netns)}${drop.interface === undefined ? '' : ` on ${drop.interface}`}: ${packetText(drop)}. ${why} Nothing was lost that anybody waits for.`,
    culprit: { kind: 'unknown', text: `normal: ${drop.reason.name} at ${symbol}`, symbol, reason: drop.reason.name },
    evidence: [dropLine(evidence, drop)],
    remedies: [{ text: 'Nothing need be done.', risk: 'low' }],
  };
}
