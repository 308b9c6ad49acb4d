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
import { closeSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Sink } from '../model/capture.ts';
import type { RawRecord } from '../model/record.ts';
import type { Unavailable } from '../model/unavailable.ts';
import { decodeRecords, encodeRecord } from './record-codec.ts';
import { upgrade } from './upgrade.ts';

export const VERSION = 1;
const MAGIC = 'whydrop recording\n';
const HEADER = MAGIC.length + 4;
/** A chunk that claims more is not believed. */
const MAX_CHUNK = 64 << 20;
const MAX_INFLATED = 256 << 20;
/** Written when this much is waiting, or by {@link Recorder.flush}. */
const CHUNK = 1 << 20;

export interface Recorder {
  readonly write: Sink;
  /** Call it once a second: what was written before is then safe from a crash. */
  flush(): void;
  readonly bytesWritten: number;
  close(): void;
}

export function createRecorder(path: string, maxSize?: number): Recorder | Unavailable {
  let fd: number;
  try {
    fd = openSync(path, 'w', 0o600);
  } catch (error) {
    return { unavailable: 'permission', what: `creating ${path}`, why: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
  let waiting: Uint8Array[] = [];
  let size = 0;
  let written = writeSync(fd, header());
  const flush = (): void => {
    if (waiting.length === 0) return;
    written += writeSync(fd, chunk(waiting));
    waiting = [];
    size = 0;
    if (maxSize !== undefined && written > maxSize) {
      const thinned = thin(readRecording(readFileSync(path)).records, maxSize / 2);
      const aside = `${path}.thinning`;
      const next = openSync(aside, 'w', 0o600);
      written = writeSync(next, header()) + writeSync(next, chunk(thinned.map(encodeRecord)));
      renameSync(aside, path);
      closeSync(fd);
      fd = next;
    }
  };
  return {
    write: (record) => {
      const bytes = encodeRecord(record);
      waiting.push(bytes);
      size += bytes.length;
      if (size >= CHUNK) flush();
    },
    flush,
    get bytesWritten() {
      return written;
    },
    close: () => {
      flush();
      closeSync(fd);
    },
  };
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

/**
 * Makes a recording smaller without making it lie: of the samples every second one goes, the oldest first, until the
 * rest fits; counts, answers, conntrack events and what was missed stay.
 */
export function thin(records: readonly RawRecord[], target: number): readonly RawRecord[] {
  const isSample = (r: RawRecord): boolean => r.record === 'drop-sample' || r.record === 'trace-page' || r.record === 'call';
  let kept = [...records];
  let dropped = 0;
  for (let round = 0; round < 12; round++) {
    const size = kept.reduce((n, r) => n + ('bytes' in r ? r.bytes.length : 200) + 64, 0);
    if (size <= target || !kept.some(isSample)) break;
    const half = Math.ceil(kept.length / 2);
    let odd = false;
    const next = kept.filter((r, i) => {
      if (i >= half || !isSample(r)) return true;
      odd = !odd;
      return odd;
    });
    if (next.length === kept.length) break;
    dropped += kept.length - next.length;
    kept = next;
  }
  const last = kept.at(-1);
  if (dropped > 0 && last !== undefined) kept.push({ record: 'missed', time: last.time, source: 'recording', count: dropped, text: `${dropped} older samples were left out to keep the file within --max-size; counts are whole` });
  return kept;
}
