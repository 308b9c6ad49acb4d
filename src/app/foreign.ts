import { inflateSync, zstdDecompressSync } from 'node:zlib';
import { mono, netnsInode } from '../base/brand.ts';
import { parseEventFormat } from '../formats/event-format.ts';
import { parseHeaderPage } from '../formats/header-page.ts';
import { decodeTraceDat, isTraceDat, type Inflate, type TraceDat } from '../formats/trace-dat.ts';
import type { HostRecord, RawRecord } from '../model/record.ts';

/** What another tool recorded, as our own records; `lacks` says what it cannot tell. */
export interface Foreign {
  readonly kind: string;
  readonly records: readonly RawRecord[];
  readonly lacks: readonly string[];
  /** Kinds of events that it holds and that are not used. */
  readonly unused: readonly string[];
}

/** Events of a foreign trace that we decode. */
const USED = /^(?:skb\/kfree_skb|ftrace\/kernel_stack|sched\/sched_process_exec|syscalls\/sys_exit_\w+|header_page|header_event)$/;

/** trace-cmd's trace.dat (6, 7) as records; undefined for other bytes. */
export function recogniseForeign(bytes: Uint8Array): Foreign | undefined {
  if (!isTraceDat(bytes)) return undefined;
  const dat = decodeTraceDat(bytes, inflate);
  return foreignOf(dat, dat.cpus);
}

/** The same for each buffer alone (`trace-cmd record -B`): one event may be in several. The main one has no name. */
export function foreignBuffers(bytes: Uint8Array): readonly { readonly buffer: string; readonly foreign: Foreign }[] {
  const dat = decodeTraceDat(bytes, inflate);
  const buffers = [...new Set(dat.cpus.filter((c) => c.pages.length > 0).map((c) => c.buffer))];
  return (buffers.length === 0 ? [''] : buffers).map((buffer) => ({ buffer, foreign: foreignOf(dat, dat.cpus.filter((c) => c.buffer === buffer)) }));
}

function foreignOf(dat: TraceDat, cpus: TraceDat['cpus']): Foreign {
  const formats = Object.fromEntries(Object.entries(dat.formats).filter(([key]) => USED.test(key)));
  const { layout } = parseHeaderPage(formats['header_page'] ?? '', formats['header_event']);
  const pages = cpus.flatMap(({ cpu, pages: list }) => list.flatMap((page) => {
    const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
    return page.length < layout.data ? [] : [{ cpu, page, time: mono(view.getBigUint64(layout.timestamp, true)) }];
  })).sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  const first = pages[0]?.time ?? mono(0n);
  const last = pages.at(-1)?.time ?? first;
  const [, hostname = '', release = ''] = dat.uname.split(/\s+/);
  const nowhere = netnsInode(0);
  const host: HostRecord = {
    record: 'host', time: first, kernel: release, machine: '', hostname, cpus: Math.max(1, dat.cpus.length), bootId: '', realtimeOffset: 0n,
    dropReasons: [...(parseEventFormat(formats['skb/kfree_skb'] ?? '').names.get('reason') ?? [])], syscalls: [], formats, netns: [], namespaces: 1, home: nowhere, netnsNames: [],
  };
  const tasks = JSON.stringify([...dat.tasks].map(([tid, comm]) => ({ tid, pid: tid, parent: 0, uid: 0, netns: 0, comm, argv: [] })));
  const buffers = new Set(cpus.map((c) => c.buffer));
  const lacks = [
    ...(dat.status === 'complete' ? [] : [`trace.dat: ${dat.why ?? dat.status}`]),
    ...(buffers.size > 1 ? [`it holds ${buffers.size} buffers: an event that several of them took counts once for each`] : []),
    ...(formats['skb/kfree_skb'] === undefined ? ['it holds no format of skb:kfree_skb: record with -e skb:kfree_skb -T'] : []),
    ...(dat.kallsyms === '' ? ['it holds no symbols: places are bare addresses'] : []),
    'no packet heads, flows, sockets or namespaces; no rules, routes and counters: causes that need them cannot be told',
    ...(dat.clock === 'mono' || dat.clock === '' ? ['its times are since boot, not wall times'] : [`its clock is ${dat.clock}: times are not wall times`]),
  ];
  const records: RawRecord[] = [host];
  if (dat.kallsyms !== '') records.push({ record: 'symbols', time: first, text: dat.kallsyms });
  for (const text of lacks) records.push({ record: 'missed', time: first, source: 'trace.dat', count: 0, text });
  for (const { cpu, page, time } of pages) records.push({ record: 'trace-page', time, cpu, bytes: page, tasks });
  records.push({ record: 'tick', time: mono(last + 1n), last: true });
  const unused = Object.keys(dat.formats).filter((key) => !USED.test(key) && !key.startsWith('ftrace/'));
  return { kind: `trace.dat version ${dat.version}`, records, lacks, unused };
}

const inflate: Inflate = (algorithm, bytes, size) => {
  // in one piece as a rule: the size is told
  const options = { maxOutputLength: size + 1, chunkSize: Math.max(64, Math.min(size + 1, 8 << 20)) };
  try {
    if (algorithm === 'zlib') return inflateSync(bytes, options);
    return algorithm === 'zstd' ? zstdDecompressSync(bytes, options) : undefined;
  } catch {
    return undefined; // damaged, or more than it says: the decoder tells
  }
};
