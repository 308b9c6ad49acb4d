import { ERRNO } from '../../base/errno.ts';
import { placeText } from '../../base/symbol.ts';
import type { EvidenceFile } from '../../formats/evidence-file.ts';
import type { EvidenceRecord, Frame, TraceRecord } from '../../formats/evidence-record.ts';
import type { Event, Place } from '../../model/event.ts';
import { createTimeline } from '../../timeline/index.ts';
import { symbolsOf } from '../../timeline/symbols.ts';
import { foreignBuffers } from '../foreign.ts';

/** A trace.dat as evidence beside texts: one file for each of its buffers, so that what two of them took counts once. `why`: what of it is not there. */
export function traceDatEvidence(name: string, bytes: Uint8Array): { readonly files: readonly EvidenceFile[]; readonly why: readonly string[] } {
  const buffers = foreignBuffers(bytes);
  const symbols = symbolsOf(buffers[0]?.foreign.records.flatMap((r) => (r.record === 'symbols' ? [r.text] : [])).join('\n') ?? '');
  const files = buffers.map(({ buffer, foreign }): EvidenceFile => {
    const host = foreign.records.find((r) => r.record === 'host');
    const records: EvidenceRecord[] = [];
    if (host !== undefined) {
      const timeline = createTimeline(host, () => symbols);
      const add = (event: Event): void => {
        const record = recordOf(event, records.length + 1);
        if (record !== undefined) records.push(record);
      };
      for (const record of foreign.records) for (const event of timeline.decode(record)) add(event);
      for (const event of timeline.flush()) add(event);
      if (host.kernel !== '') records.push({ kind: 'kernel', line: records.length + 1, release: host.kernel });
    }
    return { name: buffer === '' ? name : `${name} (${buffer})`, parts: [{ heading: '', words: [], records }], lines: records.length, unread: 0, examples: [] };
  });
  const first = buffers[0]?.foreign;
  return { files, why: [...(first?.lacks ?? []).filter((l) => /^trace\.dat: |holds no /.test(l)), ...(first === undefined || first.unused.length === 0 ? [] : [`its events ${first.unused.slice(0, 8).join(', ')} are not used`])] };
}

/** As its text would have it (`trace-cmd report`); the line is the number of the event. */
function recordOf(event: Event, line: number): TraceRecord | undefined {
  if (event.kind !== 'drop' && event.kind !== 'call' && event.kind !== 'exec') return undefined;
  const { task } = event;
  const head = { kind: 'trace' as const, tool: 'trace.dat', line, comm: task.comm === '' ? '<...>' : task.comm, tid: task.tid, time: event.time, stack: [] };
  switch (event.kind) {
    case 'drop': {
      const { place, reason } = event;
      const location = placeText(place);
      return {
        ...head, cpu: event.cpu, flags: event.softirq ? '..s.' : '....', event: 'kfree_skb', text: `kfree_skb at ${location}: ${reason.name} (event ${line})`, stack: framesOf(event.stack),
        fields: new Map([['skbaddr', `0x${event.skb.toString(16)}`], ['location', location], ['protocol', String(event.protocol)], ['reason', reason.name]]),
      };
    }
    case 'call': return { ...head, cpu: event.cpu, event: `sys_exit_${event.syscall}`, text: `${event.syscall} = -${event.errno} (event ${line})`, fields: new Map([['ret', String(-errnoNumber(event.errno))]]) };
    case 'exec': return { ...head, cpu: 0, event: 'sched_process_exec', text: `sched_process_exec: ${event.filename} (event ${line})`, fields: new Map([['filename', event.filename], ['pid', String(task.pid)]]) };
  }
}

const errnoNumber = (name: string): number => (ERRNO as Readonly<Record<string, number>>)[name] ?? (Number(name) || 0);

/** Stacks repeat, and the timeline gives the same array for the same stack. */
const known = new WeakMap<readonly Place[], readonly Frame[]>();

function framesOf(stack: readonly Place[]): readonly Frame[] {
  let frames = known.get(stack);
  if (frames === undefined) known.set(stack, (frames = stack.map(frameOf)));
  return frames;
}

const frameOf = (p: Place): Frame => ({ address: p.address, ...(p.name === undefined ? {} : { name: p.name }), ...(p.offset === undefined ? {} : { offset: p.offset }), ...(p.module === undefined ? {} : { module: p.module }) });
