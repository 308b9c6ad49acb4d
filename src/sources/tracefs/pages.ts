import { closeSync, constants, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import { mono } from '../../base/brand.ts';
import type { PageLayout } from '../../formats/header-page.ts';
import type { Sink } from '../../model/capture.ts';
import type { MissedRecord } from '../../model/record.ts';
import type { Maybe } from '../../model/unavailable.ts';
import { readingFailed } from '../read.ts';
import { tasksOfPage } from './tasks.ts';

/** The per-CPU buffers of an instance, read page by page without ever waiting. */
export interface Pages {
  /** Up to `limit` pages of all CPUs into the sink. Returns how many. */
  read(sink: Sink, limit: number): number;
  /** What was overwritten or dropped since the last call. */
  missed(): readonly MissedRecord[];
  close(): void;
}

export function openPages(instance: string, layout: PageLayout, label: string): Maybe<Pages> {
  const buffers: { readonly cpu: number; readonly fd: number }[] = [];
  const close = (): void => {
    for (const { fd } of buffers.splice(0)) closeSync(fd);
  };
  try {
    for (const name of readdirSync(`${instance}/per_cpu`)) {
      const cpu = Number(/^cpu(\d+)$/.exec(name)?.[1]);
      if (Number.isInteger(cpu)) buffers.push({ cpu, fd: openSync(`${instance}/per_cpu/${name}/trace_pipe_raw`, constants.O_RDONLY | constants.O_NONBLOCK) });
    }
  } catch (error) {
    close();
    return readingFailed('tracefs trace_pipe_raw', error);
  }
  const page = Buffer.alloc(layout.data + layout.dataSize);
  const lostBefore = new Map<number, number>();
  let turn = 0;
  return {
    read(sink, limit) {
      let count = 0;
      // CPUs take turns, so that a flood on one does not hide the others
      let idle = 0;
      while (count < limit && idle < buffers.length) {
        const buffer = buffers[turn++ % buffers.length]!;
        const n = readPage(buffer.fd, page);
        if (n === 0) {
          idle++;
          continue;
        }
        idle = 0;
        count++;
        const bytes = Uint8Array.from(page.subarray(0, usedLength(page, n, layout)));
        const tasks = tasksOfPage(bytes, layout);
        sink({ record: 'trace-page', time: mono(process.hrtime.bigint()), cpu: buffer.cpu, bytes, ...(tasks === undefined ? {} : { tasks }) });
      }
      return count;
    },
    missed() {
      const records: MissedRecord[] = [];
      for (const { cpu } of buffers) {
        const lost = lostEvents(`${instance}/per_cpu/cpu${cpu}/stats`);
        const more = lost - (lostBefore.get(cpu) ?? 0);
        if (more <= 0) continue;
        lostBefore.set(cpu, lost);
        records.push({
          record: 'missed', time: mono(process.hrtime.bigint()), source: 'trace-page', count: more,
          text: `the ${label} trace buffer of CPU ${cpu} overflowed, ${more} events were overwritten before they were read; BPF probes would count them all`,
        });
      }
      return records;
    },
    close,
  };
}

/** Bytes read, 0 when there is nothing now. */
function readPage(fd: number, page: Uint8Array): number {
  try {
    return readSync(fd, page, 0, page.length, null);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EAGAIN' || code === 'EINTR' || code === 'ENODEV') return 0; // ENODEV: the CPU went offline
    throw error;
  }
}

/** Header, events and the count of lost ones behind them: the rest of a page is nothing. */
function usedLength(page: Buffer, n: number, layout: PageLayout): number {
  const commit = layout.littleEndian ? page.readUInt32LE(layout.commit) : page.readUInt32BE(layout.commit + layout.commitSize - 4);
  return Math.min(n, layout.data + (commit & 0x07ff_ffff) + layout.commitSize);
}

function lostEvents(stats: string): number {
  let text: string;
  try {
    text = readFileSync(stats, 'utf8');
  } catch {
    return 0; // the CPU went offline
  }
  let sum = 0;
  for (const m of text.matchAll(/^(?:overrun|commit overrun|dropped events): (\d+)$/gm)) sum += Number(m[1]);
  return sum;
}
