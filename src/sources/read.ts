import { closeSync, openSync, readSync, readdirSync, readlinkSync } from 'node:fs';
import type { Maybe, Unavailable, UnavailableCode } from '../model/unavailable.ts';

/** 16 MiB: no file under /proc that whydrop reads is larger on a healthy host. */
const LIMIT = 16 * 1024 * 1024;
let scratch = Buffer.allocUnsafe(64 * 1024);

/**
 * The text of a kernel file (its size reads as 0, so it is read to the end). On the calling thread, so inside
 * `withinNetns` it is that namespace's. `label` is how messages name it, where `path` is not how users know it.
 */
export function readText(path: string, label = path, limit = LIMIT): Maybe<string> {
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    let length = 0;
    for (;;) {
      if (length === scratch.length) {
        if (length >= limit) return { unavailable: 'too-large', what: `reading ${label}`, why: `more than ${limit} bytes` };
        scratch = Buffer.concat([scratch], scratch.length * 4);
      }
      const n = readSync(fd, scratch, length, scratch.length - length, null);
      if (n === 0) return scratch.toString('utf8', 0, length);
      length += n;
    }
  } catch (error) {
    return readingFailed(label, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The names in a folder, or why they cannot be had. */
export function readNames(path: string): Maybe<string[]> {
  try {
    return readdirSync(path);
  } catch (error) {
    return readingFailed(path, error);
  }
}

/** Where a symbolic link of /proc points; undefined when it is gone or may not be read. */
export function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // vanished or forbidden: the two callers can do nothing about either
  }
}

export function readingFailed(label: string, error: unknown): Unavailable {
  const why = (error as NodeJS.ErrnoException).code ?? String(error);
  return { unavailable: codeOf(why), what: `reading ${label}`, why, ...(why === 'EACCES' || why === 'EPERM' ? { fix: 'run as root' } : undefined) };
}

function codeOf(errno: string): UnavailableCode {
  switch (errno) {
    case 'EACCES': case 'EPERM': return 'permission';
    case 'ENOENT': case 'ESRCH': case 'ENOTDIR': case 'ENODEV': case 'ENXIO': return 'missing';
    case 'EOPNOTSUPP': case 'ENOSYS': return 'unsupported';
    default: return 'failed';
  }
}
