import { closeSync, mkdtempSync, openSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isUnavailable, type Maybe, type Unavailable } from '../../model/unavailable.ts';
import { readingFailed } from '../read.ts';
import { detachedMount, ENOSYS, errnoName, mount, umount } from '../sys/ffi.ts';

const ENODEV = 19;
const O_PATH = 0o10000000;
let known: string | undefined;

/**
 * A path to tracefs. Where the system has it mounted, that; otherwise a mount of our own that is detached at once
 * and lives only in a descriptor: nobody else sees it, and it goes when this process does.
 */
export function tracefsPath(): Maybe<string> {
  if (known !== undefined) return known;
  const mounted = mountedPath();
  const path = mounted ?? privateMount();
  if (!isUnavailable(path)) known = path;
  return path;
}

/** Mount points are tried, since another's may be out of reach (a container's chroot, permissions). */
function mountedPath(): string | undefined {
  let mounts: string;
  try {
    mounts = readFileSync('/proc/self/mounts', 'utf8');
  } catch {
    return undefined; // then a mount of our own tells what is wrong
  }
  for (const line of mounts.split('\n')) {
    const [, point, type] = line.split(' ');
    if (type !== 'tracefs' || point === undefined) continue;
    const path = point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (canOpen(join(path, 'instances'))) return path;
  }
  return undefined;
}

function canOpen(path: string): boolean {
  try {
    closeSync(openSync(path, 'r'));
    return true;
  } catch {
    return false; // then the next place is tried; the last one tells why
  }
}

function privateMount(): Maybe<string> {
  const what = 'mounting tracefs';
  const fd = detachedMount('tracefs');
  if (fd >= 0) return `/proc/self/fd/${fd}`; // kept open to the end of the process: it is the mount
  if (fd !== -ENOSYS) return refused(what, fd);
  return mountAndDetach(what);
}

/** Kernels before 5.2: mounted on a folder for an instant. */
function mountAndDetach(what: string): Maybe<string> {
  let folder: string;
  try {
    folder = mkdtempSync(join(tmpdir(), 'whydrop-'));
  } catch (error) {
    return { ...readingFailed(tmpdir(), error), what, fix: 'mount -t tracefs tracefs /sys/kernel/tracing' };
  }
  try {
    const result = mount('tracefs', folder, 'tracefs');
    if (result < 0) return refused(what, result);
    try {
      const fd = openSync(folder, O_PATH);
      return `/proc/self/fd/${fd}`; // as above
    } catch (error) {
      return readingFailed('tracefs', error);
    } finally {
      umount(folder);
    }
  } finally {
    rmdirSync(folder);
  }
}

function refused(what: string, result: number): Unavailable {
  const why = errnoName(-result);
  return result === -ENODEV ? { unavailable: 'unsupported', what, why: `${why}: this kernel is built without tracing` }
    : { unavailable: 'permission', what, why, fix: 'run as root (CAP_SYS_ADMIN) in the first user namespace, or mount -t tracefs tracefs /sys/kernel/tracing' };
}
