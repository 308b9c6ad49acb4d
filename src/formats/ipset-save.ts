import type { Ipset, IpsetEntry, IpsetPart } from '../model/ruleset.ts';
import { addressSpan, exactly, macBits, markAndMask } from './address-bits.ts';
import { protocolNumber } from './iptables-matches.ts';
import { wordsOf } from './save-text.ts';

export interface IpsetListing {
  readonly sets: ReadonlyMap<string, Ipset>;
  readonly skipped: number;
}

/** The answer of `ipset save` (ipset(8)): `create NAME TYPE …` and `add NAME ENTRY …` lines. */
export function decodeIpsetSave(text: string): IpsetListing {
  const sets = new Map<string, Omit<Ipset, 'entries'> & { entries: IpsetEntry[] }>();
  let skipped = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const words = wordsOf(line);
    const [verb, name, what] = words;
    if (verb === 'create' && name !== undefined && what !== undefined) {
      sets.set(name, { name, type: what, family: words[words.indexOf('family') + 1] === 'inet6' ? 6 : 4, entries: [] });
      continue;
    }
    const set = name === undefined ? undefined : sets.get(name);
    if (verb !== 'add' || set === undefined || what === undefined) {
      skipped++;
      continue;
    }
    const parts = entryParts(set.type, what);
    if (parts === undefined) skipped++;
    else set.entries.push({ text: what, except: words.includes('nomatch'), parts });
  }
  return { sets, skipped };
}

function entryParts(type: string, entry: string): IpsetPart[] | undefined {
  const kinds = (type.split(':')[1] ?? '').split(',');
  const words = entry.split(',');
  if (kinds.length !== words.length) return undefined;
  const parts: IpsetPart[] = [];
  for (const [i, kind] of kinds.entries()) {
    const part = partOf(kind, words[i] as string);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return parts;
}

function partOf(kind: string, word: string): IpsetPart | undefined {
  switch (kind) {
    case 'ip': case 'net': {
      const span = addressSpan(word);
      return span === undefined ? undefined : { part: 'net', span };
    }
    case 'port': {
      const m = /^(?:([A-Za-z0-9-]+):)?(\d+|[a-z-]+(?:\/[a-z-]+)?)(?:-(\d+))?$/.exec(word);
      if (m === null || !/^\d+$/.test(m[2] as string)) return undefined;
      const protocol = m[1] === undefined ? undefined : protocolNumber(m[1]);
      return { part: 'port', ...(protocol === undefined ? {} : { protocol }), span: { low: Number(m[2]), high: Number(m[3] ?? m[2]) } };
    }
    case 'mac': {
      const mac = macBits(word);
      return mac === undefined ? undefined : { part: 'mac', span: exactly(mac) };
    }
    case 'mark': {
      const mark = markAndMask(word);
      return mark === undefined ? undefined : { part: 'mark', span: exactly(mark.value) };
    }
    case 'iface': return { part: 'iface', name: word.replace(/^physdev:/, '') };
    case 'set': return { part: 'set', name: word };
    default: return undefined;
  }
}
