import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { readNames, readText } from '../read.ts';
import { realtimeOffset } from '../host.ts';
import { readKernelLog } from '../sys/kernel-log.ts';
import { badArgument, inside, type Reader } from './reader.ts';

/** Files of /proc outside of net/ that may be asked for. */
const PROC_FILES = new Set(['cpuinfo', 'interrupts', 'loadavg', 'meminfo', 'modules', 'softirqs', 'stat', 'uptime', 'version', 'vmstat', 'sys/kernel/tainted']);
const PROCESS_FILES = /^[1-9][0-9]*\/(?:cgroup|io|limits|sched|schedstat|stat|status|syscall|wchan|net\/[^/]+)$/;
const SYSCTL_LIMIT = 5_000;

const segments = (path: string): readonly string[] | undefined => {
  const parts = path.split('/');
  return path.length > 512 || path.includes('\0') || parts.some((p) => p === '' || p === '.' || p === '..') ? undefined : parts;
};

export const proc: Reader = (task) => {
  const path = task.argument ?? '';
  const parts = segments(path);
  if (parts === undefined || !(parts[0] === 'net' && parts.length > 1 || PROC_FILES.has(path) || PROCESS_FILES.test(path))) return badArgument(task, 'net/… or a file of the list in docs/answers.md');
  // /proc/net is that of the thread group's leader; the namespace was entered by this thread
  const real = parts[0] === 'net' ? `/proc/thread-self/${path}` : `/proc/${path}`;
  return inside(task, () => readText(real, `/proc/${path}`));
};

export const sysctl: Reader = (task) => {
  const path = task.argument ?? '';
  const parts = segments(path);
  if (parts === undefined) return badArgument(task, 'a path below /proc/sys');
  if (!path.includes('*')) return inside(task, () => {
    const value = readText(`/proc/sys/${path}`);
    return isUnavailable(value) ? value : value.replace(/\n$/, '');
  });
  return inside(task, () => glob(parts));
};

/** `path = value` for each file that fits; lines of a value that has several are joined by tabs. */
function glob(parts: readonly string[]): Maybe<string> {
  let paths: string[] = [''];
  for (const part of parts) {
    if (!part.includes('*')) {
      paths = paths.map((p) => `${p}/${part}`);
      continue;
    }
    const pattern = new RegExp(`^${part.split('*').map((s) => s.replace(/[.\\+?^${}()|[\]]/g, '\\$&')).join('.*')}$`, 's');
    const next: string[] = [];
    for (const p of paths) {
      const names = readNames(`/proc/sys${p}`);
      if (isUnavailable(names)) {
        if (paths.length === 1) return names;
        continue; // an interface that went between two readings, or a file where others have a folder
      }
      for (const name of names) if (pattern.test(name)) next.push(`${p}/${name}`);
    }
    paths = next;
  }
  const lines: string[] = [];
  for (const p of paths.sort().slice(0, SYSCTL_LIMIT)) {
    const value = readText(`/proc/sys${p}`);
    if (isUnavailable(value)) {
      if (value.unavailable === 'missing' && paths.length > 1) continue; // gone meanwhile
      return value;
    }
    lines.push(`${p.slice(1)} = ${value.replace(/\n$/, '').replaceAll('\n', '\t')}`);
  }
  return lines.join('\n');
}

export const kernelLog: Reader = () => readKernelLog();

export const clock: Reader = () => JSON.stringify({ realtimeMinusMonotonicNs: String(realtimeOffset()) });
