/**
 * BTF, the kernel's own description of its types: /sys/kernel/btf/vmlinux, and on top of it /sys/kernel/btf/MODULE.
 * Documentation/bpf/btf.rst, include/uapi/linux/btf.h.
 *
 *     header  u16 magic 0xeb9f, u8 version, u8 flags, u32 header length, u32 type offset, length, u32 string offset, length
 *     type    u32 name, u32 info (vlen:16, kind:5 at bit 24, kind_flag at bit 31), u32 size or type, then what the kind needs
 *
 * The buffer is indexed once; everything else is looked up when it is asked for.
 */

export const KIND = { int: 1, ptr: 2, array: 3, struct: 4, union: 5, enum: 6, fwd: 7, typedef: 8, volatile: 9, const: 10, restrict: 11, func: 12, funcProto: 13, var: 14, datasec: 15, float: 16, declTag: 17, typeTag: 18, enum64: 19 } as const;

/** A member of a struct, counted from the start of the outermost. */
export interface Field {
  readonly bitOffset: number;
  /** Size of the bit field; 0: not one. */
  readonly bitSize: number;
  readonly type: number;
}

export type BtfStatus = 'complete' | 'not-btf' | 'cut' | 'unknown-kind';

export interface Btf {
  readonly status: BtfStatus;
  /** Highest type id plus one; ids of a split BTF go on where its base ends. */
  readonly end: number;
  /** Id of the type of that kind and name, undefined when there is none. */
  find(kind: number, name: string): number | undefined;
  /** `field('sk_buff', 'dev')`, `field('sock', '__sk_common.skc_net.net')`: through anonymous members and typedefs. */
  field(struct: string, path: string): Field | undefined;
  /** Byte size of a struct, undefined when it is not known. */
  size(struct: string): number | undefined;
  /** Names and values of an enum, in order; empty when there is none. */
  enumValues(name: string): readonly (readonly [name: string, value: number])[];
  /** Type ids of the arguments of a tracepoint (typedef btf_trace_NAME), without the leading `void *`. */
  tracepoint(name: string): { readonly typedef: number; readonly args: readonly ArgumentType[] } | undefined;
}

/** What an argument is: `struct sk_buff *` is {pointer: true, name: 'sk_buff'}; `enum skb_drop_reason` {pointer: false, name}. */
export interface ArgumentType {
  readonly pointer: boolean;
  readonly name: string;
}

/** Bytes behind the twelve that all have, by kind: so many, and so many for each of `vlen`. */
const EXTRA = new Uint8Array(32), EXTRA_EACH = new Uint8Array(32);
for (const kind of [KIND.int, KIND.var, KIND.declTag]) EXTRA[kind] = 4;
EXTRA[KIND.array] = 12;
for (const kind of [KIND.struct, KIND.union, KIND.datasec, KIND.enum64]) EXTRA_EACH[kind] = 12;
for (const kind of [KIND.enum, KIND.funcProto]) EXTRA_EACH[kind] = 8;
const MAX_DEPTH = 32;
/** Members looked at for one name, anonymous ones' included: a hostile blob may nest a struct in itself many times over. sk_buff has some 150. */
const MAX_MEMBERS = 20_000;

interface Index {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly offsets: Uint32Array;
  /** Types by the hash of their name's place: the last one plus one, and for each the one before it plus one; 0 is none. */
  readonly lastNamed: Uint32Array;
  readonly namedBefore: Uint32Array;
  readonly first: number;
  readonly stringAt: number;
  readonly stringLength: number;
  readonly firstString: number;
}

const PLACES = 1 << 16;
const placeOf = (name: number): number => (Math.imul(name, 0x9e3779b1) >>> 16) & (PLACES - 1);

const decoder = new TextDecoder('latin1');

/** Indexes a BTF blob. `base` is needed for the BTF of a module. */
export function parseBtf(bytes: Uint8Array, base?: Btf): Btf {
  const below = base === undefined ? undefined : internals.get(base);
  const first = base?.end ?? 1;
  const firstString = below === undefined ? 0 : below.firstString + below.stringLength;
  const index = indexTypes(bytes, first, firstString);
  return view(index.index, index.status, below === undefined ? [index.index] : [below, index.index]);
}

const internals = new WeakMap<Btf, Index>();

