import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { recogniseEvidence, type EvidenceFile } from '../../formats/evidence-file.ts';
import { isTraceDat } from '../../formats/trace-dat.ts';
import { isRecording } from '../../recording/file.ts';
import { UsageError } from '../exit.ts';
import { traceDatEvidence } from './trace-dat.ts';

const MOST_FILES = 2000;
/** More of one text is not read: a trace of a whole day is better cut by whoever has it. */
const MOST_BYTES = 256 * 1024 * 1024;

/** Files under the given paths, recognised; and those that could not be read, with the reason. */
export function readEvidence(paths: readonly string[]): { readonly files: readonly EvidenceFile[]; readonly unreadable: readonly { readonly path: string; readonly why: string }[] } {
  const files: EvidenceFile[] = [];
  const unreadable: { path: string; why: string }[] = [];
  for (const { path, name } of paths.flatMap((p) => found(p, unreadable))) {
    if (files.length + unreadable.length >= MOST_FILES) {
      unreadable.push({ path: name, why: `more than ${MOST_FILES} files` });
      break;
    }
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(path);
    } catch (error) {
      unreadable.push({ path: name, why: code(error) });
      continue;
    }
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
      try {
        bytes = gunzipSync(bytes, { maxOutputLength: MOST_BYTES });
      } catch (error) {
        unreadable.push({ path: name, why: `gzip: ${code(error)}` });
        continue;
      }
    }
    if (isTraceDat(bytes)) {
      const trace = traceDatEvidence(name, bytes);
      files.push(...trace.files);
      if (trace.why.length > 0) unreadable.push({ path: name, why: `${trace.why.map((w) => w.replace(/^trace\.dat: /, '')).join('; ')}` });
    } else if (isRecording(bytes)) unreadable.push({ path: name, why: 'a recording of whydrop: whydrop replay FILE judges it' });
    else if (bytes.subarray(0, 4096).includes(0) || binaryKind(bytes) !== 'not text') unreadable.push({ path: name, why: binaryKind(bytes) });
    else files.push(recogniseEvidence(name, decoder.decode(bytes.length > MOST_BYTES ? bytes.subarray(0, MOST_BYTES) : bytes)));
  }
  return { files, unreadable };
}

const decoder = new TextDecoder('utf-8');

const MAGICS: readonly (readonly [at: number, bytes: string, why: string])[] = [
  [0, 'PERFILE2', 'perf.data: perf script -i FILE --header > perf.txt, on the machine it was recorded on, prints it as text'],
  [0, '\u00fd7zXZ', 'an archive (xz): unpack it first'], [0, 'BZh', 'an archive (bzip2): unpack it first'], [0, '(\u00b5/\u00fd', 'an archive (zstd): unpack it first'], [0, 'PK\u0003\u0004', 'an archive (zip): unpack it first'], [257, 'ustar', 'an archive (tar): unpack it first'],
  [0, '\u00d4\u00c3\u00b2\u00a1', 'packets that were captured (pcap): they were seen, a lost one is not among them'], [0, 'M<\u00b2\u00a1', 'packets that were captured (pcap): they were seen, a lost one is not among them'], [0, '\n\r\r\n', 'packets that were captured (pcapng): they were seen, a lost one is not among them'],
];

/** What a file that is no text seems to be. */
function binaryKind(bytes: Uint8Array): string {
  return MAGICS.find(([at, magic]) => [...magic].every((c, i) => bytes[at + i] === c.charCodeAt(0)))?.[2] ?? 'not text';
}

function found(path: string, unreadable: { path: string; why: string }[]): readonly { readonly path: string; readonly name: string }[] {
  let directory: boolean;
  try {
    directory = statSync(path).isDirectory();
  } catch (error) {
    throw new UsageError(`reading ${path}: ${code(error)}`);
  }
  if (!directory) return [{ path, name: basename(path) }];
  try {
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((f) => f.isFile())
      .map((f) => join(f.parentPath, f.name))
      .sort()
      .map((file) => ({ path: file, name: relative(path, file) }));
  } catch (error) {
    unreadable.push({ path, why: code(error) });
    return [];
  }
}

const code = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** What a file holds, by its first bytes: something to replay, a trace.dat, or something to read as text. Undefined: neither, or a folder. */
export function kindOf(path: string): 'recording' | 'trace.dat' | 'text' | undefined {
  let head: Uint8Array;
  try {
    if (!statSync(path).isFile()) return undefined;
    head = headOf(path);
  } catch {
    return undefined; // whoever opens it says what is wrong
  }
  if (isTraceDat(head)) return 'trace.dat';
  if (isRecording(head)) return 'recording';
  return head.length > 0 && !head.includes(0) && !(head[0] === 0x1f && head[1] === 0x8b) ? 'text' : undefined;
}

function headOf(path: string): Uint8Array {
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(4096);
    return head.subarray(0, readSync(fd, head, 0, head.length, 0));
  } finally {
    closeSync(fd);
  }
}
