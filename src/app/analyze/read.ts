import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { recogniseEvidence, type EvidenceFile } from '../../formats/evidence-file.ts';
import { isTraceDat } from '../../formats/trace-dat.ts';
import { isRecording } from '../../recording/file.ts';
import { UsageError } from '../exit.ts';

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
    if (isTraceDat(bytes)) unreadable.push({ path: name, why: 'a trace.dat: whydrop replay FILE judges it, trace-cmd report FILE prints it as text' });
    else if (isRecording(bytes)) unreadable.push({ path: name, why: 'a recording of whydrop: whydrop replay FILE judges it' });
    else if (bytes.subarray(0, 4096).includes(0)) unreadable.push({ path: name, why: 'not text' });
    else files.push(recogniseEvidence(name, decoder.decode(bytes.length > MOST_BYTES ? bytes.subarray(0, MOST_BYTES) : bytes)));
  }
  return { files, unreadable };
}

const decoder = new TextDecoder('utf-8');

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

/** What a file holds, by its first bytes: something to replay, or something to read as text. Undefined: neither, or a folder. */
export function kindOf(path: string): 'binary' | 'text' | undefined {
  let head: Uint8Array;
  try {
    if (!statSync(path).isFile()) return undefined;
    head = headOf(path);
  } catch {
    return undefined; // whoever opens it says what is wrong
  }
  if (isTraceDat(head) || isRecording(head)) return 'binary';
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
