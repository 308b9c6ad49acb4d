import { cString, Cursor, slice } from '../base/bytes.ts';

/**
 * trace-cmd's trace.dat, versions 6 and 7 (trace-cmd.dat.v6(5), trace-cmd.dat.v7(5)): event formats, symbols, names of
 * tasks, and the pages of the kernel's ring buffers as they were. Big-endian files are not read.
 */
export interface TraceDat {
  readonly status: 'complete' | 'cut' | 'not-trace-dat' | 'unsupported';
  /** Why it is not complete. */
  readonly why?: string;
  readonly version: number;
  /** `system/event` and `header_page`, `header_event`: as the `format` files have them. */
  readonly formats: Readonly<Record<string, string>>;
  readonly kallsyms: string;
  /** Names by thread id. */
  readonly tasks: ReadonlyMap<number, string>;
  /** `mono`, `local`…; empty where the file does not say. */
  readonly clock: string;
  /** As uname(2): `Linux host 6.1.0 …`; empty where the file does not say. */
  readonly uname: string;
  /** `buffer`: the name of the instance (`trace-cmd record -B`); empty for the main one. */
  readonly cpus: readonly { readonly cpu: number; readonly buffer: string; readonly pages: readonly Uint8Array[] }[];
}

/** `zlib` or `zstd`: bytes back to `size` bytes; undefined when it cannot. */
export type Inflate = (algorithm: string, bytes: Uint8Array, size: number) => Uint8Array | undefined;

const MAGIC = '\u0017\u0008\u0044tracing';
const OPTION = { done: 0, buffer: 3, clock: 4, uname: 5, header: 16, ftrace: 17, events: 18, kallsyms: 19, cmdlines: 21 } as const;
/** Counts beyond these are not believed. */
const MOST_EVENTS = 100_000, MOST_CPUS = 8192, MOST_OPTIONS = 10_000, LARGEST_CHUNK = 64 << 20;

export const isTraceDat = (bytes: Uint8Array): boolean => cString(bytes, 0, MAGIC.length) === MAGIC;

interface Reading {
  readonly formats: Record<string, string>;
  readonly tasks: Map<number, string>;
  readonly cpus: { cpu: number; buffer: string; pages: readonly Uint8Array[] }[];
  kallsyms: string;
  clock: string;
  uname: string;
  why: string | undefined;
}

export function decodeTraceDat(bytes: Uint8Array, inflate: Inflate): TraceDat {
  const r: Reading = { formats: {}, tasks: new Map(), cpus: [], kallsyms: '', clock: '', uname: '', why: undefined };
  if (!isTraceDat(bytes)) return { ...r, status: 'not-trace-dat', version: 0, why: 'it does not begin as trace.dat does' };
  const c = new Cursor(bytes, MAGIC.length);
  const version = Number(text(c));
  const bigEndian = c.u8() !== 0;
  c.u8(); // bytes of a long
  const pageSize = c.u32();
  const done = (status: TraceDat['status']): TraceDat => ({ status, version, ...(r.why === undefined ? {} : { why: r.why }), formats: r.formats, kallsyms: r.kallsyms, tasks: r.tasks, clock: r.clock, uname: r.uname, cpus: r.cpus });
  if ((version !== 6 && version !== 7) || bigEndian || pageSize < 512 || pageSize > 1 << 24) {
    r.why = bigEndian ? 'it is of a big-endian machine' : `it is of version ${version}`;
    return done('unsupported');
  }
  if (version === 6) readSix(c, r, pageSize);
  else readSeven(c, r, inflate);
  if (c.short) r.why ??= 'it ends in the middle';
  return done(r.why === undefined ? 'complete' : 'cut');
}

function text(c: Cursor): string {
  const found = cString(c.bytes, c.at, Math.min(c.left, 4096));
  c.skip(Math.min(c.left, new TextEncoder().encode(found).length + 1));
  return found;
}

function sized(c: Cursor, wide: boolean): Uint8Array {
  const size = wide ? c.u64() : BigInt(c.u32());
  return size > BigInt(c.left) ? (c.skip(c.left + 1), slice(c.bytes, 0, 0)) : c.take(Number(size));
}

const utf8 = new TextDecoder('utf-8');

function headers(c: Cursor, r: Reading): void {
  for (let i = 0; i < 2; i++) {
    const name = text(c);
    const body = utf8.decode(sized(c, true));
    if (name === 'header_page' || name === 'header_event') r.formats[name] = body;
  }
}

