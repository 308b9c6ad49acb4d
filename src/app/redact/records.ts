import { cString, u16le } from '../../base/bytes.ts';
import { CALL, DROP, EXEC, FILENAME_BYTES, HEAD_BYTES, IP_SUMMED, SOCK } from '../../bpf/layout.ts';
import { decodeBurst, encodeBurst } from '../../formats/conntrack-burst.ts';
import { parseEventFormat } from '../../formats/event-format.ts';
import { parseHeaderPage } from '../../formats/header-page.ts';
import { NLMSG_NOOP, walkMessages } from '../../formats/netlink.ts';
import { readRingPage } from '../../formats/ring-page.ts';
import type { AnswerRecord, HostRecord, RawRecord } from '../../model/record.ts';
import { headersOf } from '../../timeline/sample.ts';
import { hostnamesOf } from '../common-clock.ts';
import type { Mapping } from './mapping.ts';
import { redactPacket } from './packet.ts';
import { isGenericDevice, namesIn, redactText, type Names } from './texts.ts';

const utf8 = new TextEncoder();
const AF_INET = 2, AF_INET6 = 10;
/** Threads of the kernel, whose names are everybody's. */
const KERNEL_THREAD = /^(?:swapper|ksoftirqd|kworker|migration|rcu|kthreadd|irq\/|napi\/|khugepaged|kswapd)/;
/** /proc files without addresses. */
const COUNTERS: ReadonlySet<string> = new Set(['net/stat/nf_conntrack', 'net/snmp', 'net/snmp6', 'net/netstat', 'net/softnet_stat', 'net/xfrm_stat', 'net/sockstat', 'net/sockstat6', 'net/protocols']);

export interface Redaction {
  record(record: RawRecord): RawRecord;
  /** What could not be rewritten and was left out, with how often. */
  readonly leftOut: ReadonlyMap<string, number>;
}

