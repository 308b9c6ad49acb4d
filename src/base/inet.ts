/** Internet addresses as text and bytes. Text is canonical: dotted quad, RFC 5952 for IPv6. Nothing here throws. */

import { rememberText } from './remember.ts';

export interface InetAddress {
  readonly family: 4 | 6;
  /** Network order: 4 or 16 bytes. */
  readonly bytes: Uint8Array;
}

export interface InetPrefix extends InetAddress {
  /** Bits that count, 0 to 32 or 128. */
  readonly length: number;
}

const ipv4 = rememberText(4, 1024, (b, at) => `${b[at]}.${b[at + 1]}.${b[at + 2]}.${b[at + 3]}`);

/** `10.0.0.1`; undefined when fewer than four bytes are there. */
export const ipv4Text = (b: Uint8Array, at = 0): string | undefined => ipv4(b, at);

const ipv6 = rememberText(16, 1024, (b, at) => {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push((b[at + 2 * i]! << 8) | b[at + 2 * i + 1]!);
  if (groups[5] === 0xffff && groups.slice(0, 5).every((g) => g === 0)) return `::ffff:${ipv4Text(b, at + 12)}`;
  let best = -1, bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === 0) n++;
    if (n > bestLength) [best, bestLength] = [i, n];
    if (n > 0) i += n - 1;
  }
  const hex = (from: number, to: number): string => groups.slice(from, to).map((g) => g.toString(16)).join(':');
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
});

/**
 * `fd00::1`, by RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`;
 * IPv4-mapped addresses as `::ffff:10.0.0.1`. Undefined when fewer than sixteen bytes are there.
 */
export const ipv6Text = (b: Uint8Array, at = 0): string | undefined => ipv6(b, at);

export function inetText(family: number, b: Uint8Array, at = 0): string | undefined {
  return family === 4 ? ipv4Text(b, at) : ipv6Text(b, at);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const part = parts[i]!;
    if (!/^[0-9]{1,3}$/.test(part) || Number(part) > 255) return undefined;
    bytes[i] = Number(part);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | undefined {
  let rest = text;
  const tail: number[] = [];
  const dotted = /^(.*:)([0-9.]+)$/.exec(text);
  if (dotted !== null && dotted[2]!.includes('.')) {
    const v4 = parseIpv4(dotted[2]!);
    if (v4 === undefined) return undefined;
    tail.push((v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!);
    rest = dotted[1]!.endsWith('::') ? dotted[1]! : dotted[1]!.slice(0, -1);
  }
  const halves = rest.split('::');
  if (halves.length > 2) return undefined;
  const read = (half: string): number[] | undefined => {
    if (half === '') return [];
    const groups = half.split(':');
    return groups.every((g) => /^[0-9a-fA-F]{1,4}$/.test(g)) ? groups.map((g) => Number.parseInt(g, 16)) : undefined;
  };
  const left = read(halves[0]!), right = read(halves[1] ?? '');
  if (left === undefined || right === undefined) return undefined;
  const end = [...right, ...tail];
  const missing = 8 - left.length - end.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const bytes = new Uint8Array(16);
  [...left, ...Array.from({ length: missing }, () => 0), ...end].forEach((g, i) => {
    bytes[2 * i] = g >> 8;
    bytes[2 * i + 1] = g & 0xff;
  });
  return bytes;
}

/** `10.0.0.1` or `fd00::1` (a zone after `%` is ignored); undefined for anything else. */
export function parseInet(text: string): InetAddress | undefined {
  const zone = text.indexOf('%');
  const bare = zone < 0 ? text : text.slice(0, zone);
  if (bare.includes(':')) {
    const bytes = parseIpv6(bare);
    return bytes && { family: 6, bytes };
  }
  const bytes = parseIpv4(bare);
  return bytes && { family: 4, bytes };
}

/** `10.0.0.0/8`, `fd00::/64`, `10.0.0.0/255.0.0.0`, or an address alone (then all bits count). */
export function parsePrefix(text: string): InetPrefix | undefined {
  const slash = text.indexOf('/');
  const address = parseInet(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = address.bytes.length * 8;
  if (slash < 0) return { ...address, length: bits };
  const after = text.slice(slash + 1);
  if (/^[0-9]{1,3}$/.test(after)) return Number(after) <= bits ? { ...address, length: Number(after) } : undefined;
  const mask = parseInet(after);
  if (mask === undefined || mask.family !== address.family) return undefined;
  const binary = [...mask.bytes].map((b) => b.toString(2).padStart(8, '0')).join('');
  return /^1*0*$/.test(binary) ? { ...address, length: binary.lastIndexOf('1') + 1 } : undefined;
}

/** Whether the address lies in the prefix; false for another family. */
export function inPrefix(address: InetAddress, prefix: InetPrefix): boolean {
  if (address.family !== prefix.family) return false;
  const whole = prefix.length >> 3, rest = prefix.length & 7;
  for (let i = 0; i < whole; i++) if (address.bytes[i] !== prefix.bytes[i]) return false;
  return rest === 0 || ((address.bytes[whole]! ^ prefix.bytes[whole]!) & (0xff00 >> rest) & 0xff) === 0;
}

/** Text against text: `matchesPrefix('10.1.2.3', '10.0.0.0/8')`. False when either is malformed. */
export function matchesPrefix(address: string, prefix: string): boolean {
  const a = parseInet(address), p = parsePrefix(prefix);
  return a !== undefined && p !== undefined && inPrefix(a, p);
}

/** Orders addresses as numbers, IPv4 before IPv6: for ranges (`10.0.0.1-10.0.0.9`). */
export function compareInet(a: InetAddress, b: InetAddress): number {
  if (a.family !== b.family) return a.family - b.family;
  for (let i = 0; i < a.bytes.length; i++) if (a.bytes[i] !== b.bytes[i]) return a.bytes[i]! - b.bytes[i]!;
  return 0;
}

/** The IPv4 address that an IPv6 socket shows (RFC 4291 section 2.5.5.2): `::ffff:10.0.0.1` is 10.0.0.1. */
export function plainAddress(address: string): string {
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address;
}

export function isMulticastAddress(address: string): boolean {
  if (address.includes(':')) return /^ff/i.test(address);
  const first = Number(address.split('.', 1)[0]);
  return first >= 224 && first <= 239;
}

/** `10.0.0.1:53`, `[fd00::1]:53`; the address alone without a port. */
export function endpoint(address: string, port?: number): string {
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The reverse of {@link endpoint}. */
export function splitEndpoint(text: string): { readonly address: string; readonly port?: number } | undefined {
  const m = /^\[([^\]]+)\](?::([0-9]{1,5}))?$/.exec(text) ?? /^([^:]+):([0-9]{1,5})$/.exec(text);
  if (m === null) return parseInet(text) === undefined ? undefined : { address: text };
  const port = m[2];
  return parseInet(m[1]!) === undefined || Number(port ?? 0) > 65535 ? undefined : port === undefined ? { address: m[1]! } : { address: m[1]!, port: Number(port) };
}
