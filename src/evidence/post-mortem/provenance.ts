import type { Netns } from '../../base/brand.ts';
import type { EvidenceRecord } from '../../formats/evidence-record.ts';
import { ordered } from './answers.ts';
import type { Collected, Item } from './collected.ts';

type Rules = Extract<EvidenceRecord, { kind: 'rules' }>;

/** Where in the files something is told. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

/** The file and line that a line of evidence was read from, by what it calls its source; undefined where no file tells. */
export type Cite = (source: string, text: string, netns: Netns) => string | undefined;

export const originText = (o: Origin): string => `${o.file}, line ${o.line}`;

export function citing(collected: Collected): Cite {
  return (source, text, netns) => {
    const mine = (n: Netns | undefined): boolean => n === netns || (n === undefined && netns === collected.home);
    if (/\b(?:nft|ip6?tables|ebtables|arptables)\b/.test(source) && source !== 'nft trace') return ruleIn(text, collected.of('rules').filter((r) => mine(r.netns)));
    if (source === 'sysctl') {
      const name = /^[\w./:@-]+/.exec(text)?.[0];
      const one = collected.of('sysctl').find((s) => s.record.name === name || s.record.name.replaceAll('.', '/') === name);
      return one === undefined ? undefined : originText({ file: one.file, line: one.record.line });
    }
    if (source.startsWith('/proc/net/')) {
      const file = source.slice('/proc/net/'.length);
      const snapshots = ordered(collected.of('counters').filter((c) => mine(c.netns) && c.record.file === file)).map((c) => originText({ file: c.file, line: c.record.line }));
      return snapshots.length > 2 ? `${snapshots[0]} to ${snapshots.at(-1)}` : snapshots.length === 0 ? undefined : snapshots.join(' and ');
    }
    const topic = LISTED.find(([words]) => words.test(source))?.[1];
    if (topic !== undefined) {
      const fit = collected.of('listing').filter((l) => mine(l.netns) && l.record.topic.startsWith(topic));
      const one = fit.find((l) => l.record.fromText !== true) ?? fit[0];
      return one === undefined ? undefined : originText({ file: one.file, line: one.record.line });
    }
    if (source === 'kernel log') {
      const one = collected.of('kernel-log').find((l) => text.includes(l.record.text) || l.record.text.includes(text));
      return one === undefined ? undefined : originText({ file: one.file, line: one.record.line });
    }
    return undefined;
  };
}

/** What verdicts call the listings of iproute2. */
const LISTED: readonly (readonly [RegExp, string])[] = [[/^ip route show/, 'route'], [/^ip (?:-j )?(?:-d )?link/, 'link'], [/^ip address/, 'address'], [/^ip neigh/, 'neighbour'], [/^ip rule/, 'rule'], [/^tc (?:-s )?qdisc/, 'qdisc']];

/** `rule in handle 3: tcp dport 82 drop`, `rule 1 of INPUT: -p tcp -j DROP`, `chain in: policy drop; …`: the line with these words, or the listing in JSON. */
function ruleIn(text: string, listings: readonly Item<Rules>[]): string | undefined {
  const m = /^(rule in handle \d+|rule \d+ of \S+|chain \S+): (.*)$/s.exec(text);
  if (m === null) return undefined;
  const json = listings.findLast((r) => r.record.tool === 'nft -j');
  if (json !== undefined && !/^rule \d/.test(m[1]!)) return originText({ file: json.file, line: json.record.line });
  for (const { record, file } of listings.toReversed()) {
    const at = record.text.split('\n').findIndex((l) => l.includes(m[2]!));
    if (at >= 0) return originText({ file, line: record.line + at });
  }
  return undefined;
}
