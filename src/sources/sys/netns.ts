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
  assert(!away, `entering ${path} from another namespace`);
  let way: Home;
  let there: number;
  try {
    way = home ??= openHome();
    there = openSync(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return { unavailable: code === 'ENOENT' ? 'missing' : 'permission', what: `opening ${path}`, why: code };
  }
  try {
    if (way.inode === fstatSync(there).ino) return work();
    const entered = setns(there, CLONE_NEWNET);
    if (entered < 0) {
      return { unavailable: 'permission', what: `entering ${path}`, why: errnoName(-entered), fix: 'run as root, or with CAP_SYS_ADMIN' };
    }
    away = true;
    try {
      return work();
    } finally {
      away = false;
      const back = setns(way.fd, CLONE_NEWNET);
      assert(back === 0, `leaving ${path}: ${errnoName(-back)}`);
    }
  } finally {
    closeSync(there);
  }
}

/** The way back, held open: this thread leaves its namespace here only. */
interface Home {
  readonly fd: number;
  readonly inode: number;
}

let home: Home | undefined;
let away = false;

function openHome(): Home {
  const fd = openSync('/proc/thread-self/ns/net', 'r');
  return { fd, inode: fstatSync(fd).ino };
}
