import { netnsInode, type Netns } from '../../base/brand.ts';
import { netnsInName, type EvidenceFile } from '../../formats/evidence-file.ts';
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
  /** The namespace of texts that name none: its inode number where tools told it, else {@link UNNAMED}. */
  readonly home: Netns;
  readonly names: ReadonlyMap<Netns, string>;
  readonly files: readonly string[];
  of<K extends EvidenceRecord['kind']>(kind: K): readonly Item<OfKind<K>>[];
}

/** Stands for the namespace of texts that name none, while no inode number is known. */
export const UNNAMED = netnsInode(1);

const TOOL = /^(?:\/proc\/\S+|conntrack|ip|nft|ip6?tables(?:-save|-legacy-save|-nft-save)?|ss|tc|sysctl|nstat|netstat|ethtool|bridge|cat)$/;

export function collect(files: readonly EvidenceFile[]): Collected {
  const { names, inodes, seen } = namesIn(files);
  const numbers = new Map([...names].map((name, i) => [name, netnsInode(inodes.get(name) ?? i + 2)]));
  const byKind = new Map<string, Item[]>();
  const traced = new Set<string>();
  for (const file of files) {
    for (const part of file.parts) {
      const named = part.words.find((w) => names.has(w));
      for (const record of part.records) {
        if (record.kind === 'trace') {
          // an excerpt beside the whole tells nothing twice
          const key = `${record.keeps === undefined ? '' : file.name} ${record.time} ${record.cpu} ${record.tid ?? '?'} ${record.text}`;
          if (traced.has(key) && record.stack.length === 0) continue;
          traced.add(key);
        }
        const own = 'netns' in record && record.netns !== undefined && names.has(record.netns) ? record.netns : named;
        const told = record.kind === 'trace' ? record.told?.netns?.inode : undefined;
        const netns = told !== undefined ? netnsInode(told) : own === undefined ? undefined : numbers.get(own);
        const list = byKind.get(record.kind) ?? [];
        byKind.set(record.kind, list);
        list.push({ record, file: file.name, ...(netns === undefined ? {} : { netns }) });
      }
    }
  }
  return {
    home: homeOf(seen, names.size),
    names: new Map([...numbers].map(([name, netns]) => [netns, name])),
    files: files.map((f) => f.name),
    of: <K extends EvidenceRecord['kind']>(kind: K) => (byKind.get(kind) ?? []) as unknown as readonly Item<OfKind<K>>[],
  };
}

/**
 * Listings that name no namespace are of the one where commands run: the first one of the host, known by its number (one of
 * the first that procfs gives; 0xeffffff9 since 6.18), or the only one that the tools saw.
 */
function homeOf(seen: ReadonlySet<number>, named: number): Netns {
  const first = [...seen].find(isFirst);
  const only = seen.size === 1 && named === 0 ? [...seen][0] : undefined;
  return first !== undefined ? netnsInode(first) : only !== undefined ? netnsInode(only) : UNNAMED;
}

const isFirst = (inode: number): boolean => inode === 0xefff_fff9 || (inode >= 0xf000_0000 && inode <= 0xf000_00a8);

/** Names that commands, headings, links and tools give to namespaces; and the inode numbers that go with them. */
function namesIn(files: readonly EvidenceFile[]): { readonly names: ReadonlySet<string>; readonly inodes: ReadonlyMap<string, number>; /** Inode numbers that tools print with packets. */ readonly seen: ReadonlySet<number> } {
  const seen = new Set<number>();
  const names = new Set<string>();
  const inodes = new Map<string, number>();
  const add = (name: string | undefined): void => {
    if (name !== undefined && names.size < 64 && /^[\w][\w.@-]{0,63}$/.test(name)) names.add(name);
  };
  for (const file of files) {
    add(netnsInName(file.name)[0]);
    for (const part of file.parts) {
      const [first, second] = part.heading.split(/\s+/);
      if (second !== undefined && TOOL.test(second) && !TOOL.test(first ?? '')) add(first);
      add(/\bip netns exec (\S+)/.exec(part.heading)?.[1]);
      for (const record of part.records) {
        if (record.kind === 'trace' && record.told?.netns !== undefined) seen.add(record.told.netns.inode);
        const known = record.kind === 'netns' ? (record.name === '' ? undefined : record) : record.kind === 'trace' && record.told?.netns?.name !== undefined ? record.told.netns : undefined;
        if (known?.name !== undefined) {
          add(known.name);
          if (names.has(known.name)) inodes.set(known.name, known.inode);
        }
        if (record.kind === 'command' || record.kind === 'conntrack-listing') add(record.netns);
        if (record.kind === 'counters' && record.file === 'ip -s link') for (const m of record.text.matchAll(/\blink-netns (\S+)/g)) add(m[1]);
      }
    }
  }
  // one name and one number: of one namespace
  const [name] = names, [inode] = seen;
  if (names.size === 1 && seen.size === 1 && inodes.size === 0 && !isFirst(inode!)) inodes.set(name!, inode!);
  return { names, inodes, seen };
}