function add(r: Reading, system: string, format: string): void {
  const name = /^name:[ \t]*(\S+)/m.exec(format)?.[1];
  if (name !== undefined) r.formats[`${system}/${name}`] = format;
}

function ftraceEvents(c: Cursor, r: Reading): void {
  const count = Math.min(c.u32(), MOST_EVENTS);
  for (let i = 0; i < count && !c.short; i++) add(r, 'ftrace', utf8.decode(sized(c, true)));
}

function eventFormats(c: Cursor, r: Reading): void {
  const systems = Math.min(c.u32(), MOST_EVENTS);
  for (let s = 0; s < systems && !c.short; s++) {
    const system = text(c);
    const count = Math.min(c.u32(), MOST_EVENTS);
    for (let i = 0; i < count && !c.short; i++) add(r, system, utf8.decode(sized(c, true)));
  }
}

/** `1234 comm`, a line a thread. */
function cmdlines(body: Uint8Array, r: Reading): void {
  for (const line of utf8.decode(body).split('\n')) {
    const m = /^(\d{1,10}) (.{1,64})$/.exec(line);
    if (m !== null) r.tasks.set(Number(m[1]), m[2]!);
  }
}

function option(id: number, body: Uint8Array, r: Reading): void {
  const words = utf8.decode(body).replace(/\0+$/, '');
  // the list of clocks with the one in use in brackets
  if (id === OPTION.clock) r.clock = /\[([\w-]+)\]/.exec(words)?.[1] ?? words.trim();
  else if (id === OPTION.uname) r.uname = words;
}

function pagesOf(data: Uint8Array, pageSize: number): Uint8Array[] {
  const pages: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += pageSize) pages.push(data.subarray(at, Math.min(data.length, at + pageSize)));
  return pages;
}

function range(bytes: Uint8Array, offset: bigint, size: bigint, r: Reading): Uint8Array {
  if (offset + size > BigInt(bytes.length)) r.why ??= 'it ends before its pages do';
  return offset >= BigInt(bytes.length) ? slice(bytes, 0, 0) : slice(bytes, Number(offset), Number(offset + size > BigInt(bytes.length) ? BigInt(bytes.length) : offset + size));
}

function readSix(c: Cursor, r: Reading, pageSize: number): void {
  headers(c, r);
  ftraceEvents(c, r);
  eventFormats(c, r);
  r.kallsyms = utf8.decode(sized(c, false));
  sized(c, false); // formats of trace_printk
  cmdlines(sized(c, true), r);
  const cpus = Math.min(c.u32(), MOST_CPUS);
  const instances: { readonly name: string; readonly at: bigint }[] = [];
  let section = text(c);
  if (section === 'options  ') {
    for (let i = 0; i < MOST_OPTIONS && !c.short; i++) {
      const id = c.u16();
      if (id === OPTION.done) break;
      const body = sized(c, false);
      if (id === OPTION.buffer) {
        const o = new Cursor(body);
        const at = o.u64();
        instances.push({ at, name: text(o) });
      } else option(id, body, r);
    }
    section = text(c);
  }
  if (section !== 'flyrecord') {
    r.why = c.short ? undefined : `it holds no pages (${section.trim() === 'latency' ? 'a latency trace is text' : 'its data was not written'})`;
    return;
  }
  const pages = (from: Cursor, buffer: string): void => {
    const places = Array.from({ length: cpus }, () => ({ offset: from.u64(), size: from.u64() }));
    places.forEach(({ offset, size }, cpu) => {
      if (!from.short && (buffer === '' || size > 0n)) r.cpus.push({ cpu, buffer, pages: pagesOf(range(c.bytes, offset, size, r), pageSize) });
    });
  };
  pages(c, '');
  for (const { name, at } of instances) {
    const from = new Cursor(c.bytes, at > BigInt(c.bytes.length) ? -1 : Number(at));
    if (text(from) === 'flyrecord') pages(from, name);
    else r.why ??= `the pages of its buffer ${name} could not be found`;
  }
}

