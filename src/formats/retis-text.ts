import { parseInet } from '../base/inet.ts';
import { frameOf } from './drop-tools.ts';
import type { EvidenceRecord, Reading } from './evidence-record.ts';
import type { Json } from './json-fields.ts';
import { createRetis } from './retis-json.ts';
import { wallTime } from './wall-time.ts';

/**
 * What `retis collect` and `retis print` show: a line for each event, `TIME (CPU) [COMM] TID/PID [tp] SYMBOL #ID (skb ADDR)
 * drop (reason R)`, then its sections, indented (or all on one line). It is made the object that the JSON has, and read as that.
 */
export function readRetisText(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  const retis = createRetis();
  for (let i = 0; i < lines.length; i++) {
    const head = lines[i]!.length > LONGEST ? null : HEAD.exec(lines[i]!);
    if (head === null) continue;
    let to = i + 1;
    while (to < lines.length && to < i + MOST_LINES && /^ {2,}\S/.test(lines[to]!) && lines[to]!.length <= LONGEST) to += 1;
    const stamp = head[1]!.includes(':') ? wallTime(head[1]!)?.stamp : undefined;
    const read = retis(eventOf(head, lines.slice(i + 1, to)), i + 1) ?? [];
    for (const record of read) records.push(record.kind === 'trace' && stamp !== undefined ? { ...record, time: stamp.ns, stamp, text: lines[i]!.trim() } : record);
    for (let k = i; k < to; k++) taken.push(k);
    i = to - 1;
  }
  return { records, taken };
}

const LONGEST = 8192;
const MOST_LINES = 160;
const HEAD = /^(\d{7,19}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d{1,9}) (?:\((\d{1,5})\) )?(?:\[(.{1,16}?)\] (?:(\d{1,10})\/)?(\d{1,10}) )?\[(?:tp|k|kr)\] (\S+)(?: (.*))?$/;

function eventOf(head: RegExpExecArray, below: readonly string[]): Json {
  const [, time, cpu, comm, tid, pid, symbol, rest = ''] = head;
  const stack = below.map((l) => l.trim()).filter((l) => frameOf(l) !== undefined);
  const words = [rest, ...below].join(' ');
  const find = (pattern: RegExp): RegExpExecArray | undefined => pattern.exec(words) ?? undefined;
  const drop = find(/\bdrop \((?:reason )?(?:([\w-]+)\/)?([\w.]+)\)/), tracking = find(/#([\da-f]{1,32}) \(skb ([\da-f]{1,16})\)/);
  const ns = find(/\bns (?:0x[\da-f]+\/)?(\d{1,10})\b/), dev = find(/\bif (\d{1,9})(?: \(([^)\s]{1,64})\))?/), nft = find(/\btable (\S+) \((-?\d+)\) chain (\S+) \((-?\d+)\)(?: handle (\d+))? (\w+)( \(policy\))?/);
  return {
    common: { ...(time!.includes(':') ? {} : { timestamp: Number(time) }), ...(cpu === undefined ? {} : { smp_id: Number(cpu) }), ...(pid === undefined ? {} : { task: { comm, tgid: Number(pid), pid: Number(tid ?? pid) } }) },
    kernel: { symbol, stack_trace: stack }, skb: headers(words),
    ...(tracking === undefined ? {} : { 'skb-tracking': { orig_head: Number.parseInt(tracking[1]!.slice(0, 12), 16), timestamp: Number.parseInt(tracking[1]!.slice(12), 16) || 0 } }),
    ...(drop === undefined ? {} : { 'skb-drop': { drop_reason: drop[2], ...(drop[1] === undefined ? {} : { subsys: drop[1] }) } }),
    ...(ns === undefined ? {} : { netns: { inum: Number(ns[1]) } }), ...(dev === undefined ? {} : { dev: { ifindex: Number(dev[1]), name: dev[2] ?? '' } }),
    ...(nft === undefined ? {} : { nft: { table_name: nft[1], chain_name: nft[3], verdict: nft[6], policy: nft[7] !== undefined, ...(nft[5] === undefined ? {} : { rule_handle: Number(nft[5]) }) } }),
    ...conntrack(words),
  };
}

/** `10.0.0.1.40000 > 10.0.0.2.9000 tos 0x0 … proto UDP (17) len 12`, without ports for other protocols; behind it `flags [S]`. */
function headers(words: string): Json {
  for (const m of words.matchAll(/(?:^|\s)([\da-f.:]{3,45}) > ([\da-f.:]{3,45}) [^>]{0,200}?proto (?:[\w.-]+ )?\((\d{1,3})\)([^>]{0,80})/g)) {
    const protocol = Number(m[3]), ported = protocol === 6 || protocol === 17;
    const source = ported ? endOf(m[1]!) : { address: m[1]! }, destination = ported ? endOf(m[2]!) : { address: m[2]! };
    if (source === undefined || destination === undefined || parseInet(source.address) === undefined || parseInet(destination.address) === undefined) continue;
    const flags = /\bflags \[([A-Z.]{1,10})\]/.exec(m[4]!)?.[1];
    const length = /\bskb \[.{0,120}?\blen (\d{1,6})/.exec(words)?.[1];
    return { saddr: source.address, daddr: destination.address, protocol, sport: source.port, dport: destination.port, ...(flags === undefined ? {} : { tcp_flags: flagBits(flags) }), ...(length === undefined ? {} : { meta: { len: Number(length) } }) };
  }
  return {};
}

function endOf(text: string): { readonly address: string; readonly port?: number } | undefined {
  const m = /^(.*)\.(\d{1,5})$/.exec(text);
  return m === null ? undefined : { address: m[1]!, port: Number(m[2]) };
}

const FLAG: Readonly<Record<string, number>> = { F: 1, S: 2, R: 4, P: 8, '.': 16, U: 32, E: 64, W: 128 };
const flagBits = (letters: string): number => [...letters].reduce((sum, l) => sum | (FLAG[l] ?? 0), 0);

/** `ct_state NEW status 0x100 udp orig [A.P > B.Q] reply [B.Q > A.P] zone 0 mark 0x7` */
function conntrack(words: string): Json {
  const m = /\bct_state ([A-Z_]+) (?:status 0x([\da-f]{1,8}) )?(?:(tcp|udp|sctp|icmp) (?:\(\w+\) )?orig \[(\S+) > (\S+?)(?: type (\d+) code (\d+) id (\d+))?(?: vtag \S+)?\] reply \[(\S+) > (\S+?)(?: type (\d+) code (\d+) id (\d+))?(?: vtag \S+)?\])?/.exec(words);
  if (m === null) return {};
  const side = (source: string | undefined, destination: string | undefined, at: number): Json => {
    if (m[3] === undefined || source === undefined || destination === undefined) return {};
    if (m[3] === 'icmp') return { ip: { src: source, dst: destination }, proto: { icmp: { type: Number(m[at]), code: Number(m[at + 1]), id: Number(m[at + 2]) } } };
    const a = endOf(source), b = endOf(destination);
    return a === undefined || b === undefined ? {} : { ip: { src: a.address, dst: b.address }, proto: { [m[3]]: { sport: a.port, dport: b.port } } };
  };
  return { ct: { state: m[1]!.toLowerCase(), ...(m[2] === undefined ? {} : { ct_status: Number.parseInt(m[2], 16) }), orig: side(m[4], m[5], 6), reply: side(m[9], m[10], 11) } };
}
