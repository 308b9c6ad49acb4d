import type { EvidenceRecord, Frame, Reading, TraceRecord } from './evidence-record.ts';

/**
 * Text of ftrace (`trace`, `trace_pipe`), of `trace-cmd report` and of `perf script`. One line an event:
 * `comm-tid [cpu] flags time: event: fields`; the flags came with 3.0. A stack follows as `<stack trace>` and ` => name`
 * lines (innermost first), perf's as `\taddress name+0x12 ([kernel.kallsyms])`. Kernel: kernel/trace/trace_output.c. perf
 * prints what `-F` asks for: each of comm, pid, cpu, time, period may be missing; with --reltime and --deltatime its times
 * begin at 0 and only their order is used. `perf trace` prints events in brackets.
 */
export function readFtrace(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  const perf: PerfText = { fromZero: undefined };
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
      // perf goes on with the frames of the program
      if (frame.address !== 0n && open!.stack.length < MOST_FRAMES) open!.stack.push(frame);
      taken.push(i);
      continue;
    }
    const lost = LOST.exec(text);
    if (lost !== null) {
      taken.push(i);
      records.push({ kind: 'trace-loss', line: i + 1, lost: Number(lost[1] ?? lost[2]) });
      continue;
    }
    const release = PERF_HEADER.exec(text);
    if (release !== null) {
      taken.push(i);
      if (release[1] !== undefined) records.push({ kind: 'kernel', line: i + 1, release: release[1] });
      continue;
    }
    const event = eventLine(text, i + 1) ?? perfLine(text, i + 1, perf);
    if (event === undefined) continue;
    taken.push(i);
    if (event.event === '<stack trace>') {
      // its frames belong to the event before
      const first = frameLine(event.text.replace(/^kernel_stack:\s+/, ''));
      if (first !== undefined) open?.stack.push(first);
      continue;
    }
    close();
    open = { record: event, stack: [] };
  }
  close();
  // only comments of a trace are no trace
  return !records.some((r) => r.kind !== 'kernel') ? { records, taken: taken.some((i) => lines[i]!.startsWith('# tracer')) ? taken : [] } : { records, taken };
}

const LONGEST = 8192;
const MOST_FRAMES = 128;
const HEADER = /^#(?: tracer: |$|\s+(?:entries-in-buffer|TASK-PID|\| \|)|\s{8,}[_/|])|^CPU:?\d+ is empty$|^cpus=\d+$|^CPU \d+ buffer started|^##### CPU \d+ buffer started/;
const STATS = /^(entries|overrun|commit overrun|bytes|oldest event ts|now ts|dropped events|read events):\s+(\d{1,15})(?:\.\d+)?$/;
/** `trace-cmd report` puts the instance in front: `drops:   curl-412`. */
const FTRACE = /^(?:[\w.-]{1,64}:\s+)?\s*(\S.{0,31}?)-(\d{1,10}|x+)\s+(?:\(\s*[-\d]+\)\s+)?\[(\d{1,5})\]\s+(?:(\S{4,8})\s+)?(\d{1,12})\.(\d{1,9}):\s+(<stack trace>|kernel_stack:\s+(?:<stack trace>|=> \S.*)|[\w.]+:\s*.*)$/;
const PERF_FULL = /^\s*(\S.{0,31}?)\s+(\d{1,10})(?:\/\d+)?\s+\[(\d{1,5})\]\s+(?:\S{4,8}\s+)?(\d{1,12})\.(\d{1,9}):\s+(?:\w+:)?(\w+:\s*.*)$/;
/** `perf script -F`: any of comm, pid/tid, cpu, time, period, then the event with its system. */
const PERF_ANY = /^\s*(?:(?!\d{1,12}\.\d{6}|\d{1,10}\s|\[\d)(\S.{0,31}?)\s+)?(?:(\d{1,10})(?:\/\d{1,10})?\s+)?(?:\[(\d{1,5})\]\s+)?(?:(\d{1,12})\.(\d{6}|\d{9}):\s+)?(?:\d{1,19}\s+)?(?:skb|net|sched|syscalls|raw_syscalls|probe|tcp|sock|napi|irq):(\w+:\s*.*)$/;
/** `perf trace`: ms since it began, comm/tid, fields in brackets. */
const PERF_TRACE = /^\s*\d{1,10}\.\d{3} (?:\([^)]*\): )?(\S.{0,31}?)\/(\d{1,10}) (?:skb|net|sched|tcp|sock|napi):(\w+)\((.*)\)$/;
const PERF_TRACE_FRAME = /^\s{30,48}(\S+) \(([^)]*)\)$/;
/** Where the kernel half of the address space begins. */
const KERNEL_HALF = 1n << 63n;
const PERF_HEADER = /^# (?:=+|os release : (\S+)|(?:captured on|hostname|perf version|\w+ info available|arch|nrcpus online|nrcpus avail|cpudesc|cpuid|total memory|cmdline|event|sibling|CPU \d|node\d|pmu mappings|CPU cache|missing features|sample duration|MEM_TOPOLOGY|header version|data offset|data size|feat offset|caps|time of (?:first|last) sample|cpu pmu capabilities|bpf_prog_info|directory data version|contains|CPUID|clock(?:id|_data)|compressed|stat data|memory nodes).*)\s*$/;
const LOST = /\bPERF_RECORD_LOST(?:_SAMPLES)? lost (\d{1,15})\b|^LOST (\d{1,15}) events!/;
const PROBE = /^\(([^)]*)\)\s*(.*)$/;

