/**
 * A recording on disk.
 *
 *     "whydrop recording\n"   18 bytes
 *     u32 version             little endian, like all that follows
 *     chunk …                 u32 length, u32 crc32 of the payload, payload: raw deflate of records (record-codec.ts)
 *
 * A chunk is written whole at least once a second, so after SIGKILL all but the last second is there. A reader takes
 * what is whole and says how the file ends. Versions and what changed: docs/recording-format.md.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Sink } from '../model/capture.ts';
import type { RawRecord } from '../model/record.ts';
import type { Unavailable } from '../model/unavailable.ts';
import { decodeRecords, encodeRecord } from './record-codec.ts';
import { sizeOf, thin } from './thin.ts';
import { upgrade } from './upgrade.ts';

export const VERSION = 1;
const MAGIC = 'whydrop recording\n';
const HEADER = MAGIC.length + 4;
/** A chunk that claims more is not believed. */
const MAX_CHUNK = 64 << 20;
const MAX_INFLATED = 256 << 20;
/** Written when this much is waiting, or by {@link Recorder.flush}. */
const CHUNK = 1 << 17;

export interface Recorder {
  readonly write: Sink;
  /** Call it once a second: what was written before is then safe from a crash. */
  flush(): void;
  readonly bytesWritten: number;
  /** Why nothing is written any more: a full disk, mostly. What was written until then is whole. */
  readonly failure: Unavailable | undefined;
  close(): void;
}

export function createRecorder(path: string, maxSize?: number): Recorder | Unavailable {
  let fd: number;
  let written: number;
  try {
    fd = openSync(path, 'w', 0o600);
    written = writeAll(fd, header());
  } catch (error) {
    return { unavailable: 'permission', what: `creating ${path}`, ...whyOf(error) };
  }
  let waiting: Uint8Array[] = [];
  let size = 0;
  let failure: Unavailable | undefined;
  let limit = maxSize;
  const thinned = (most: number): void => {
    const { records } = readRecording(readFileSync(path));
    const kept = thin(records, (sizeOf(records) * most) / 2 / written);
    const aside = `${path}.thinning`;
    try {
      const next = openSync(aside, 'w', 0o600);
      let made = writeAll(next, header());
      for (const bytes of chunksOf(kept)) made += writeAll(next, bytes);
      renameSync(aside, path);
      closeSync(fd);
      fd = next;
      written = made;
    } catch (error) {
      rmSync(aside, { force: true });
      throw error;
    }
    // what cannot be thinned may be more than that: it is not tried again with every chunk
    limit = Math.max(most, Math.ceil(written * 1.5));
  };
  const flush = (): void => {
    if (waiting.length === 0 || failure !== undefined) return;
    const bytes = chunk(waiting);
    waiting = [];
    size = 0;
    try {
      written += writeAll(fd, bytes);
      if (limit !== undefined && maxSize !== undefined && written > limit) thinned(maxSize);
    } catch (error) {
      failure = { unavailable: 'failed', what: `writing ${path}`, ...whyOf(error) };
      shorten(fd, written);
    }
  };
  return {
    write: (record) => {
      if (failure !== undefined) return;
      const bytes = encodeRecord(record);
      waiting.push(bytes);
      size += bytes.length;
      if (size >= CHUNK) flush();
    },
    flush,
    get bytesWritten() {
      return written;
    },
    get failure() {
      return failure;
    },
    close: () => {
      flush();
      closeSync(fd);
    },
  };
}

/** All of it, or the error. */
function writeAll(fd: number, bytes: Uint8Array): number {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  return bytes.length;
}

/** Takes away the piece of a chunk that did not fit, so that the file ends whole. */
function shorten(fd: number, length: number): void {
  try {
    ftruncateSync(fd, length);
  } catch {
    // then it ends in the middle, and a reader says so
  }
}

function whyOf(error: unknown): { readonly why: string; readonly fix?: string } {
  const why = (error as NodeJS.ErrnoException).code ?? String(error);
  const full = why === 'ENOSPC' || why === 'EDQUOT';
  return { why, ...(full ? { fix: 'make room there or write elsewhere; record --max-size bounds a recording' } : {}) };
}

function* chunksOf(records: Iterable<RawRecord>): Generator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let size = 0;
  for (const record of records) {
    const bytes = encodeRecord(record);
    waiting.push(bytes);
    if ((size += bytes.length) < CHUNK) continue;
    yield chunk(waiting);
    waiting = [];
    size = 0;
  }
  if (waiting.length > 0) yield chunk(waiting);
}

function header(): Uint8Array {
  const out = Buffer.alloc(HEADER);
  out.write(MAGIC, 'latin1');
  out.writeUInt32LE(VERSION, MAGIC.length);
  return out;
}

function chunk(records: readonly Uint8Array[]): Uint8Array {
  const payload = deflateRawSync(Buffer.concat(records), { level: 1 });
  const out = Buffer.alloc(8 + payload.length);
  out.writeUInt32LE(payload.length, 0);
  out.writeUInt32LE(crc32(payload), 4);
  payload.copy(out, 8);
  return out;
}

export type RecordingStatus = 'complete' | 'cut' | 'damaged' | 'not-a-recording' | 'newer-version';

/** Begins as a recording does. */
export const isRecording = (bytes: Uint8Array): boolean => Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, MAGIC.length)).toString('latin1') === MAGIC;

/** Reads what is whole. `damaged`: a chunk in the middle was skipped. */
export function readRecording(bytes: Uint8Array): { records: readonly RawRecord[]; status: RecordingStatus; version?: number } {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (file.length < HEADER || file.toString('latin1', 0, MAGIC.length) !== MAGIC) return { records: [], status: 'not-a-recording' };
  const version = file.readUInt32LE(MAGIC.length);
  if (version > VERSION || version === 0) return { records: [], status: 'newer-version', version };
  const records: RawRecord[] = [];
  let status: RecordingStatus = 'complete';
  let at = HEADER;
  while (at < file.length) {
    if (at + 8 > file.length) return { records: upgrade(records, version), status: 'cut', version };
    const length = file.readUInt32LE(at);
    const end = at + 8 + length;
    if (length > MAX_CHUNK || end > file.length) return { records: upgrade(records, version), status: 'cut', version };
    const payload = file.subarray(at + 8, end);
    const inflated = crc32(payload) === file.readUInt32LE(at + 4) ? inflate(payload) : undefined;
    if (inflated === undefined) status = 'damaged';
    else {
      const decoded = decodeRecords(inflated);
      for (const record of decoded.records) records.push(record);
      if (decoded.status !== 'complete') status = 'damaged';
    }
    at = end;
  }
  return { records: upgrade(records, version), status, version };
}

function inflate(payload: Uint8Array): Uint8Array | undefined {
  try {
    return inflateRawSync(payload, { maxOutputLength: MAX_INFLATED });
  } catch {
    return undefined; // damaged or a bomb: the status says so
  }
}
