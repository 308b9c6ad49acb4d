/**
 * One raw record as bytes: `u32 n, n bytes of JSON, u32 m, m bytes of blob` (little endian). The JSON holds the record's
 * fields; its one field of bytes, if it has one, is the blob. Bigints are `{"$": "123"}`.
 */
import type { RawRecord } from '../model/record.ts';
import { isRecord } from './record-shape.ts';

const text = new TextEncoder();
const utf8 = new TextDecoder('utf-8');

export function encodeRecord(record: RawRecord): Uint8Array {
  const blob = blobOf(record);
  const fields = blob === undefined ? record : { ...record, [blob.field]: { bytes: blob.bytes.length } };
  const json = text.encode(JSON.stringify(fields, (_, value: unknown) => (typeof value === 'bigint' ? { $: value.toString() } : value)));
  const blobLength = blob?.bytes.length ?? 0;
  const out = new Uint8Array(8 + json.length + blobLength);
  const view = new DataView(out.buffer);
  view.setUint32(0, json.length, true);
  out.set(json, 4);
  view.setUint32(4 + json.length, blobLength, true);
  if (blob !== undefined) out.set(blob.bytes, 8 + json.length);
  return out;
}

function blobOf(record: RawRecord): { field: 'bytes' | 'body'; bytes: Uint8Array } | undefined {
  if ('bytes' in record) return { field: 'bytes', bytes: record.bytes };
  if (record.record === 'answer' && record.body instanceof Uint8Array) return { field: 'body', bytes: record.body };
  return undefined;
}

export type DecodeStatus = 'complete' | 'cut' | 'malformed';

/** Decodes records one after the other; stops at the first that is cut or makes no sense, with what came before. */
export function decodeRecords(bytes: Uint8Array): { records: RawRecord[]; status: DecodeStatus } {
  const records: RawRecord[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return { records, status: 'cut' };
    const jsonLength = view.getUint32(at, true);
    const blobAt = at + 4 + jsonLength;
    if (blobAt + 4 > bytes.length) return { records, status: 'cut' };
    const blobLength = view.getUint32(blobAt, true);
    const end = blobAt + 4 + blobLength;
    if (end > bytes.length) return { records, status: 'cut' };
    const record = parse(utf8.decode(bytes.subarray(at + 4, blobAt)), new Uint8Array(bytes.subarray(blobAt + 4, end)));
    if (record === undefined) return { records, status: 'malformed' };
    records.push(record);
    at = end;
  }
  return { records, status: 'complete' };
}

function parse(json: string, blob: Uint8Array): RawRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json, (_, v: unknown) => {
      if (typeof v !== 'object' || v === null) return v;
      const { $, bytes, ...rest } = v as { $?: unknown; bytes?: unknown };
      if (Object.keys(rest).length > 0) return v;
      if (typeof $ === 'string' && /^-?\d{1,40}$/.test($)) return BigInt($);
      if (typeof bytes === 'number' && bytes === blob.length) return blob;
      return v;
    });
  } catch {
    return undefined; // not JSON: the caller's status says so
  }
  return isRecord(value) ? value : undefined;
}
