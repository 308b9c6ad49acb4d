import { netnsInode, type Netns } from '../../base/brand.ts';
import type { EvidenceFile } from '../../formats/evidence-file.ts';
import type { EvidenceRecord } from '../../formats/evidence-record.ts';

/** One record with where it came from. */
export interface Item<R extends EvidenceRecord = EvidenceRecord> {
  readonly record: R;
  readonly file: string;
  /** Undefined: the text does not say of which network namespace it is. */
  readonly netns?: Netns;
}

type OfKind<K extends EvidenceRecord['kind']> = Extract<EvidenceRecord, { readonly kind: K }>;

/** All records of all files. Namespaces that texts name get numbers of their own: the inodes are not known. */
export interface Collected {
  readonly names: ReadonlyMap<Netns, string>;
  readonly files: readonly string[];
  of<K extends EvidenceRecord['kind']>(kind: K): readonly Item<OfKind<K>>[];
}

/** The namespace of texts that name none. */
export const UNNAMED = netnsInode(1);

const TOOL = /^(?:\/proc\/\S+|conntrack|ip|nft|ip6?tables(?:-save|-legacy-save|-nft-save)?|ss|tc|sysctl|nstat|netstat|ethtool|bridge|cat)$/;

export function collect(files: readonly EvidenceFile[]): Collected {
  const names = namesIn(files);
  const numbers = new Map([...names].map((name, i) => [name, netnsInode(i + 2)]));
  const byKind = new Map<string, Item[]>();
  const traced = new Set<string>();
  for (const file of files) {
    for (const part of file.parts) {
      const named = part.words.find((w) => names.has(w));
      for (const record of part.records) {
        if (record.kind === 'trace') {
          // an excerpt beside the whole tells nothing twice
          const key = `${record.time} ${record.cpu} ${record.tid ?? '?'} ${record.text}`;
          if (traced.has(key) && record.stack.length === 0) continue;
          traced.add(key);
        }
        const own = 'netns' in record && record.netns !== undefined && names.has(record.netns) ? record.netns : named;
        const netns = own === undefined ? undefined : numbers.get(own);
        const list = byKind.get(record.kind) ?? [];
        byKind.set(record.kind, list);
        list.push({ record, file: file.name, ...(netns === undefined ? {} : { netns }) });
      }
    }
  }
  return {
    names: new Map([...numbers].map(([name, netns]) => [netns, name])),
    files: files.map((f) => f.name),
    of: <K extends EvidenceRecord['kind']>(kind: K) => (byKind.get(kind) ?? []) as unknown as readonly Item<OfKind<K>>[],
  };
}

/** Names that commands, headings and links give to namespaces. */
function namesIn(files: readonly EvidenceFile[]): ReadonlySet<string> {
  const names = new Set<string>();
  const add = (name: string | undefined): void => {
    if (name !== undefined && names.size < 64 && /^[\w][\w.@-]{0,63}$/.test(name)) names.add(name);
  };
  for (const file of files) {
    for (const part of file.parts) {
      const [first, second] = part.heading.split(/\s+/);
      if (second !== undefined && TOOL.test(second) && !TOOL.test(first ?? '')) add(first);
      add(/\bip netns exec (\S+)/.exec(part.heading)?.[1]);
      for (const record of part.records) {
        if (record.kind === 'command' || record.kind === 'conntrack-listing') add(record.netns);
        if (record.kind === 'counters' && record.file === 'ip -s link') for (const m of record.text.matchAll(/\blink-netns (\S+)/g)) add(m[1]);
      }
    }
  }
  return names;
}
