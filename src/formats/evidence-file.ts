import { readAsides } from './aside.ts';
import { readConntrack } from './conntrack-text.ts';
import { readCounters } from './counter-text.ts';
import { readKernelLog } from './dmesg.ts';
import { readDropJson } from './drop-json.ts';
import { readDropTools } from './drop-tools.ts';
import type { EvidenceRecord, Reading } from './evidence-record.ts';
import { readFtrace } from './ftrace-text.ts';
import { readHost } from './host-text.ts';
import { readIpText } from './ip-text.ts';
import { readKernelConfig } from './kernel-config.ts';
import { readDropFilter } from './kfree-filter.ts';
import { readListings } from './listing-json.ts';
import { readLog } from './log-lines.ts';
import { readRetisText } from './retis-text.ts';
import { readRules } from './rule-text.ts';

/** A part of a file under one heading, with what was recognised in it. */
export interface EvidencePart {
  readonly heading: string;
  /** A network namespace that the heading or the file's name may name; whether it is one only other files tell. */
  readonly words: readonly string[];
  readonly records: readonly EvidenceRecord[];
}

export interface EvidenceFile {
  readonly name: string;
  readonly parts: readonly EvidencePart[];
  readonly lines: number;
  /** Lines, headings and empty ones aside, that no reader understood. */
  readonly unread: number;
  /** A few of those, to show. */
  readonly examples: readonly { readonly line: number; readonly text: string }[];
}

/** In this order: what has the strictest grammar first. A line belongs to the first that understands it. */
const READERS: readonly ((lines: readonly string[]) => Reading)[] = [
  readDropJson, readFtrace, readDropTools, readRetisText, readConntrack, readCounters, readRules, readListings, readDropFilter, readKernelConfig, readKernelLog, readHost, readIpText, readAsides, readLog,
];

const HEADING = /^(?:={2,}>? (.{1,200}?)(?: <?={2,})?|-- (.{1,200}?)|#{2,} (.{1,200}))$/;

/**
 * Recognises text by its content, not by its name: a file may hold anything in any order, under headings like
 * `== seeda /proc/net/snmp`, `-- ip route` or `==> file <==`.
 */
export function recogniseEvidence(name: string, text: string): EvidenceFile {
  // no-break blanks and a byte order mark come with text that went through a web page or an editor
  const lines = text.replace(/[\u00a0\u2007\u202f]/g, ' ').replace(/^\ufeff/, '').split('\n').map((l) => l.trimEnd());
  const nameWords = [...netnsInName(name), ...name.slice(name.lastIndexOf('/') + 1).split(/[^\w-]+/).filter((w) => w !== '')];
  const parts: EvidencePart[] = [];
  const examples: { line: number; text: string }[] = [];
  let unread = 0, total = 0;
  let outer = '';
  const read = (heading: string, from: number, to: number): void => {
    const free = lines.slice(from, to);
    const records: EvidenceRecord[] = [];
    for (const reader of READERS) {
      if (free.every((l) => l === '')) break;
      const reading = reader(free);
      for (const record of reading.records) records.push({ ...record, line: record.line + from });
      for (const i of reading.taken) free[i] = '';
    }
    free.forEach((l, i) => {
      if (l === '') return;
      unread += 1;
      if (examples.length < 3) examples.push({ line: from + i + 1, text: l.slice(0, 120) });
    });
    parts.push({ heading, words: [...`${outer} ${heading}`.split(/\s+/).filter((w) => w !== ''), ...nameWords], records });
  };
  // a heading with a time is a poll's date: the readers of listings want it
  const isHeading = (line: string): string | undefined => {
    const m = HEADING.exec(line);
    const words = m === null ? undefined : (m[1] ?? m[2] ?? m[3]);
    return words === undefined || /^\d{10}\.\d/.test(words) || /\d\d:\d\d:\d\d/.test(words) ? undefined : words.trim();
  };
  let heading = '', start = 0;
  for (let i = 0; i < lines.length; i++) {
    if (lines[i] !== '') total += 1;
    const words = isHeading(lines[i]!);
    if (words === undefined) continue;
    if (i > start) read(heading, start, i);
    if (lines[i]!.startsWith('=')) outer = words;
    heading = words;
    start = i + 1;
  }
  read(heading, start, lines.length);
  return { name, parts, lines: total, unread, examples };
}

/** The network namespace that sosreport writes into names of files: `…/ip_netns_exec_NAME_ip_address`, `…/namespaces/NAME/…`. */
export function netnsInName(name: string): readonly string[] {
  const m = /(?:^|\/)ip_netns_exec_([\w.@-]{1,64}?)_(?:ip|ss|nft|ip6?tables|ip6?tables-save|netstat|sysctl|conntrack|nstat|ethtool|tc|bridge|cat)(?:_|-save|$)/.exec(name) ?? /(?:^|\/)namespaces\/([\w.@-]{1,64})\//.exec(name);
  return m === null ? [] : [m[1]!];
}

/** The name of what a record is, as the list of what was recognised shows it. */
export function formatName(record: EvidenceRecord): string {
  switch (record.kind) {
    case 'trace': return record.tool !== undefined ? (record.tool === 'trace.dat' && record.stack.length > 0 ? 'trace.dat with stacks' : record.tool) : record.stack.length > 0 ? 'ftrace text with stacks' : 'ftrace text';
    case 'conntrack-event': return 'conntrack -E';
    case 'conntrack-listing': return record.stamp === undefined ? 'conntrack -L' : 'conntrack -L, polled';
    case 'conntrack-overrun': return 'a warning of conntrack -E';
    case 'counters': return record.file === 'conntrack -S' || record.file === 'ip -s link' || record.file === 'nstat' ? record.file : `/proc/net/${record.file}`;
    case 'log': return 'application log';
    case 'kernel-log': return 'dmesg';
    case 'rules': return `rules (${record.tool})`;
    case 'symbols': return 'kallsyms';
    case 'event-format': return 'tracefs event format';
    case 'kernel-options': return 'kernel configuration';
    case 'drop-filter': return 'kfree_skb filter';
    case 'clocks': return 'clocks';
    case 'command': return 'log of commands';
    case 'trace-loss': return 'losses of the trace';
    case 'process': return 'ps';
    case 'socket': return 'ss -p';
    case 'sysctl': return 'sysctl';
    case 'kernel': return 'kernel release';
    case 'netns': return 'lsns';
    case 'remark': return 'remarks';
    case 'listing': return record.fromText === true ? `ip ${record.topic.replace('6', ' (IPv6)')}` : record.topic === 'qdisc' ? 'tc -j qdisc' : `ip -j ${record.topic.replace('6', ' (IPv6)')}`;
    case 'aside': return `${record.format}, not used${record.instead === undefined ? '' : ` (collect ${record.instead})`}`;
  }
}