export function createRedaction(host: HostRecord, mapping: Mapping, names: Names): Redaction {
  const leftOut = new Map<string, number>();
  const text = (t: string): string => redactText(t, mapping, names);
  const comm = (name: string): string => (name === '' || KERNEL_THREAD.test(name) ? name : mapping.name('process', name).slice(0, 15));
  const device = (name: string): string => (isGenericDevice(name) ? name : names.image(name).slice(0, 15));
  const count = (what: string): void => void leftOut.set(what, (leftOut.get(what) ?? 0) + 1);

  const field = (b: Uint8Array, at: number, size: number, change: (name: string) => string): void => {
    const made = utf8.encode(change(cString(b, at, size)));
    b.fill(0, at, at + size);
    b.set(made.subarray(0, size - 1), at);
  };
  const sock = (b: Uint8Array, at: number): void => {
    const family = u16le(b, at + SOCK.family);
    if (family !== AF_INET && family !== AF_INET6) return void b.fill(0, at + SOCK.local, at + SOCK.remote + 16);
    for (const end of [SOCK.local, SOCK.remote]) {
      mapping.inet(b, at + end, family === AF_INET ? 4 : 6);
      if (family === AF_INET) b.fill(0, at + end + 4, at + end + 16);
    }
  };
  const tuple = (b: Uint8Array, at: number): void => {
    const family = u16le(b, at + 18) === AF_INET6 ? 6 : 4;
    for (const end of [at, at + 20]) {
      mapping.inet(b, end, family);
      if (family === 4) b.fill(0, end + 4, end + 16);
    }
  };

  const drop = (bytes: Uint8Array): Uint8Array => {
    if (bytes.length < DROP.size) return new Uint8Array(0);
    const b = Uint8Array.from(bytes);
    const v = new DataView(b.buffer);
    const protocol = v.getUint32(DROP.protocol, true);
    const length = v.getUint32(DROP.length, true);
    const copied = Math.min(v.getUint16(DROP.copied, true), HEAD_BYTES);
    const at = headersOf(v, protocol, length);
    const framed = at.mac !== undefined && (at.network === undefined || at.network - at.mac >= 14);
    const start = Math.min(Math.max(framed ? at.mac! : at.network ?? copied, 0), copied);
    const whole = length + v.getUint16(DROP.data, true) - v.getUint16(DROP.window, true);
    const end = Math.min(Math.max(start, whole), copied);
    b.fill(0, DROP.head, DROP.head + start);
    b.fill(0, DROP.head + end, DROP.head + HEAD_BYTES);
    const partial = v.getUint32(DROP.ipSummed, true) === IP_SUMMED.partial;
    // where the frame's header and the network header do not lie side by side, the latter counts
    if (framed && at.network !== undefined && at.network - at.mac! > 14 && (at.network - at.mac!) % 4 !== 2) redactPacket(b, DROP.head + at.network, DROP.head + end, protocol, mapping, partial);
    else redactPacket(b, DROP.head + start, DROP.head + end, framed ? 'ethernet' : protocol, mapping, partial);
    tuple(b, DROP.original);
    tuple(b, DROP.reply);
    sock(b, DROP.sk);
    sock(b, DROP.receiver);
    field(b, DROP.comm, 16, comm);
    field(b, DROP.device, 16, device);
    return b;
  };

  const call = (bytes: Uint8Array): Uint8Array => {
    if (bytes.length < CALL.size) return new Uint8Array(0);
    const b = Uint8Array.from(bytes);
    const family = u16le(b, CALL.address);
    if (family === AF_INET) mapping.inet(b, CALL.address + 4, 4);
    else if (family === AF_INET6) mapping.inet(b, CALL.address + 8, 6);
    else b.fill(0, CALL.address + 2, CALL.address + 32);
    sock(b, CALL.sk);
    field(b, CALL.comm, 16, comm);
    return b;
  };

  const exec = (bytes: Uint8Array): Uint8Array => {
    if (bytes.length < EXEC.size) return new Uint8Array(0);
    const b = Uint8Array.from(bytes);
    const v = new DataView(b.buffer);
    field(b, EXEC.comm, 16, comm);
    field(b, EXEC.filename, FILENAME_BYTES, (name) => mapping.name('program', name));
    b.fill(0, EXEC.argv, EXEC.size);
    v.setUint32(EXEC.argvLength, 0, true);
    return b;
  };

  /** Attributes of ctnetlink: tuples are nested, addresses are types 1 to 4 within their CTA_TUPLE_IP; the rest holds none but labels and names. */
  const attributes = (b: Uint8Array, from: number, to: number, path: readonly number[]): void => {
    for (let at = from; at + 4 <= to; ) {
      const length = u16le(b, at)!;
      if (length < 4 || at + length > to) return void b.fill(0, at, to);
      const type = u16le(b, at + 2)! & 0x3fff;
      const here = [...path, type];
      const body = at + 4, end = at + length;
      if (here.length === 1 && TUPLES.has(type)) attributes(b, body, end, here);
      else if (here.length === 2 && type === 1) attributes(b, body, end, here);
      else if (here.length === 3 && path[1] === 1) {
        if (end - body === 4) mapping.inet(b, body, 4);
        else if (end - body === 16) mapping.inet(b, body, 6);
        else b.fill(0, body, end);
      } else if (here.length === 1 && !PLAIN.has(type)) b.fill(0, body, end);
      at += (length + 3) & ~3;
    }
  };
  const conntrack = (bytes: Uint8Array): Uint8Array => {
    const b = Uint8Array.from(bytes);
    const parts: Uint8Array[] = [];
    const status = walkMessages(b, (m) => {
      const burst = m.type === NLMSG_NOOP ? decodeBurst(b, m) : undefined;
      // the hashes are of tuples with their addresses: they could be tried out
      if (burst !== undefined) return void parts.push(encodeBurst({ count: burst.count, sample: conntrack(burst.sample), tuples: new Uint32Array(0) }));
      if (m.type >> 8 === NFNL_SUBSYS_CTNETLINK) attributes(b, m.from + 4, m.to, []);
      else if (m.type !== NLMSG_DONE) b.fill(0, m.from, m.to);
      parts.push(b.subarray(m.from - 16, Math.min(b.length, m.from - 16 + ((m.to - m.from + 16 + 3) & ~3))));
    });
    if (status !== 'complete') count('the damaged end of a netlink record');
    return Buffer.concat(parts);
  };

  const sockets = (bytes: Uint8Array): Uint8Array => {
    const b = Uint8Array.from(bytes);
    walkMessages(b, (m) => {
      if (m.type !== SOCK_DIAG_BY_FAMILY) return;
      const family = b[m.from];
      if ((family !== AF_INET && family !== AF_INET6) || m.to - m.from < INET_MSG) return void b.fill(0, m.from, m.to);
      for (const at of [m.from + 8, m.from + 24]) {
        mapping.inet(b, at, family === AF_INET ? 4 : 6);
        if (family === AF_INET) b.fill(0, at + 4, at + 16);
      }
      for (let a = m.from + INET_MSG; a + 4 <= m.to; ) {
        const length = u16le(b, a)!;
        if (length < 4 || a + length > m.to) return void b.fill(0, a, m.to);
        if (!SOCKET_NUMBERS.has(u16le(b, a + 2)! & 0x3fff)) b.fill(0, a + 4, a + length);
        a += (length + 3) & ~3;
      }
    });
    return b;
  };

  const formats = Object.entries(host.formats).flatMap(([key, t]) => (key === 'sched/sched_process_exec' ? [parseEventFormat(t)] : []));
  const layout = parseHeaderPage(host.formats['header_page'] ?? '', host.formats['header_event']).layout;
  const page = (bytes: Uint8Array): Uint8Array => {
    const b = Uint8Array.from(bytes);
    readRingPage(bytes, (at, length) => {
      if (formats.some((f) => f.id === u16le(bytes, at))) {
        // of an execve the file's name is all that is not a number
        const location = formats[0]?.fields.get('filename');
        const word = location === undefined ? 0 : (u16le(b, at + location.offset) ?? 0);
        if (word > 0 && word < length) b.fill(120, at + word, at + length - 1);
      }
    }, layout);
    return b;
  };

  const tasks = (json: string): string => rewriteJson(json, (value) => {
    if (!Array.isArray(value)) return [];
    return value.map((t: Record<string, unknown>) => ({ ...t, comm: comm(String(t['comm'] ?? '')), argv: [] }));
  });

  const process = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(process);
    if (typeof value !== 'object' || value === null) return value;
    const p = { ...(value as Record<string, unknown>) };
    const name = comm(String(p['comm'] ?? ''));
    for (const key of ['comm', 'cmdline', 'exe']) if (typeof p[key] === 'string' && p[key] !== '') p[key] = key === 'exe' ? `/${name}` : name;
    for (const key of ['unit', 'container', 'cgroup']) if (typeof p[key] === 'string') p[key] = key === 'cgroup' ? `/${mapping.name('cgroup', p[key])}` : `${mapping.name(key, p[key])}${key === 'unit' ? '.service' : ''}`;
    return p;
  };
  const bpf = (value: unknown): unknown => JSON.parse(JSON.stringify(value), (key, v: unknown) => {
    if (typeof v === 'string' && ['path', 'cgroup', 'name'].includes(key) && v !== '') return key === 'name' ? mapping.name('program', v).slice(0, 15) : `/${mapping.name('path', v)}`;
    if (key === 'pinned' && Array.isArray(v)) return v.map((p) => `/${mapping.name('path', String(p))}`);
    return v;
  });

  const gone = (r: AnswerRecord, what: string): AnswerRecord => {
    count(what);
    return { ...r, body: { unavailable: 'missing', what: `reading ${r.question.topic}`, why: 'left out when the recording was redacted' } };
  };
  const answer = (r: AnswerRecord): AnswerRecord => {
    const asked: AnswerRecord = r.question.argument === undefined ? r : { ...r, question: { ...r.question, argument: text(r.question.argument) } };
    const { topic, argument } = r.question;
    if (typeof r.body === 'object' && 'unavailable' in r.body) return { ...asked, body: { ...r.body, what: text(r.body.what), why: text(r.body.why), ...(r.body.fix === undefined ? {} : { fix: text(r.body.fix) }) } };
    switch (topic) {
      case 'log-tail': case 'kernel-log':
        return gone(asked, `${topic}: logs are free text`);
      case 'sockets':
        if (argument === 'unix' || argument === 'packet' || typeof r.body === 'string') return gone(asked, `sockets ${argument ?? ''}: names of files`);
        return { ...asked, body: sockets(r.body) };
      case 'conntrack-table':
        return typeof r.body === 'string' ? gone(asked, topic) : { ...asked, body: conntrack(r.body) };
      case 'conntrack-stats':
        return asked;
      default:
        break;
    }
    if (typeof r.body !== 'string') return gone(asked, topic);
    switch (topic) {
      case 'process': case 'processes':
        return { ...asked, body: rewriteJson(r.body, process) };
      case 'bpf-programs':
        return { ...asked, body: rewriteJson(r.body, bpf) };
      case 'netns-names':
        return { ...asked, body: rewriteJson(r.body, (list) => (Array.isArray(list) ? list.map((n: Record<string, unknown>) => (typeof n['name'] === 'string' ? { ...n, name: mapping.name('netns', n['name']) } : n)) : [])) };
      case 'proc':
        return COUNTERS.has(argument ?? '') ? asked : gone(asked, `/proc/${argument ?? ''}: its addresses are in hexadecimal`);
      default:
        return { ...asked, body: text(r.body) };
    }
  };

  return {
    leftOut,
    record: (r) => {
      switch (r.record) {
        case 'host':
          return {
            ...r, hostname: mapping.name('host', r.hostname), bootId: '00000000-0000-0000-0000-000000000000',
            netns: r.netns.map((n) => (n.name === undefined ? n : { ...n, name: mapping.name('netns', n.name) })),
            netnsNames: r.netnsNames.map(([inode, name]) => [inode, mapping.name('netns', name)] as const),
          };
        case 'drop-sample': return { ...r, bytes: drop(r.bytes) };
        case 'call': return { ...r, bytes: call(r.bytes) };
        case 'exec': return { ...r, bytes: exec(r.bytes) };
        case 'netlink': return { ...r, bytes: conntrack(r.bytes) };
        case 'trace-page': return { ...r, bytes: page(r.bytes), ...(r.tasks === undefined ? {} : { tasks: tasks(r.tasks) }) };
        case 'answer': return answer(r);
        case 'missed': return { ...r, text: text(r.source === 'clock' ? clockNote(r.text, mapping) : r.text) };
        case 'probe': return r.unavailable === undefined ? r : { ...r, unavailable: { ...r.unavailable, what: text(r.unavailable.what), why: text(r.unavailable.why) } };
        case 'symbols': case 'drop-counts': case 'call-counts': case 'tick': return r;
      }
    },
  };
}

