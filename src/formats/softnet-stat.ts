import type { CpuCounters, CpuRow } from '../model/conntrack.ts';

/**
 * /proc/net/softnet_stat (net/core/net-procfs.c, softnet_seq_show): a row of 32-bit hexadecimal numbers for each
 * online CPU, no header, so by position; columns were only ever added at the end. 0 processed, 1 dropped (input_pkt_queue
 * was full), 2 time_squeeze (budget used up), 3 to 7 always 0, 8 cpu_collision (always 0 since 4.7), 9 received_rps
 * (2.6.35), 10 flow_limit_count (3.11), 11 backlog length now, 12 number of the CPU (both 5.14), 13 and 14 the two
 * parts of the backlog (6.5). Without column 12 offline CPUs make the row's number a guess.
 */
const COLUMNS = ['processed', 'dropped', 'time_squeeze', '', '', '', '', '', 'cpu_collision', 'received_rps', 'flow_limit_count', 'backlog', 'cpu', 'input_qlen', 'process_qlen'];

export function decodeSoftnetStat(text: string): CpuCounters {
  let whole = true;
  const cpus: CpuRow[] = [];
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (fields[0] === '') continue;
    const values = new Map<string, number>();
    fields.forEach((field, i) => {
      const name = COLUMNS[i];
      if (!/^[0-9a-fA-F]{1,8}$/.test(field)) whole = false;
      else if (name !== undefined && name !== '') values.set(name, Number.parseInt(field, 16));
    });
    if (values.size === 0) continue;
    cpus.push({ cpu: values.get('cpu') ?? cpus.length, values });
  }
  return { cpus, status: whole ? 'complete' : 'partial' };
}
