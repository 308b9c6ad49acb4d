import { parseInet } from '../../base/inet.ts';
import type { RawRecord } from '../../model/record.ts';
import type { Mapping } from './mapping.ts';
import { isTelling } from './texts.ts';

export interface Found {
  readonly record: RawRecord['record'];
  readonly what: string;
}

/** Looks for every original, as text in every text and as bytes wherever addresses are kept: none may be left. */
export function scan(records: readonly RawRecord[], mapping: Mapping): Found[] {
  const { inet, mac, names } = mapping.seen;
  const words = [...new Set([...inet.keys(), ...mac.keys(), ...[...names.keys()].map((id) => id.slice(id.indexOf(' ') + 1)).filter(isTelling)])];
  // one pass over a text for all words: by their first characters
  const pattern = words.length === 0 ? undefined : new RegExp(`(?<![\\w.:-])(?:${words.sort((a, b) => b.length - a.length).map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})(?![\\w:-]|\\.\\d)`);
  const bytes = [...inet.keys()].map((text) => ({ text, bytes: Buffer.from(parseInet(text)!.bytes) })).concat([...mac.keys()].map((text) => ({ text, bytes: Buffer.from(text.split(':').map((x) => Number.parseInt(x, 16))) })));
  const left: Found[] = [];
  for (const r of records) {
    const { text, blob } = textAndBytes(r);
    const hit = pattern?.exec(text);
    if (hit !== null && hit !== undefined) left.push({ record: r.record, what: hit[0] });
    if (blob === undefined) continue;
    for (const b of bytes) if (blob.includes(b.bytes)) left.push({ record: r.record, what: b.text });
  }
  return left;
}

function textAndBytes(r: RawRecord): { text: string; blob?: Buffer } {
  const text = JSON.stringify(r, (key, v: unknown) => (v instanceof Uint8Array || key === 'formats' || key === 'dropReasons' || key === 'syscalls' ? undefined : typeof v === 'bigint' ? v.toString() : v));
  switch (r.record) {
    // numbers in these may look like anything; texts and addresses in them are at known places, which were rewritten
    case 'drop-sample': return { text, blob: Buffer.concat([r.bytes.subarray(88, 120), r.bytes.subarray(144, 224), r.bytes.subarray(264, 296), r.bytes.subarray(344, 376), r.bytes.subarray(400, 592)]) };
    case 'call': return { text, blob: Buffer.concat([r.bytes.subarray(40, 56), r.bytes.subarray(120, 152), r.bytes.subarray(176, 208)]) };
    case 'exec': return { text: `${text}${Buffer.from(r.bytes.subarray(40)).toString('latin1').replace(/[^ -~]/g, ' ')}` };
    case 'netlink': return { text, blob: Buffer.from(r.bytes) };
    case 'answer': return r.body instanceof Uint8Array ? { text, blob: Buffer.from(r.body) } : { text };
    default: return { text };
  }
}
