import { availableParallelism } from 'node:os';
import { isUnavailable, type Unavailable } from '../../model/unavailable.ts';
import { parseEventFormat } from '../../formats/event-format.ts';
import { parseHeaderPage } from '../../formats/header-page.ts';
import { functionRanges, parseKallsyms } from '../../formats/kallsyms.ts';
import { readKallsyms } from '../kallsyms.ts';
import type { Arm, ArmedProbe, Scope } from '../source.ts';
import { callFilter, kernelFilter, NORMAL_FUNCTIONS, NORMAL_REASONS } from './filter.ts';
import { tracefsFormats, watchedCallEvents } from './formats.ts';
import { createInstance, FIRST_PID_NAMESPACE, pidNamespace, type Instance } from './instance.ts';
import { tracefsPath } from './mount.ts';
import { openPages } from './pages.ts';

export { tracefsFormats } from './formats.ts';

/** A tracefs probe with the filter that the kernel applies for it, for doctor and the live view. */
export interface TracefsProbe extends ArmedProbe {
  readonly filter: string;
  /** Turns drops at these places away in the kernel from now on. Gives the filter that is in force. */
  learn(places: readonly bigint[]): string;
}

/** Pages moved in one drain at most: some 2 MB, a few ms. */
const PAGES_A_DRAIN = 512;
/** ms between looks at the loss counters. */
const STATS_EVERY = 500;

/** Watches `skb:kfree_skb` with its kernel stack. Records: trace-page, missed. Network namespaces can't be told apart in the kernel here. */
export const armTracefs: Arm = (scope) => arm('drop-tracefs', 'drops', scope, armDrops);

/** Watches failed system calls on sockets and execs. Records: trace-page, missed. */
export const armTracefsCalls: Arm = (scope) => arm('calls-tracefs', 'calls', scope, armCalls);

interface Armed {
  readonly filter: string;
  learn?(places: readonly bigint[]): string;
}

type ArmEvents = (instance: Instance, formats: Readonly<Record<string, string>>, self: number | undefined) => Armed | Unavailable;

function arm(id: string, purpose: string, scope: Scope, armEvents: ArmEvents): TracefsProbe | Unavailable {
  const formats = tracefsFormats();
  if (isUnavailable(formats)) return formats;
  const instance = createInstance(purpose);
  if (isUnavailable(instance)) return instance;
  const fail = (why: Unavailable): Unavailable => {
    instance.remove();
    return why;
  };
  const { layout } = parseHeaderPage(formats['header_page'] ?? '', formats['header_event']);
  const self = pidNamespace() === FIRST_PID_NAMESPACE ? scope.self : undefined;
  const kilobytes = Math.max(128, Math.min(1024, Math.floor(65536 / Math.max(1, availableParallelism()))));
  const refused = instance.set('trace_clock', 'mono') ?? instance.set('buffer_size_kb', String(kilobytes));
  if (refused !== undefined) return fail(refused);
  const armed = armEvents(instance, formats, self);
  if (isUnavailable(armed)) return fail(armed);
  const pages = openPages(instance.path, layout, purpose);
  if (isUnavailable(pages)) return fail(pages);
  const off = instance.set('tracing_on', '1');
  if (off !== undefined) {
    pages.close();
    return fail(off);
  }
  let nextStats = 0;
  let open = true;
  return {
    id,
    filter: armed.filter,
    learn: (places) => armed.learn?.(places) ?? armed.filter,
    drain(sink) {
      if (!open) return 0;
      let count = pages.read(sink, PAGES_A_DRAIN);
      const now = performance.now();
      if (now >= nextStats) {
        nextStats = now + STATS_EVERY;
        for (const record of pages.missed()) {
          sink(record);
          count++;
        }
      }
      return count;
    },
    close() {
      if (!open) return;
      open = false;
      pages.close();
      instance.remove();
    },
  };
}

function armDrops(instance: Instance, formats: Readonly<Record<string, string>>, self: number | undefined): Armed | Unavailable {
  const format = parseEventFormat(formats['skb/kfree_skb'] ?? '');
  const reasons: number[] = [];
  for (const [number, name] of format.names.get('reason') ?? []) if (NORMAL_REASONS.includes(name)) reasons.push(number);
  const kallsyms = readKallsyms();
  const locations = isUnavailable(kallsyms) ? [] : functionRanges(parseKallsyms(kallsyms), new Set(NORMAL_FUNCTIONS));
  const event = 'events/skb/kfree_skb';
  const apply = (learned: readonly bigint[]): string => {
    const filter = kernelFilter({ fields: new Set(format.fields.keys()), reasons, locations, learned, ...(self === undefined ? {} : { self }) });
    // a filter that this kernel doesn't take costs nothing but some events more
    return filter !== '' && instance.set(`${event}/filter`, filter) === undefined ? filter : '';
  };
  const applied = apply([]);
  instance.set('options/stacktrace', '1'); // without CONFIG_STACKTRACE there is no such option, and no stack
  return instance.set(`${event}/enable`, '1') ?? { filter: applied, learn: apply };
}

function armCalls(instance: Instance, _formats: Readonly<Record<string, string>>, self: number | undefined): { readonly filter: string } | Unavailable {
  const root = tracefsPath();
  if (isUnavailable(root)) return root;
  const events = watchedCallEvents(root);
  let shown = '';
  for (const name of events) {
    const filter = callFilter(name.slice('sys_exit_'.length), self);
    // without its filter every call would be written: then rather not at all
    const refused = instance.set(`events/syscalls/${name}/filter`, filter) ?? instance.set(`events/syscalls/${name}/enable`, '1');
    if (refused !== undefined) return refused;
    if (shown === '') shown = filter;
  }
  const exec = instance.set('events/sched/sched_process_exec/enable', '1');
  if (events.length === 0) return { unavailable: 'unsupported', what: 'watching failed system calls in tracefs', why: 'no events/syscalls: the kernel is built without CONFIG_FTRACE_SYSCALLS' };
  return exec ?? { filter: shown };
}
