import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import type { LogTail } from '../model/process.ts';
import { isUnavailable, type Maybe } from '../model/unavailable.ts';
import { readLink, readNames, readText } from './read.ts';

const TAIL = 32 * 1024;
const FILES = 8;

/**
 * The ends of the log files that a process has open for writing: regular files below /var/log, with `log`, `.out` or
 * `.err` in their name, or its standard output and error. Read through /proc/PID/fd, so also in containers and after
 * a rotation. Newest change first.
 */
export function readLogTails(pid: number, root = '/proc'): Maybe<LogTail[]> {
  const fds = readNames(`${root}/${pid}/fd`);
  if (isUnavailable(fds)) return fds;
  const seen = new Set<string>();
  const tails: LogTail[] = [];
  for (const fd of fds) {
    const path = readLink(`${root}/${pid}/fd/${fd}`);
    if (path === undefined || !path.startsWith('/') || path.startsWith('/dev/') || !looksLikeLog(path, fd)) continue;
    if (!openForWriting(pid, fd, root)) continue;
    const tail = tailOf(`${root}/${pid}/fd/${fd}`, path, seen);
    if (tail !== undefined) tails.push(tail);
  }
  return tails.sort((a, b) => b.mtime - a.mtime).slice(0, FILES);
}

function looksLikeLog(path: string, fd: string): boolean {
  if (fd === '1' || fd === '2' || path.startsWith('/var/log/')) return true;
  const name = path.slice(path.lastIndexOf('/') + 1).replace(/ \(deleted\)$/, '').toLowerCase();
  return name.includes('log') || /\.(?:out|err)(?:\.[0-9]+)?$/.test(name);
}

function openForWriting(pid: number, fd: string, root: string): boolean {
  const info = readText(`${root}/${pid}/fdinfo/${fd}`);
  const flags = isUnavailable(info) ? undefined : /^flags:\s*([0-7]+)$/m.exec(info)?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & constants.O_RDWR | Number.parseInt(flags, 8) & constants.O_WRONLY) !== 0;
}

/** Undefined for what is no text file of its own, or is gone. */
function tailOf(door: string, path: string, seen: Set<string>): LogTail | undefined {
  let fd: number | undefined;
  try {
    const before = statSync(door);
    if (!before.isFile() || seen.has(`${before.dev}:${before.ino}`)) return undefined; // opening a pipe or a device might do something
    seen.add(`${before.dev}:${before.ino}`);
    fd = openSync(door, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const from = Math.max(0, before.size - TAIL);
    const bytes = Buffer.alloc(Math.min(before.size, TAIL));
    const length = readSync(fd, bytes, 0, bytes.length, from);
    const part = bytes.subarray(0, length);
    if (part.includes(0)) return undefined; // binary: the journal, a database
    const line = from === 0 ? 0 : part.indexOf(10) + 1;
    return { path, text: part.toString('utf8', line), size: before.size, mtime: Math.floor(before.mtimeMs / 1000) };
  } catch {
    return undefined; // closed, removed or forbidden: one log less
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
