import { readFileSync, readdirSync } from 'node:fs';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { readingFailed } from '../read.ts';
import { tracefsPath } from './mount.ts';

/** System calls whose failures are watched. */
export const WATCHED_CALLS: readonly string[] = [
  'sendto', 'sendmsg', 'sendmmsg', 'connect', 'bind', 'listen', 'socket', 'setsockopt', 'accept', 'accept4', 'write', 'writev', 'sendfile64',
  'recvfrom', 'recvmsg', 'recvmmsg', 'read',
];

/** For HostRecord.formats: `format` files by `group/event`, `header_page` and `header_event`. */
export function tracefsFormats(): Maybe<Readonly<Record<string, string>>> {
  const root = tracefsPath();
  if (isUnavailable(root)) return root;
  const formats: Record<string, string> = {};
  try {
    for (const file of ['header_page', 'header_event']) formats[file] = readFileSync(`${root}/events/${file}`, 'utf8');
    for (const event of ['skb/kfree_skb', 'ftrace/kernel_stack', 'sched/sched_process_exec']) formats[event] = readFileSync(`${root}/events/${event}/format`, 'utf8');
  } catch (error) {
    return readingFailed('tracefs event formats', error);
  }
  for (const name of watchedCallEvents(root)) {
    try {
      formats[`syscalls/${name}`] = readFileSync(`${root}/events/syscalls/${name}/format`, 'utf8');
    } catch {
      // gone between listing and reading: then it isn't watched either
    }
  }
  return formats;
}

/** The `sys_exit_*` events of this kernel that are watched; none without CONFIG_FTRACE_SYSCALLS. */
export function watchedCallEvents(root: string): readonly string[] {
  try {
    const there = new Set(readdirSync(`${root}/events/syscalls`));
    return WATCHED_CALLS.map((call) => `sys_exit_${call}`).filter((name) => there.has(name));
  } catch {
    return []; // no such folder, or not for us: arming says that calls are not seen
  }
}
