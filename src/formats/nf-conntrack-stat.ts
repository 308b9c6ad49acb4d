import type { CpuCounters, CpuRow } from '../model/conntrack.ts';

/**
 * /proc/net/stat/nf_conntrack (net/netfilter/nf_conntrack_standalone.c): a header, then one row of hexadecimal numbers
 * for each possible CPU. Columns are found by name, as they changed: `searched` became `clashres` (5.10),
 * `delete_list` became `chainlength` (5.15; the count of too long chains), `search_restart` came with 2.6.35.
 * `entries` is the namespace's count, the same in every row: never a sum.
 *
 * Names here: `clash_resolve` for clashres, `chaintoolong` for chainlength, others as in the header.
 */
const NAMES: Readonly<Record<string, string>> = { clashres: 'clash_resolve', chainlength: 'chaintoolong' };

export function decodeConntrackStat(text: string): CpuCounters {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/)).filter((fields) => fields[0] !== '');
  const header = (lines[0] ?? []).map((name) => NAMES[name] ?? name);
  if (!header.includes('entries') && !header.includes('insert_failed')) return { cpus: [], status: lines.length === 0 ? 'complete' : 'partial' };
  let whole = true;
  const cpus: CpuRow[] = lines.slice(1).map((fields, cpu) => {
    if (fields.length !== header.length) whole = false;
    const values = new Map<string, number>();
    fields.slice(0, header.length).forEach((field, i) => {
      if (/^[0-9a-fA-F]{1,16}$/.test(field)) values.set(header[i]!, Number.parseInt(field, 16));
      else whole = false;
    });
    return { cpu, values };
  });
  return { cpus, status: whole ? 'complete' : 'partial' };
}

/** Sum over CPUs, `entries` taken once. */
export function totalOf(cpus: readonly CpuRow[]): ReadonlyMap<string, number> {
  const total = new Map<string, number>();
  for (const { values } of cpus) for (const [name, value] of values) total.set(name, name === 'entries' ? value : (total.get(name) ?? 0) + value);
  return total;
}
