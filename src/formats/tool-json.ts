import { parseInet } from '../base/inet.ts';
import type { Tuple } from '../model/event.ts';
import { frameOf, tupleOf } from './drop-tools.ts';
import type { Frame } from './evidence-record.ts';
import type { Json } from './json-fields.ts';

/* What the JSON of retis and of pwru have in common. */

const MOST_FRAMES = 128;
/** Bytes of a packet that are looked at. */
const HEAD = 512;

/** Innermost first: a list of names, an object with one, or text with a line each. */
export function stackOf(value: unknown): readonly Frame[] {
  const names = Array.isArray(value) ? value : typeof value === 'string' ? value.split('\n') : typeof value === 'object' && value !== null && Array.isArray((value as Json)['raw']) ? ((value as Json)['raw'] as unknown[]) : [];
  return names.slice(0, MOST_FRAMES).flatMap((name) => {
    const frame = typeof name === 'string' ? frameOf(name.trim()) : undefined;
    return frame === undefined ? [] : [frame];
  });
}

export function base64Head(data: string | undefined): Uint8Array | undefined {
  if (data === undefined || !/^[A-Za-z0-9+/]{16,}={0,2}$/.test(data)) return undefined;
  const digits = data.slice(0, Math.ceil(HEAD / 3) * 4).replace(/=+$/, '');
  // one digit over makes no byte, and atob refuses it
  return Uint8Array.from(atob(digits.length % 4 === 1 ? digits.slice(0, -1) : digits), (c) => c.charCodeAt(0));
}

/** Addresses with or without brackets; undefined where one is none, as for packets without IP. */
export function tupleFrom(protocol: number | undefined, source: string | undefined, destination: string | undefined, sourcePort?: number, destinationPort?: number): Tuple | undefined {
  const from = unbracketed(source), to = unbracketed(destination);
  if (from === undefined || to === undefined || protocol === undefined || !Number.isInteger(protocol) || protocol < 0 || protocol > 255) return undefined;
  return tupleOf(protocol, { address: from, ...port(sourcePort) }, { address: to, ...port(destinationPort) });
}

function unbracketed(text: string | undefined): string | undefined {
  const address = text?.replace(/^\[(.*)\]$/, '$1');
  return address === undefined || parseInet(address) === undefined ? undefined : address;
}

const port = (value: number | undefined): { readonly port?: number } => (value === undefined || !Number.isInteger(value) || value < 0 || value > 0xffff ? {} : { port: value });
