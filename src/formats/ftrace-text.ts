import type { EvidenceRecord, Frame, Reading, TraceRecord } from './evidence-record.ts';

/**
 * Text of ftrace (`trace`, `trace_pipe`), of `trace-cmd report` and of `perf script`. One line an event:
 * `comm-tid [cpu] flags time: event: fields`; the flags came with 3.0. A stack follows as `<stack trace>` and ` => name`
 * lines (innermost first), perf's as `\taddress name+0x12 ([kernel.kallsyms])`. Kernel: kernel/trace/trace_output.c.
 */
export function readFtrace(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  let open: { record: TraceRecord; stack: Frame[] } | undefined;
  const close = (): void => {
    if (open !== undefined) records.push({ ...open.record, stack: open.stack });
    open = undefined;
  };
  for (let i = 0; i < lines.length; i++) {
    const text = lines[i]!;
    if (text === '' || text.length > LONGEST) continue;
    if (HEADER.test(text)) {
      const written = /entries-in-buffer\/entries-written: (\d{1,15})\/(\d{1,15})/.exec(text);
      if (written !== null) records.push({ kind: 'trace-loss', line: i + 1, lost: Math.max(0, Number(written[2]) - Number(written[1])) });
      taken.push(i);
      continue;
    }
    const stats = STATS.exec(text);
    if (stats !== null) {
      taken.push(i);
      if (stats[1] === 'overrun' || stats[1] === 'dropped events') records.push({ kind: 'trace-loss', line: i + 1, lost: Number(stats[2]) });
      continue;
    }
    const frame = open === undefined ? undefined : frameLine(text);
    if (frame !== undefined) {
      if (open!.stack.length < MOST_FRAMES) open!.stack.push(frame);
      taken.push(i);
      continue;
    }
    const event = eventLine(text, i + 1);
    if (event === undefined) continue;
    taken.push(i);
    if (event.event === '<stack trace>') continue; // its frames belong to the event before
    close();
    open = { record: event, stack: [] };
  }
  close();
  // only comments of a trace are no trace
  return records.length === 0 ? { records, taken: taken.some((i) => lines[i]!.startsWith('# tracer')) ? taken : [] } : { records, taken };
}

const LONGEST = 8192;
const MOST_FRAMES = 128;
const HEADER = /^#(?: tracer: |$|\s+(?:entries-in-buffer|TASK-PID|\| \|)|\s{8,}[_/|])|^CPU:?\d+ is empty$|^cpus=\d+$|^CPU \d+ buffer started|^##### CPU \d+ buffer started/;
const STATS = /^(entries|overrun|commit overrun|bytes|oldest event ts|now ts|dropped events|read events):\s+(\d{1,15})(?:\.\d+)?$/;
const FTRACE = /^\s*(\S.{0,31}?)-(\d{1,10}|x+)\s+(?:\(\s*[-\d]+\)\s+)?\[(\d{1,5})\]\s+(?:(\S{4,8})\s+)?(\d{1,12})\.(\d{1,9}):\s+(<stack trace>|[\w.]+:\s*.*)$/;
const PERF = /^\s*(\S.{0,31}?)\s+(\d{1,10})(?:\/\d+)?\s+\[(\d{1,5})\]\s+(?:(\S{4,8})\s+)?(\d{1,12})\.(\d{1,9}):\s+(?:\w+:)?(\w+:\s*.*)$/;
const PROBE = /^\(([^)]*)\)\s*(.*)$/;

function eventLine(text: string, line: number): TraceRecord | undefined {
  const m = FTRACE.exec(text) ?? PERF.exec(text);
  if (m === null) return undefined;
  const [, comm, tid, cpu, flags, seconds, rest, body] = m;
  const time = BigInt(seconds!) * 1_000_000_000n + BigInt(rest!.padEnd(9, '0').slice(0, 9));
  const head = { kind: 'trace' as const, line, comm: comm!, cpu: Number(cpu), time, text: body!, stack: [], ...(/^\d+$/.test(tid!) ? { tid: Number(tid) } : {}), ...(flags === undefined ? {} : { flags }) };
  if (body === '<stack trace>') return { ...head, event: body, fields: new Map() };
  const colon = body!.indexOf(':');
  const event = body!.slice(0, colon);
  const words = body!.slice(colon + 1).trim();
  const probe = PROBE.exec(words);
  const [here, from] = (probe?.[1] ?? '').split(/\s+<-\s+/);
  const at = probe === null ? undefined : symbolFrame((from ?? here ?? '').trim());
  const caller = from === undefined ? undefined : symbolFrame(here!.trim());
  return { ...head, event, fields: fieldsOf(probe === null ? words : probe[2]!), ...(at === undefined ? {} : { at }), ...(caller === undefined ? {} : { caller }) };
}

const FIELD = /([A-Za-z_]\w*)(?:=|: )(?:"([^"]*)"|(\S+))/g;

function fieldsOf(words: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const m of words.matchAll(FIELD)) fields.set(m[1]!, m[2] ?? m[3]!);
  const exit = /^NR (-?\d+) = (-?\d+)$/.exec(words);
  if (exit !== null) fields.set('NR', exit[1]!).set('ret', exit[2]!);
  const named = /^sys_(\w+) -> (0x[0-9a-f]+)$/.exec(words);
  if (named !== null) fields.set('syscall', named[1]!).set('ret', BigInt.asIntN(64, BigInt(named[2]!)).toString());
  return fields;
}

const ARROW = /^ ?=>\s+(\S.*)$/;
const PERF_FRAME = /^\s+([0-9a-f]{8,16}) (\S+)(?: \(([^)]*)\))?$/;

function frameLine(text: string): Frame | undefined {
  const arrow = ARROW.exec(text);
  if (arrow !== null) return symbolFrame(arrow[1]!.trim());
  const perf = PERF_FRAME.exec(text);
  if (perf === null) return undefined;
  const frame = symbolFrame(perf[2]!);
  return { ...frame, address: BigInt(`0x${perf[1]}`), ...(perf[3]?.startsWith('[') === true && !perf[3].startsWith('[kernel') ? { module: perf[3].slice(1, -1) } : {}) };
}

const SYMBOL = /^([A-Za-z_$][\w.$]*)(?:\+0x([0-9a-f]{1,8})(?:\/0x[0-9a-f]+)?)?(?:\s+\[([\w-]+)\])?(?:\s+<([0-9a-f]{8,16})>)?$/;

/** `nf_hook_slow+0xa4/0x110 [module]`, a name alone, or an address. */
export function symbolFrame(text: string): Frame | undefined {
  const bare = /^(?:0x)?([0-9a-f]{8,16})$/.exec(text);
  if (bare !== null) return { address: BigInt(`0x${bare[1]}`) };
  const m = SYMBOL.exec(text);
  if (m === null) return undefined;
  return { name: m[1]!, ...(m[2] === undefined ? {} : { offset: Number.parseInt(m[2], 16) }), ...(m[3] === undefined ? {} : { module: m[3] }), ...(m[4] === undefined ? {} : { address: BigInt(`0x${m[4]}`) }) };
}

/** `%p` prints a hash of 32 bits instead of a pointer: good to tell two apart, no address. */
export const isHashed = (address: bigint): boolean => address !== 0n && address < 0x1_0000_0000n;

/** The event happened in softirq or hard interrupt context; undefined where the trace has no flags. */
export function inInterrupt(flags: string | undefined): boolean | undefined {
  return flags === undefined ? undefined : /[hHsZz]/.test(flags[2] ?? '.');
}
