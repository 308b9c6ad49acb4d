import { mono, type Mono, type Netns } from '../base/brand.ts';
import { COUNT_KEY, COUNT_ROW, CALL, DROP, EXEC, STACK_FRAMES } from '../bpf/layout.ts';
import type { RawRecord } from '../model/record.ts';

export type Move = (time: Mono) => Mono;

/** A record with its times, and those in its bytes, brought to another clock, and its namespaces to other numbers. */
export function moved(record: RawRecord, move: Move, space: (inode: number) => Netns): RawRecord {
  const time = move(record.time);
  switch (record.record) {
    case 'drop-sample': return { ...record, time, bytes: patched(record.bytes, DROP.size, DROP.time, DROP.netns, move, space) };
    case 'call': return { ...record, time, bytes: patched(record.bytes, CALL.size, CALL.time, CALL.netns, move, space) };
    case 'exec': return { ...record, time, bytes: patched(record.bytes, EXEC.size, EXEC.time, EXEC.netns, move, space) };
    case 'drop-counts': {
      const bytes = Uint8Array.from(record.bytes);
      const v = new DataView(bytes.buffer);
      for (let row = 0; row + COUNT_ROW.size <= bytes.length; row += COUNT_ROW.size) v.setUint32(row + COUNT_KEY.netns, space(v.getUint32(row + COUNT_KEY.netns, true)), true);
      return { ...record, time, bytes };
    }
    case 'netlink': return { ...record, time, netns: space(record.netns) };
    case 'answer': return { ...record, time, ...(record.question.netns === undefined ? {} : { question: { ...record.question, netns: space(record.question.netns) } }) };
    default: return { ...record, time };
  }
}

function patched(bytes: Uint8Array, size: number, timeAt: number, netnsAt: number, move: Move, space: (inode: number) => Netns): Uint8Array {
  if (bytes.length < size) return bytes;
  const made = Uint8Array.from(bytes);
  const v = new DataView(made.buffer);
  v.setBigUint64(timeAt, BigInt.asUintN(64, move(mono(v.getBigUint64(timeAt, true)))), true);
  v.setUint32(netnsAt, space(v.getUint32(netnsAt, true)), true);
  return made;
}

/**
 * A record with its places in kernel code moved: each kernel lies elsewhere, and the names of one host's functions are not to be
 * taken for what is at the same address of another.
 */
export function relocated(record: RawRecord, by: bigint): RawRecord {
  if (by === 0n) return record;
  const to = (address: bigint): bigint => (address < KERNEL ? address : BigInt.asUintN(64, address + by));
  switch (record.record) {
    case 'symbols': return { ...record, text: record.text.replace(/^[0-9a-f]{16}(?= )/gm, (address) => to(BigInt(`0x${address}`)).toString(16).padStart(16, '0')) };
    case 'drop-sample': {
      if (record.bytes.length < DROP.size) return record;
      const bytes = Uint8Array.from(record.bytes);
      const v = new DataView(bytes.buffer);
      for (const at of [DROP.location, ...Array.from({ length: STACK_FRAMES }, (_, i) => DROP.stack + 8 * i)]) v.setBigUint64(at, to(v.getBigUint64(at, true)), true);
      return { ...record, bytes };
    }
    case 'drop-counts': {
      const bytes = Uint8Array.from(record.bytes);
      const v = new DataView(bytes.buffer);
      for (let at = COUNT_KEY.location; at + COUNT_ROW.size <= bytes.length; at += COUNT_ROW.size) v.setBigUint64(at, to(v.getBigUint64(at, true)), true);
      return { ...record, bytes };
    }
    default: return record;
  }
}

/** Below are addresses of programs, and 0 where the kernel hides its own. */
const KERNEL = 0xffff_0000_0000_0000n;
