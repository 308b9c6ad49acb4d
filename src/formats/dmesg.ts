import type { EvidenceRecord, Reading, Stamp } from './evidence-record.ts';
import { wallTime } from './wall-time.ts';

/** `[   23.304294] text`, as dmesg(1) prints the kernel's log; also with `<4>` or a facility before, and syslog's `kernel: [  23.3]`. */
export function readKernelLog(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  lines.forEach((line, i) => {
    const short = line.length > LONGEST ? line.slice(0, LONGEST) : line;
    const dated = DATED.exec(short);
    const date = dated === null ? undefined : wallTime(dated[1]!);
    if (dated !== null && date !== undefined) {
      records.push({ kind: 'kernel-log', line: i + 1, text: dated[2]!, stamp: date.stamp });
      taken.push(i);
      return;
    }
    const m = LINE.exec(short);
    if (m === null) return;
    const seconds = m[1] ?? m[2];
    records.push({ kind: 'kernel-log', line: i + 1, text: m[3]!, ...(seconds === undefined ? stampOf(short) : { seconds: Number(seconds) }) });
    const release = /^Linux version (\S+)/.exec(m[3]!);
    if (release !== null) records.push({ kind: 'kernel', line: i + 1, release: release[1]! });
    taken.push(i);
  });
  return { records, taken };
}

const LONGEST = 4096;
/** `dmesg -T`: `[Mon Nov 23 07:17:24 2026] text` */
const DATED = /^(?:\w+\s*:\w+\s*: )?\[([A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})\] (.*)$/;

/** journalctl's and syslog's own date, where it has a year. */
function stampOf(line: string): { readonly stamp?: Stamp } {
  const date = wallTime(line);
  return date === undefined ? {} : { stamp: date.stamp };
}
const LINE = /^(?:<\d+>)?(?:\[\s*(\d{1,9}\.\d{1,9})\](?:\s*\[\s*T\d+\])?|.{0,64}?\bkernel:(?:\s*\[\s*(\d{1,9}\.\d{1,9})\])?)\s(.*)$/;

/** Sentences with which the kernel itself names a loss (nf_conntrack_core.c, neighbour.c, ip_fragment.c, tcp_input.c). */
export const KERNEL_LOSSES: readonly { readonly words: RegExp; readonly cause: string }[] = [
  { words: /nf_conntrack: (?:nf_conntrack: )?table full, dropping packet|ip_conntrack: table full, dropping packet/, cause: 'conntrack.table-full' },
  { words: /neighbou?r: \S+: neighbor table overflow|Neighbour table overflow/i, cause: 'neigh.table-overflow' },
  { words: /(?:TCP: )?request_sock_\w+: Possible SYN flooding on port/, cause: 'tcp.syn-flood' },
  { words: /nf_conntrack: .*helper.*dropping packet/, cause: 'conntrack.table-full' },
];