function indexTypes(bytes: Uint8Array, first: number, firstString: number): { index: Index; status: BtfStatus } {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const empty = (status: BtfStatus) => ({ index: { bytes, view: data, offsets: new Uint32Array(0), lastNamed: new Uint32Array(0), namedBefore: new Uint32Array(0), first, stringAt: 0, stringLength: 0, firstString }, status });
  if (bytes.length < 24 || data.getUint16(0, true) !== 0xeb9f) return empty('not-btf');
  const header = data.getUint32(4, true);
  const typeAt = header + data.getUint32(8, true);
  const typeEnd = typeAt + data.getUint32(12, true);
  const stringAt = header + data.getUint32(16, true);
  const stringLength = data.getUint32(20, true);
  if (typeEnd > bytes.length || stringAt + stringLength > bytes.length || typeAt < 24) return empty('cut');
  // a type is 12 bytes at least
  const offsets = new Uint32Array(Math.floor((typeEnd - typeAt) / 12));
  const namedBefore = new Uint32Array(offsets.length), lastNamed = new Uint32Array(PLACES);
  let count = 0;
  let status: BtfStatus = 'complete';
  for (let at = typeAt; at + 12 <= typeEnd; ) {
    const info = data.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x1f;
    if (kind === 0 || kind > KIND.enum64) {
      status = 'unknown-kind';
      break;
    }
    const next = at + 12 + EXTRA[kind]! + EXTRA_EACH[kind]! * (info & 0xffff);
    if (next > typeEnd) {
      status = 'cut';
      break;
    }
    const place = placeOf(data.getUint32(at, true));
    namedBefore[count] = lastNamed[place]!;
    offsets[count++] = at;
    lastNamed[place] = count;
    at = next;
  }
  return { index: { bytes, view: data, offsets: offsets.subarray(0, count), lastNamed, namedBefore, first, stringAt, stringLength, firstString }, status };
}

