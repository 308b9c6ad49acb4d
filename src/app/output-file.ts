import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { EnvironmentError } from './exit.ts';

/**
 * Writes pieces to a file that is there whole or not at all, or to stdout without a path (or with `-`). A reader of
 * stdout that went away (`| head`) ends it quietly. Gives the number of bytes.
 */
export function writeOutput(path: string | undefined, pieces: Iterable<string | Uint8Array>): number {
  const toStdout = path === undefined || path === '-';
  // a device or a pipe cannot be moved into place
  const special = !toStdout && path.startsWith('/dev/');
  const aside = toStdout || special ? path : `${path}.${process.pid}.part`;
  let fd: number;
  try {
    fd = aside === undefined || toStdout ? 1 : openSync(aside, 'w', 0o600);
  } catch (error) {
    throw new EnvironmentError(`creating ${path}: ${codeOf(error)}`);
  }
  let written = 0;
  try {
    for (const bytes of gathered(pieces)) written += writeAll(fd, bytes);
    if (!toStdout && aside !== undefined) {
      closeSync(fd);
      if (!special && path !== undefined) renameSync(aside, path);
    }
  } catch (error) {
    if (toStdout && codeOf(error) === 'EPIPE') return written;
    if (!toStdout && !special && aside !== undefined) rmSync(aside, { force: true });
    if (codeOf(error).startsWith('E')) throw new EnvironmentError(`writing ${path ?? 'stdout'}: ${codeOf(error)}`, codeOf(error) === 'ENOSPC' ? 'make room there or write elsewhere' : undefined);
    throw error;
  }
  return written;
}

/** Small pieces are written together. */
const TOGETHER = 1 << 16;

function* gathered(pieces: Iterable<string | Uint8Array>): Generator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let size = 0;
  for (const piece of pieces) {
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
    waiting.push(bytes);
    if ((size += bytes.length) < TOGETHER) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(waiting);
}

const waiting = new Int32Array(new SharedArrayBuffer(4));

function writeAll(fd: number, bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
      Atomics.wait(waiting, 0, 0, 2); // a pipe whose reader is slower
    }
  }
  return at;
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);
