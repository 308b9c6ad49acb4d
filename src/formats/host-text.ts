import { wallTime } from './wall-time.ts';
import type { EvidenceRecord, Reading } from './evidence-record.ts';

/** Small things about the host among other text: clocks, commands with their times, ps, ss -p, sysctl, uname, kallsyms, event formats. */
export function readHost(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  let symbols: { line: number; text: string[] } | undefined;
  for (let i = 0; i < lines.length; i++) {
    const text = lines[i]!;
    if (text === '' || text.length > LONGEST) continue;
    const line = i + 1;
    if (SYMBOL.test(text)) {
      symbols ??= { line, text: [] };
      symbols.text.push(text);
      taken.push(i);
      continue;
    }
    if (/^name: \w+$/.test(text) && /^ID: \d+$/.test(lines[i + 1] ?? '')) {
      let to = i + 1;
      while (to < lines.length && !lines[to]!.startsWith('name: ') && (lines[to] === '' || /^(?:ID:|format:|\tfield:|print fmt:)/.test(lines[to]!))) to += 1;
      records.push({ kind: 'event-format', line, text: `${lines.slice(i, to).join('\n')}\n` });
      for (let k = i; k < to; k++) if (lines[k] !== '') taken.push(k);
      i = to - 1;
      continue;
    }
    if (HEADER.test(text)) {
      taken.push(i);
      continue;
    }
    const record = one(text, line);
    if (record === undefined) continue;
    records.push(record);
    taken.push(i);
  }
  if (symbols !== undefined) records.push({ kind: 'symbols', line: symbols.line, text: `${symbols.text.join('\n')}\n` });
  return { records, taken };
}

const LONGEST = 65_536;
/** Of ps and lsns. */
const HEADER = /^\s*(?:(?:USER|UID|PID)\s+(?:PID|USER)\s.*(?:COMMAND|CMD)|NS TYPE\s.*COMMAND)$/;
const SYMBOL = /^[0-9a-f]{8,16} (?:0x[0-9a-f]+ )?[a-zA-Z?] \S+(?:\s+\[[\w-]+\])?$/;
const ns = (seconds: string): bigint => {
  const [whole = '0', part = ''] = seconds.split('.');
  return BigInt(whole) * 1_000_000_000n + BigInt(part.padEnd(9, '0').slice(0, 9));
};

function one(text: string, line: number): EvidenceRecord | undefined {
  const both = /\b(?:wall|realtime|CLOCK_REALTIME)[ =:]+(\d{9,10}\.\d{1,9})\b.*\b(?:mono|monotonic|CLOCK_MONOTONIC)[ =:]+(\d{1,10}\.\d{1,9})/i.exec(text);
  const clocks = both ?? /^(\d{10}\.\d{1,9}) mono (\d{1,10}\.\d{1,9})\b/.exec(text);
  if (clocks !== null) return { kind: 'clocks', line, wall: ns(clocks[1]!), mono: ns(clocks[2]!), named: both !== null };
  const uname = /^Linux (?:version )?(?:\S+ )?(\d+\.\d+\S*) /.exec(text) ?? /^(?:kernel|uname -r):? (\d+\.\d+\.\d+\S*)/.exec(text) ?? /^(\d+\.\d+\.\d+-\S+)$/.exec(text);
  if (uname !== null) return { kind: 'kernel', line, release: uname[1]! };
  const lsns = /^\s*(\d{10}) net\s+\d+\s+\d+\s+\S+(?:\s+(?:unassigned|\d+))?(?:\s+(\/\S+))?\s/.exec(text);
  if (lsns !== null) return { kind: 'netns', line, inode: Number(lsns[1]), name: /^\/(?:var\/)?run\/netns\/([\w.@-]{1,64})$/.exec(lsns[2] ?? '')?.[1] ?? '' };
  const socket = /^(?:UNCONN|ESTAB|LISTEN|SYN-\w+|FIN-\w+|CLOSE\S*|TIME-WAIT|(?:udp|tcp)\s+\S+)\s+\d+\s+\d+\s+(\S+)\s+\S+\s.*users:\(\("([^"]{1,64})",pid=(\d{1,10})/.exec(text);
  if (socket !== null) return { kind: 'socket', line, local: socket[1]!, comm: socket[2]!, pid: Number(socket[3]) };
  const sysctl = /^((?:net|kernel|vm|fs|dev|abi|crypto|debug|user|sunrpc)(?:\.[\w:@/-]+){1,8}) = ?(.{0,400})$/.exec(text);
  if (sysctl !== null) return { kind: 'sysctl', line, name: sysctl[1]!, value: sysctl[2]! };
  const process = /^\s*(\d{1,10})\s+[a-z_][\w.+-]{0,31}\s+((?:\/|\.\/|\[)?\S.*)$/.exec(text) ?? /^[a-z_][\w.+-]{0,31}\s+(\d{1,10})\s+\d+\.\d\s+\d+\.\d\s+\d+\s+\d+\s+\S+\s+\S+\s+\S+\s+\S+\s+(\S.*)$/.exec(text);
  if (process !== null) return { kind: 'process', line, pid: Number(process[1]), command: process[2]!.trim() };
  return command(text, line);
}

/** `1795387761.480311 1795387761.593210 conntrack -F in seedb`, also with one time only. */
function command(text: string, line: number): EvidenceRecord | undefined {
  const from = wallTime(text);
  if (from === undefined) return undefined;
  const to = wallTime(from.rest.trim());
  const words = (to ?? from).rest.trim();
  const m = /^(?:ran |running |# |\$ |\+ )?((?:\/\S*\/)?(?:ip netns exec \S+ )?(?:conntrack|iptables(?:-restore)?|ip6tables|nft|systemctl|ipvsadm|ip|tc|ifdown|ifup|service) (?:[^\s].*?))(?: in (\S+))?$/.exec(words);
  if (m === null || /^conntrack v\d/.test(words)) return undefined;
  const netns = m[2] ?? /ip netns exec (\S+)/.exec(m[1]!)?.[1];
  return { kind: 'command', line, from: from.stamp, command: m[1]!.replace(/^ip netns exec \S+ /, ''), ...(to === undefined ? {} : { to: to.stamp }), ...(netns === undefined ? {} : { netns }) };
}