function view(top: Index, status: BtfStatus, parts: readonly Index[]): Btf {
  const end = top.first + top.offsets.length;

  const locate = (id: number): { part: Index; at: number } | undefined => {
    for (const part of parts) {
      const at = part.offsets[id - part.first];
      if (id >= part.first && at !== undefined) return { part, at };
    }
    return undefined;
  };
  const string = (offset: number): string => {
    const part = parts.find((p) => offset >= p.firstString && offset < p.firstString + p.stringLength);
    if (part === undefined) return '';
    const from = part.stringAt + offset - part.firstString;
    const to = part.bytes.indexOf(0, from);
    return decoder.decode(part.bytes.subarray(from, to < 0 ? from : to));
  };
  /** Offsets of a string in each part; strings are stored once. */
  const stringOffset = (name: string): number[] => {
    const needle = new Uint8Array(name.length + 2);
    for (let i = 0; i < name.length; i++) needle[i + 1] = name.charCodeAt(i);
    return parts.flatMap((part) => {
      const at = find(part.bytes, needle, part.stringAt, part.stringAt + part.stringLength);
      return at < 0 ? [] : [at + 1 - part.stringAt + part.firstString];
    });
  };
  const kindOf = (info: number): number => (info >>> 24) & 0x1f;

  const searchType = (kind: number, name: string): number | undefined => {
    const wanted = stringOffset(name);
    for (const { view: data, offsets, lastNamed, namedBefore, first } of parts) {
      let found: number | undefined;
      for (const at of wanted) {
        for (let i = (lastNamed[placeOf(at)] ?? 0) - 1; i >= 0; i = namedBefore[i]! - 1) {
          const type = offsets[i]!;
          if (data.getUint32(type, true) === at && kindOf(data.getUint32(type + 4, true)) === kind) found = Math.min(found ?? i, i);
        }
      }
      if (found !== undefined) return first + found;
    }
    return undefined;
  };
  /** Each field of a struct asks for the struct again. */
  const searched = new Map<string, number | undefined>();
  const findType = (kind: number, name: string): number | undefined => {
    const key = `${kind} ${name}`;
    if (!searched.has(key)) searched.set(key, searchType(kind, name));
    return searched.get(key);
  };

  /** Past typedef, const, volatile, restrict and type tags. */
  const bare = (id: number): number => {
    let current = id;
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const found = locate(current);
      if (found === undefined) return current;
      const kind = kindOf(found.part.view.getUint32(found.at + 4, true));
      if (kind !== KIND.typedef && kind !== KIND.const && kind !== KIND.volatile && kind !== KIND.restrict && kind !== KIND.typeTag) return current;
      current = found.part.view.getUint32(found.at + 8, true);
    }
    return current;
  };

  const member = (id: number, name: string, depth: number, looked: { at: number }): Field | undefined => {
    const found = locate(bare(id));
    if (found === undefined || depth > MAX_DEPTH) return undefined;
    const { view: data } = found.part;
    const info = data.getUint32(found.at + 4, true);
    if (kindOf(info) !== KIND.struct && kindOf(info) !== KIND.union) return undefined;
    const bitfields = info >>> 31 === 1;
    for (let i = 0; i < (info & 0xffff) && looked.at < MAX_MEMBERS; i++) {
      looked.at += 1;
      const at = found.at + 12 + i * 12;
      const raw = data.getUint32(at + 8, true);
      const type = data.getUint32(at + 4, true);
      const bitOffset = bitfields ? raw & 0xffffff : raw;
      const memberName = string(data.getUint32(at, true));
      if (memberName === name) return { bitOffset, bitSize: bitfields ? raw >>> 24 : 0, type };
      if (memberName !== '') continue;
      const inner = member(type, name, depth + 1, looked);
      if (inner !== undefined) return { ...inner, bitOffset: inner.bitOffset + bitOffset };
    }
    return undefined;
  };

  const argument = (id: number): ArgumentType => {
    const found = locate(bare(id));
    if (found === undefined) return { pointer: false, name: '' };
    if (kindOf(found.part.view.getUint32(found.at + 4, true)) !== KIND.ptr) return { pointer: false, name: string(found.part.view.getUint32(found.at, true)) };
    const target = locate(bare(found.part.view.getUint32(found.at + 8, true)));
    return { pointer: true, name: target === undefined ? '' : string(target.part.view.getUint32(target.at, true)) };
  };

  const btf: Btf = {
    status,
    end,
    find: findType,
    field: (struct, path) => {
      const root = findType(KIND.struct, struct);
      if (root === undefined) return undefined;
      let type = root;
      let bitOffset = 0;
      let field: Field | undefined;
      for (const name of path.split('.')) {
        if (name === '') return undefined; // would match the anonymous ones
        field = member(type, name, 0, { at: 0 });
        if (field === undefined) return undefined;
        bitOffset += field.bitOffset;
        type = field.type;
      }
      return field === undefined ? undefined : { ...field, bitOffset };
    },
    size: (struct) => {
      const found = locate(findType(KIND.struct, struct) ?? -1);
      return found?.part.view.getUint32(found.at + 8, true);
    },
    enumValues: (name) => {
      const found = locate(findType(KIND.enum, name) ?? -1);
      if (found === undefined) return [];
      const { view: data } = found.part;
      const vlen = data.getUint32(found.at + 4, true) & 0xffff;
      return Array.from({ length: vlen }, (_, i) => [string(data.getUint32(found.at + 12 + i * 8, true)), data.getUint32(found.at + 16 + i * 8, true)] as const);
    },
    tracepoint: (name) => {
      const typedef = findType(KIND.typedef, `btf_trace_${name}`);
      if (typedef === undefined) return undefined;
      const pointer = locate(bare(typedef));
      const proto = pointer && locate(pointer.part.view.getUint32(pointer.at + 8, true));
      if (proto === undefined || kindOf(proto.part.view.getUint32(proto.at + 4, true)) !== KIND.funcProto) return undefined;
      const vlen = proto.part.view.getUint32(proto.at + 4, true) & 0xffff;
      const args = Array.from({ length: vlen }, (_, i) => argument(proto.part.view.getUint32(proto.at + 16 + i * 8, true)));
      return { typedef, args: args.slice(1) };
    },
  };
  internals.set(btf, top);
  return btf;
}

/** Where `needle` (a name between zero bytes) stands in [from, to); -1: nowhere. */
function find(bytes: Uint8Array, needle: Uint8Array, from: number, to: number): number {
  // Buffer's search for a sequence is native: 40 ms less of a start than byte by byte
  const at = Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.max(0, to - from)).indexOf(needle);
  return at < 0 ? -1 : from + at;
}