const NFNL_SUBSYS_CTNETLINK = 1, NLMSG_DONE = 3, SOCK_DIAG_BY_FAMILY = 20, INET_MSG = 72;
/** CTA_TUPLE_ORIG, _REPLY, _MASTER. */
const TUPLES: ReadonlySet<number> = new Set([1, 2, 14]);
/** Attributes of an entry that hold numbers or the kernel's own words: status, protocol state, helper, time-out, mark, counters, use, id, zone, time stamps, synproxy. */
const PLAIN: ReadonlySet<number> = new Set([3, 4, 5, 7, 8, 9, 10, 11, 12, 15, 16, 18, 20, 24]);
/** INET_DIAG_*: memory, congestion names, tos, class, skmeminfo, shutdown, protocol, v6only, mark, class id, cgroup id. */
const SOCKET_NUMBERS: ReadonlySet<number> = new Set([1, 4, 5, 6, 7, 8, 10, 11, 15, 17, 21]);

function rewriteJson(text: string, change: (value: unknown) => unknown): string {
  try {
    return JSON.stringify(change(JSON.parse(text)));
  } catch {
    return '[]'; // it was no JSON: nothing of it is kept
  }
}

/** What merge says of a host's clock begins with the names of two, which may be too short to be replaced wherever they stand. */
const clockNote = (text: string, mapping: Mapping): string =>
  text.replace(/^(\S+) on the time line of (\S+): /, (_, other: string, first: string) => `${mapping.name('host', other)} on the time line of ${mapping.name('host', first)}: `)
    .replace(/; reckoned through (.+)$/, (_, through: string) => `; reckoned through ${through.split(', ').map((name) => mapping.name('host', name)).join(', ')}`);

