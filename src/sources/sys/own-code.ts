import { readFileSync } from 'node:fs';
import { MADV_DONTNEED, madvise } from './ffi.ts';

/** A mapping of a file, as one line of /proc/PID/smaps begins. */
export interface FileMapping {
  readonly from: bigint;
  readonly to: bigint;
  readonly path: string;
  /** Bytes of it that are in memory. */
  readonly resident: number;
}

const HEAD = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ (\d+)\s+(\/.*)$/;
/** Less is not worth a call. */
const LEAST = 200 << 10;

/**
 * Private mappings of files that were never written to, neither now nor by a page that is swapped out: what is in memory of
 * them is the file, word for word. Text of /proc/PID/smaps (Documentation/filesystems/proc.rst).
 */
export function cleanMappings(smaps: string): readonly FileMapping[] {
  const found: FileMapping[] = [];
  for (const block of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const head = HEAD.exec(block.slice(0, block.indexOf('\n')));
    if (head === null || (head[3] !== 'r-xp' && head[3] !== 'r--p') || head[4] === '0') continue;
    const kb = (name: string): number | undefined => {
      const text = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(block)?.[1];
      return text === undefined ? undefined : Number(text);
    };
    const resident = (kb('Rss') ?? 0) * 1024;
    if (resident < LEAST || kb('Private_Dirty') !== 0 || kb('Anonymous') !== 0 || kb('Swap') !== 0) continue;
    found.push({ from: BigInt(`0x${head[1]}`), to: BigInt(`0x${head[2]}`), path: head[5]!, resident });
  }
  return found;
}

/**
 * Takes the code of the runtime and its libraries out of our memory: half of it only the start needed, 26 MB. It stays in
 * the page cache, from where the rest comes back as it is used (some milliseconds, once).
 */
export function letGoOfCode(): void {
  let smaps: string;
  try {
    smaps = readFileSync('/proc/self/smaps', 'utf8');
  } catch {
    return; // a kernel without CONFIG_PROC_PAGE_MONITOR: it stays
  }
  for (const { from, to } of cleanMappings(smaps)) madvise(from, Number(to - from), MADV_DONTNEED);
}