function readSeven(c: Cursor, r: Reading, inflate: Inflate): void {
  const algorithm = text(c);
  text(c); // its version
  /** The body of a section, in plain. */
  const section = (offset: bigint): Cursor | undefined => {
    const s = new Cursor(c.bytes, offset > BigInt(c.bytes.length) ? -1 : Number(offset));
    s.u16();
    const flags = s.u16();
    s.u32(); // its description
    const size = s.u64();
    if (s.short || size > BigInt(s.left)) {
      r.why ??= 'a section reaches past its end';
      return undefined;
    }
    const body = s.take(Number(size));
    const plain = (flags & 1) === 0 ? body : block(new Cursor(body), algorithm, inflate);
    if (plain === undefined) r.why ??= `a section is packed with ${algorithm}, which cannot be read here`;
    return plain === undefined ? undefined : new Cursor(plain);
  };
  let next = c.u64();
  for (let round = 0; round < MOST_OPTIONS && next !== 0n; round++) {
    const options = section(next);
    next = 0n;
    for (let i = 0; options !== undefined && options.left >= 6 && i < MOST_OPTIONS; i++) {
      const id = options.u16();
      const body = sized(options, false);
      const o = new Cursor(body);
      if (id === OPTION.done) {
        next = body.length >= 8 ? o.u64() : 0n;
        break;
      }
      if (id === OPTION.buffer) buffer(o, c.bytes, algorithm, inflate, r);
      else if (id >= OPTION.header && id <= OPTION.cmdlines) {
        const s = section(o.u64());
        if (s === undefined) continue;
        switch (id) {
          case OPTION.header: headers(s, r); break;
          case OPTION.ftrace: ftraceEvents(s, r); break;
          case OPTION.events: eventFormats(s, r); break;
          case OPTION.kallsyms: r.kallsyms = utf8.decode(sized(s, false)); break;
          case OPTION.cmdlines: cmdlines(sized(s, true), r); break;
          default: break;
        }
        if (s.short) r.why ??= 'a section ends in the middle';
      } else option(id, body, r);
    }
  }
}

/** The main buffer and those of instances: name, clock, page size, then where each CPU's pages are. */
function buffer(o: Cursor, bytes: Uint8Array, algorithm: string, inflate: Inflate, r: Reading): void {
  const at = o.u64();
  const name = text(o);
  const clock = text(o);
  if (clock !== '') r.clock = clock;
  const pageSize = o.u32();
  const cpus = Math.min(o.u32(), MOST_CPUS);
  if (o.short || pageSize < 512 || pageSize > 1 << 24 || at >= BigInt(bytes.length)) {
    r.why ??= 'a buffer could not be read';
    return;
  }
  const packed = ((bytes[Number(at) + 2] ?? 0) & 1) === 1;
  for (let i = 0; i < cpus; i++) {
    const cpu = o.u32();
    const offset = o.u64(), size = o.u64();
    if (o.short) {
      r.why ??= 'a buffer could not be read';
      return;
    }
    const raw = range(bytes, offset, packed && size > 0n ? size + 4n : size, r); // the count of chunks is not in the size
    const pages = packed && raw.length > 0 ? packedPages(raw, algorithm, inflate, pageSize, r) : pagesOf(raw, pageSize);
    if (pages.length > 0) r.cpus.push({ cpu, buffer: name, pages });
  }
}

/** u32 packed size, u32 plain size, bytes. */
function block(c: Cursor, algorithm: string, inflate: Inflate): Uint8Array | undefined {
  const packed = c.u32(), plain = c.u32();
  return c.short || packed > c.left || plain > LARGEST_CHUNK ? undefined : inflate(algorithm, c.take(packed), plain);
}

/** Pages are packed in chunks: u32 count, then so many blocks. */
function packedPages(body: Uint8Array, algorithm: string, inflate: Inflate, pageSize: number, r: Reading): Uint8Array[] {
  const c = new Cursor(body);
  const count = c.u32();
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count && !c.short; i++) {
    const part = block(c, algorithm, inflate);
    if (part === undefined) {
      // what was unpacked before stays
      r.why ??= i === 0 ? `the pages are packed with ${algorithm}, which cannot be read here` : 'pages in its middle are damaged';
      break;
    }
    parts.push(part);
  }
  // trace-cmd packs some whole pages at a time: they are joined only where a page is cut, for joining takes as long as unpacking
  return parts.every((part, i) => part.length % pageSize === 0 || i === parts.length - 1) ? parts.flatMap((part) => pagesOf(part, pageSize)) : pagesOf(joined(parts), pageSize);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