function eventLine(text: string, line: number): TraceRecord | undefined {
  const m = FTRACE.exec(text);
  if (m === null) return undefined;
  const [, comm, tid, cpu, flags, seconds, rest, body] = m;
  const time = nsOf(seconds!, rest!);
  const head = { kind: 'trace' as const, line, comm: comm!, cpu: Number(cpu), time, text: body!, stack: [], ...(/^\d+$/.test(tid!) ? { tid: Number(tid) } : {}), ...(flags === undefined ? {} : { flags }) };
  if (body === '<stack trace>' || /^kernel_stack:\s+(?:<stack trace>|=> )/.test(body!)) return { ...head, event: '<stack trace>', fields: new Map() };
  return { ...head, ...bodyOf(body!) };
}

const nsOf = (seconds: string, rest: string): bigint => BigInt(seconds) * 1_000_000_000n + BigInt(rest.padEnd(9, '0').slice(0, 9));

/** Whether the first time of a perf text is 0: then its times do not count since boot. */
interface PerfText {
  fromZero: boolean | undefined;
}

function perfLine(text: string, line: number, perf: PerfText): TraceRecord | undefined {
  const traced = PERF_TRACE.exec(text);
  if (traced !== null) {
    const body = `${traced[3]!}: ${traced[4]!.replaceAll(',', '')}`;
    return { kind: 'trace', line, comm: /^:\d+$/.test(traced[1]!) ? '<...>' : traced[1]!, cpu: 0, tid: Number(traced[2]), time: BigInt(line), keeps: 'order', text: body, stack: [], ...bodyOf(body) };
  }
  const m = PERF_FULL.exec(text) ?? PERF_ANY.exec(text);
  if (m === null || (m[2] === undefined && m[3] === undefined && m[4] === undefined)) return undefined;
  const [, comm, pid, cpu, seconds, rest, body] = m;
  const time = seconds === undefined ? undefined : nsOf(seconds, rest!);
  if (time !== undefined) perf.fromZero ??= time === 0n;
  return {
    kind: 'trace', line, comm: comm ?? '<...>', cpu: Number(cpu ?? 0), ...(pid === undefined ? {} : { tid: Number(pid) }), text: body!, stack: [],
    ...(time === undefined || perf.fromZero === true ? { time: BigInt(line), keeps: 'order' } : { time }), ...bodyOf(body!),
  };
}

function bodyOf(body: string): Pick<TraceRecord, 'event' | 'fields' | 'at' | 'caller'> {
  const colon = body.indexOf(':');
  const event = body.slice(0, colon);
  const words = body.slice(colon + 1).trim();
  const probe = PROBE.exec(words);
  const [here, from] = (probe?.[1] ?? '').split(/\s+<-\s+/);
  const at = probe === null ? undefined : symbolFrame((from ?? here ?? '').trim());
  const caller = from === undefined ? undefined : symbolFrame(here!.trim());
  return { event, fields: fieldsOf(probe === null ? words : probe[2]!), ...(at === undefined ? {} : { at }), ...(caller === undefined ? {} : { caller }) };
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

const ARROW = /^[ \t]?=>\s+(\S.*)$/;
/** A frame of user space: read, and no part of the kernel's stack. */
const PROGRAM: Frame = { address: 0n };
const PERF_FRAME = /^\t\s*([0-9a-f]{1,16})(?: (\S+)(?: \(([^)]*)\))?)?$/;

function frameLine(text: string): Frame | undefined {
  const arrow = ARROW.exec(text);
  if (arrow !== null) return symbolFrame(arrow[1]!.trim());
  const traced = PERF_TRACE_FRAME.exec(text);
  if (traced !== null) return traced[2]!.startsWith('[kernel') || /^\[\w+\]$/.test(traced[2]!) && traced[2] !== '[unknown]' ? symbolFrame(traced[1]!) : PROGRAM;
  const perf = PERF_FRAME.exec(text);
  if (perf === null) return undefined;
  if (BigInt(`0x${perf[1]}`) < KERNEL_HALF) return PROGRAM;
  const frame = perf[2] === undefined ? undefined : symbolFrame(perf[2]);
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
