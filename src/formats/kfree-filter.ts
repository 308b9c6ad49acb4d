import type { EvidenceRecord, Reading } from './evidence-record.ts';

/**
 * A filter on the event kfree_skb (events/skb/kfree_skb/filter): `location!=0xffffffffa026d04a && location!=…`. Whoever
 * wrote it had found the places in it to be normal, or (with `==`) wanted to see those alone.
 */
export function readDropFilter(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  lines.forEach((text, i) => {
    if (text === '' || !ALL.test(text)) return;
    const addresses: bigint[] = [];
    let kept = true;
    for (const m of text.slice(0, LONGEST).matchAll(TERM)) {
      const at = BigInt(`0x${m[2]}`);
      if (m[1] === '!=') kept = false;
      if (!addresses.includes(at)) addresses.push(at);
    }
    if (addresses.length === 0) return;
    records.push({ kind: 'drop-filter', line: i + 1, addresses, kept });
    taken.push(i);
  });
  return { records, taken };
}

const LONGEST = 65_536;
const ALL = /^[\s(]*location\s*[!=]=\s*(?:0x)?[0-9a-fA-F]{8,16}/;
const TERM = /location\s*([!=]=)\s*(?:0x)?([0-9a-fA-F]{8,16})/g;