/** Names that the records give away, with what they are names of. */
export function namesOfRecords(records: readonly RawRecord[]): Map<string, string> {
  const names = new Map<string, string>();
  const found = (kind: string, name: string): void => {
    if (!names.has(name)) names.set(name, kind);
  };
  for (const r of records) {
    if (r.record === 'host') {
      found('host', r.hostname);
      for (const name of hostnamesOf(r.hostname)) found('host', name);
      for (const [, name] of r.netnsNames) {
        found('netns', name);
        // of a merged recording: `host:namespace`
        const own = hostnamesOf(r.hostname).length > 1 ? /:((?!host$|net:\[).+)$/.exec(name)?.[1] : undefined;
        if (own !== undefined) found('netns', own);
      }
      for (const { name } of r.netns) if (name !== undefined) found('netns', name);
    } else if (r.record === 'answer' && typeof r.body === 'string') {
      if (r.question.topic === 'process' || r.question.topic === 'processes') for (const m of r.body.matchAll(/"(unit|container)":"([^"\\]+)"/g)) found(m[1]!, m[2]!);
      else if (r.question.topic === 'netns-names') for (const m of r.body.matchAll(/"name":\s*"([^"\\]+)"/g)) found('netns', m[1]!);
      else namesIn(r.body, found);
    } else if (r.record === 'drop-sample' && r.bytes.length >= DROP.size) {
      const name = cString(r.bytes, DROP.device, 16);
      if (!isGenericDevice(name)) found('device', name);
    }
  }
  return names;
}
