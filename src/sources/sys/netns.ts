import { closeSync, fstatSync, openSync } from 'node:fs';
import { assert } from '../../base/assert.ts';
import type { Unavailable } from '../../model/unavailable.ts';
import { CLONE_NEWNET, errnoName, setns } from './ffi.ts';

/**
 * Runs `work` with this thread inside another network namespace, then comes back. `work` must be synchronous to its
 * end: a promise would go on after the thread has left. Child processes spawned and sockets opened inside stay there.
 * The thread's own namespace is not entered: that would ask for
 * CAP_SYS_ADMIN for nothing. `path` is `/run/netns/NAME`, `/proc/PID/ns/net` or `/proc/self/fd/N`.
 */
export function withinNetns<T>(path: string, work: () => T): T | Unavailable {
  let home: number | undefined;
  let there: number | undefined;
  try {
    home = openSync('/proc/thread-self/ns/net', 'r');
    there = openSync(path, 'r');
  } catch (error) {
    if (home !== undefined) closeSync(home);
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return { unavailable: code === 'ENOENT' ? 'missing' : 'permission', what: `opening ${path}`, why: code };
  }
  try {
    if (fstatSync(home).ino === fstatSync(there).ino) return work();
    const entered = setns(there, CLONE_NEWNET);
    if (entered < 0) {
      return { unavailable: 'permission', what: `entering ${path}`, why: errnoName(-entered), fix: 'run as root, or with CAP_SYS_ADMIN' };
    }
    try {
      return work();
    } finally {
      const back = setns(home, CLONE_NEWNET);
      assert(back === 0, `leaving ${path}: ${errnoName(-back)}`);
    }
  } finally {
    closeSync(there);
    closeSync(home);
  }
}
