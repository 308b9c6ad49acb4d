import type { EvidenceRecord, Reading } from './evidence-record.ts';

/** `CONFIG_NAME=y` lines of a kernel configuration, whole or in part. */
export function readKernelConfig(lines: readonly string[]): Reading {
  const options = new Map<string, string>();
  const taken: number[] = [];
  lines.forEach((line, i) => {
    const m = /^(CONFIG_\w{1,80})=(\S.{0,200}|"")$/.exec(line) ?? /^# (CONFIG_\w{1,80}) is not set$/.exec(line);
    if (m === null) return;
    options.set(m[1]!, m[2] ?? 'n');
    taken.push(i);
  });
  const records: EvidenceRecord[] = options.size === 0 ? [] : [{ kind: 'kernel-options', line: taken[0]! + 1, options }];
  return { records, taken };
}

/**
 * Which kernels have had these options: for when nobody wrote down `uname -r`. Undefined without one that dates.
 * CONFIG_WORKQUEUE_TRACER and CONFIG_FTRACE_NMI_ENTER are of the 2.6.30s.
 */
export function kernelOfOptions(options: ReadonlyMap<string, string>): { readonly release: string; readonly because: string } | undefined {
  const old = ['CONFIG_WORKQUEUE_TRACER', 'CONFIG_FTRACE_NMI_ENTER'].find((name) => options.has(name));
  return old === undefined ? undefined : { release: '2.6.3x', because: `its configuration has ${old}` };
}
