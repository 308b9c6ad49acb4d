import type { Counters } from '../model/conntrack.ts';

/**
 * /proc/net/dev (net/core/net-procfs.c): two header lines `Inter-| Receive | Transmit`, then `name: values`. Keys are
 * `eth0 rx drop`, `eth0 tx errs`: the columns by the names in the second line. A device's name may hold anything but
 * blanks and `/`, colons too, so the last colon before the numbers ends it.
 */
export function decodeNetDev(text: string): Counters {
  const values = new Map<string, number>();
  let whole = true;
  let columns: readonly string[] = [];
  for (const line of text.split('\n')) {
    const parts = line.split('|');
    if (parts.length === 3) {
      const words = (part: string, side: string): string[] => part.trim().split(/\s+/).map((name) => `${side} ${name}`);
      columns = [...words(parts[1]!, 'rx'), ...words(parts[2]!, 'tx')];
      continue;
    }
    if (line.trim() === '') continue;
    const m = /^\s*(\S+):\s*([0-9][0-9\s]*)$/.exec(line);
    if (m === null) {
      whole = false;
      continue;
    }
    const fields = m[2]!.trim().split(/\s+/);
    if (fields.length !== columns.length) whole = false;
    fields.slice(0, columns.length).forEach((field, i) => values.set(`${m[1]} ${columns[i]}`, Number(field)));
  }
  return { values, status: whole ? 'complete' : 'partial' };
}
