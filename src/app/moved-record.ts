import { mono, type Mono, type Netns } from '../base/brand.ts';
import { COUNT_KEY, COUNT_ROW, CALL, DROP, EXEC } from '../bpf/layout.ts';
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
