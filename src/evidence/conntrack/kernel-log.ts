import type { Mono, Netns } from '../../base/brand.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';

/** A line of the kernel's log that says the table was full. */
export interface FullLine {
  readonly seconds: number;
  readonly text: string;
}

/** The log's clock is off from that of the events by some seconds a day. */
const DRIFT = 30;

/**
 * `nf_conntrack: nf_conntrack: table full, dropping packet` (rate limited; only of the first namespace's messages on
 * some kernels), or newer `table full in netns 4026531840, dropping packet`.
 */
export function tableFullLines(evidence: Evidence, netns: Netns, since: Mono): Maybe<readonly FullLine[]> {
  const answer = evidence.answer({ topic: 'kernel-log' });
  if (isUnavailable(answer)) return answer;
  const text = typeof answer.body === 'string' ? answer.body : new TextDecoder().decode(answer.body);
  const from = Number(since / 1_000_000n) / 1_000 - DRIFT;
  const found: FullLine[] = [];
  for (const line of text.split('\n')) {
    const m = /^(?:<[0-9]+>)?\[\s*([0-9]+\.[0-9]+)\]\s+(.*conntrack: table full.*)$/.exec(line);
    if (m === null || Number(m[1]) < from) continue;
    const inode = /in netns ([0-9]+)/.exec(m[2]!)?.[1];
    if (inode === undefined || Number(inode) === netns) found.push({ seconds: Number(m[1]), text: m[2]! });
  }
  return found;
}
