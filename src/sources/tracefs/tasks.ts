import { readFileSync, readlinkSync } from 'node:fs';
import type { PageLayout } from '../../formats/header-page.ts';
import { readRingPage } from '../../formats/ring-page.ts';
import type { TraceTask } from '../../model/record.ts';
import { FIRST_PID_NAMESPACE, pidNamespace } from './instance.ts';

/** What was read of a thread serves this long, ms: a thread may become another program at any time. */
const FRESH = 20;
/** Of a thread that has ended, what was read of it so long ago still serves, ms. */
const ENDED = 5000;
const REMEMBERED = 4096;
const known = new Map<number, { readonly read: number; readonly task: TraceTask | undefined }>();
let inFirst: boolean | undefined;

/** The threads that a page's events name, as /proc has them now: JSON text of TraceTask[]; undefined when none could be found. */
export function tasksOfPage(bytes: Uint8Array, layout: PageLayout): string | undefined {
  inFirst ??= pidNamespace() === FIRST_PID_NAMESPACE;
  if (!inFirst) return undefined; // the events' numbers mean other processes here
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tids = new Set<number>();
  readRingPage(bytes, (offset, length) => {
    if (length >= 8) tids.add(view.getInt32(offset + 4, layout.littleEndian)); // common_pid
  }, layout);
  const now = performance.now();
  const tasks: TraceTask[] = [];
  for (const tid of tids) {
    if (tid <= 0) continue;
    let entry = known.get(tid);
    if (entry === undefined || now - entry.read > FRESH) {
      const task = readTask(tid);
      if (task !== undefined || entry === undefined || now - entry.read > ENDED) {
        if (known.size >= REMEMBERED) known.clear();
        entry = { read: now, task };
        known.set(tid, entry);
      }
    }
    if (entry.task !== undefined) tasks.push(entry.task);
  }
  return tasks.length === 0 ? undefined : JSON.stringify(tasks);
}

/** Undefined when the thread has ended. */
function readTask(tid: number): TraceTask | undefined {
  try {
    const status = readFileSync(`/proc/${tid}/status`, 'utf8');
    const number = (name: string): number => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    const netns = Number(/\[(\d+)\]/.exec(readlinkSync(`/proc/${tid}/ns/net`))?.[1] ?? 0);
    return {
      tid, pid: number('Tgid'), parent: number('PPid'), uid: number('Uid'), netns,
      comm: readFileSync(`/proc/${tid}/comm`, 'utf8').replace(/\n$/, ''),
      argv: readFileSync(`/proc/${tid}/cmdline`, 'utf8').slice(0, 4096).split('\0').slice(0, -1),
    };
  } catch {
    return undefined; // it has ended meanwhile: its events keep the name that they came with
  }
}
