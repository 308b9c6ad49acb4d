import type { CounterName, EvidenceRecord, Reading, Stamp } from './evidence-record.ts';
import { wallTime } from './wall-time.ts';

/**
 * Counter files among other text, recognised by their own headers: /proc/net/stat/nf_conntrack of every column
 * generation, snmp and netstat, snmp6, softnet_stat, net/dev, `conntrack -S`, `ip -s link`, nstat. One file may hold
 * many snapshots one after another, with or without headings. The text of each snapshot is kept whole, for the decoders of live files.
 */
export function readCounters(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  let stamp: Stamp | undefined;
  let i = 0;
  const add = (file: CounterName, from: number, to: number): void => {
    records.push({ kind: 'counters', line: from + 1, file, text: `${lines.slice(from, to).filter((l) => l !== '').join('\n')}\n`, ...(stamp === undefined ? {} : { stamp }) });
    for (let k = from; k < to; k++) if (lines[k] !== '') taken.push(k);
    i = to;
  };
  /** The first line from `from` that does not fit. */
  const until = (from: number, fits: (line: string, index: number) => boolean): number => {
    let to = from;
    while (to < lines.length && fits(lines[to]!, to)) to += 1;
    return to;
  };
  while (i < lines.length) {
    const text = lines[i]!;
    if (text.length > LONGEST || text === '') {
      i += 1;
      continue;
    }
    const date = wallTime(text.replace(/^(?:[-=#]+ )\s*/, ''));
    if (date !== undefined && date.rest.trim() === '') stamp = date.stamp;
    if (/^\s*entries\s+\S/.test(text) && text.includes('insert_failed')) add('stat/nf_conntrack', i, until(i + 1, (l) => STAT_ROW.test(l)));
    else if (PAIR.test(text) && PAIR.exec(text)?.[1] === PAIR.exec(lines[i + 1] ?? '')?.[1] && /^\S+:(?: -?\d+)+\s*$/.test(lines[i + 1] ?? '')) {
      const to = until(i, (l) => PAIR.test(l));
      // netstat follows snmp at once where somebody wrote `cat snmp netstat`
      const split = until(i, (l, k) => k < to && !EXTENDED.test(l));
      if (split > i) add('snmp', i, split);
      if (split < to) add('netstat', split, to);
    } else if (/^cpu=\d+\s+.*\binsert_failed=\d+/.test(text)) add('conntrack -S', i, until(i, (l) => /^cpu=\d+\s/.test(l)));
    else if (/^Inter-\|\s+Receive/.test(text)) add('dev', i, until(i + 1, (l) => /^\s*(?:face \||[^\s:]+:\s*\d)/.test(l)));
    else if (SNMP6.test(text)) add('snmp6', i, until(i, (l) => SNMP6.test(l)));
    else if (SOFTNET.test(text)) add('softnet_stat', i, until(i, (l) => SOFTNET.test(l)));
    else if (/^#(?:\d+\.\d+ )?(?:kernel|extended)/.test(text) && NSTAT.test(lines[i + 1] ?? '')) add('nstat', i, until(i + 1, (l) => NSTAT.test(l)));
    else if (/^\d+: \S+: <[A-Z,_-]*>/.test(text) && lines.slice(i + 1, i + 8).some((l) => /^\s+RX:\s+bytes/.test(l))) {
      add('ip -s link', i, until(i + 1, (l) => /^\d+: \S+: <|^\s+(?:link\/|RX|TX|\d|alias|altname|vf |veth |bridge |vlan |bond|vxlan |macvlan |tun |openvswitch|promiscuity |parentbus )/.test(l)));
    } else i += 1;
  }
  return { records, taken };
}

const LONGEST = 16_384;
const STAT_ROW = /^\s*[0-9a-f]{8,16}(?:\s+[0-9a-f]{8,16}){6,}\s*$/;
const PAIR = /^([A-Z][A-Za-z0-9]{1,15}): ?\S/;
const EXTENDED = /^(?:TcpExt|IpExt|MPTcpExt): /;
const SNMP6 = /^(?:Ip6|Icmp6|Udp6|UdpLite6)\w+\s+\d+\s*$/;
const SOFTNET = /^(?:[0-9a-f]{8} ){8,}[0-9a-f]{8}\s*$/;
const NSTAT = /^[A-Z]\w+\s+-?\d+\s+[\d.]+\s*$/;

/** Numbers by name of any of the snapshots: what only grows, for deltas. `ip -s link`: `va rx_dropped`. */
export function countersIn(file: CounterName, text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  const lines = text.split('\n');
  switch (file) {
    case 'conntrack -S':
      for (const line of lines) for (const m of line.matchAll(/(\w+)=(\d+)/g)) if (m[1] !== 'cpu') values.set(m[1]!, (values.get(m[1]!) ?? 0) + Number(m[2]));
      return values;
    case 'nstat': case 'snmp6':
      for (const line of lines) {
        const m = /^([A-Z]\w+)\s+(-?\d+)/.exec(line);
        if (m !== null) values.set(m[1]!, Number(m[2]));
      }
      return values;
    case 'ip -s link': {
      let device = '', columns: string[] = [];
      for (const line of lines) {
        const name = /^\d+: ([^\s:@]+)/.exec(line);
        const head = /^\s+([RT]X)(?: errors)?:\s+(.*)$/.exec(line);
        if (name !== null) device = name[1]!;
        else if (head !== null) columns = head[2]!.trim().split(/\s+/).map((c) => `${device} ${head[1]!.toLowerCase()}_${c}`);
        else if (/^\s+\d[\d\s]*$/.test(line)) line.trim().split(/\s+/).forEach((v, k) => columns[k] !== undefined && values.set(columns[k], Number(v)));
      }
      return values;
    }
    case 'stat/nf_conntrack': case 'softnet_stat': case 'snmp': case 'netstat': case 'dev':
      return values; // their own decoders know them
  }
}

/** `conntrack -S` in the shape of /proc/net/stat/nf_conntrack, so that one decoder reads both. */
export function statOfConntrackS(text: string): string {
  const rows = text.split('\n').map((l) => [...l.matchAll(/(\w+)=(\d+)/g)]).filter((r) => r.length > 0);
  const names = [...new Set(rows.flatMap((r) => r.map((m) => m[1]!)))].filter((n) => n !== 'cpu');
  const hex = (n: number): string => n.toString(16).padStart(8, '0');
  return [names.join(' '), ...rows.map((r) => names.map((n) => hex(Number(r.find((m) => m[1] === n)?.[2] ?? 0))).join(' '))].join('\n') + '\n';
}
