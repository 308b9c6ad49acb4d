import { createHmac } from 'node:crypto';
import { mac as macText } from '../../base/bytes.ts';
import { inetText, parseInet } from '../../base/inet.ts';

/**
 * Replaces addresses so that two that shared their first n bits still do (prefix-preserving, one-to-one), MAC addresses
 * and names one-to-one. What means something to the kernel stays what it is: loopback, unspecified, multicast, reserved
 * and broadcast addresses whole; private, link-local and unique-local ones keep the prefix that makes them so.
 */
export interface Mapping {
  /** In place. */
  inet(bytes: Uint8Array, at: number, family: 4 | 6): void;
  mac(bytes: Uint8Array, at: number): void;
  inetText(text: string, prefix?: number): string;
  macText(text: string): string;
  name(kind: string, name: string): string;
  /** Everything that was replaced, as text, with what it became: for the proof. */
  readonly seen: { readonly inet: ReadonlyMap<string, string>; readonly mac: ReadonlyMap<string, string>; readonly names: ReadonlyMap<string, string> };
}

/** Prefixes whose bits stay; `whole`: all bits. */
const KEPT: readonly { readonly prefix: string; readonly length: number; readonly whole: boolean }[] = [
  { prefix: '0.0.0.0', length: 8, whole: true }, { prefix: '127.0.0.0', length: 8, whole: true }, { prefix: '224.0.0.0', length: 3, whole: true },
  { prefix: '10.0.0.0', length: 8, whole: false }, { prefix: '172.16.0.0', length: 12, whole: false }, { prefix: '192.168.0.0', length: 16, whole: false },
  { prefix: '169.254.0.0', length: 16, whole: false }, { prefix: '100.64.0.0', length: 10, whole: false },
  { prefix: '::', length: 96, whole: true }, { prefix: 'ff00::', length: 8, whole: true }, { prefix: 'fe80::', length: 64, whole: false }, { prefix: 'fc00::', length: 7, whole: false },
  { prefix: '2000::', length: 3, whole: false }, { prefix: '64:ff9b::', length: 96, whole: false },
];

const bitsOf = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(2).padStart(8, '0')).join('');
const KEPT_BITS = KEPT.map((k) => {
  const inet = parseInet(k.prefix)!;
  return { family: inet.family, bits: bitsOf(inet.bytes).slice(0, k.length), whole: k.whole };
});

/** The address of a kept prefix itself: no bit behind it is set. */
const isWellKnown = (family: 4 | 6, bits: string): boolean => KEPT_BITS.some((k) => k.family === family && bits.startsWith(k.bits) && !bits.slice(k.bits.length).includes('1'));

export function createMapping(key: Uint8Array): Mapping {
  const inets = new Map<string, string>();
  const images = new Map<string, Uint8Array>();
  const macs = new Map<string, string>();
  const names = new Map<string, string>();
  const flips = new Map<string, boolean>();
  const prf = (text: string): Buffer => createHmac('sha256', key).update(text).digest();

  /** Whether the bit behind this prefix is turned over. On the way to a kept prefix none is. */
  const flip = (family: 4 | 6, prefix: string): boolean => {
    const name = `${family}${prefix}`;
    let f = flips.get(name);
    if (f === undefined) {
      f = !KEPT_BITS.some((k) => k.family === family && k.bits.length > prefix.length && k.bits.startsWith(prefix)) && (prf(name)[0]! & 1) === 1;
      flips.set(name, f);
    }
    return f;
  };

  const image = (bytes: Uint8Array, family: 4 | 6): Uint8Array => {
    const id = `${family}${Buffer.from(bytes).toString('hex')}`;
    const known = images.get(id);
    if (known !== undefined) return known;
    const made = Uint8Array.from(bytes);
    const bits = bitsOf(bytes);
    if (family === 6 && bits.startsWith(MAPPED)) made.set(image(bytes.subarray(12), 4), 12);
    else if (family === 6 && bits.startsWith(SOLICITED)) made.fill(0, 13); // its low bits are an address's
    else if (!KEPT_BITS.some((k) => k.family === family && k.whole && bits.startsWith(k.bits))) {
      for (let i = 0; i < bits.length; i++) if (flip(family, bits.slice(0, i))) made[i >> 3]! ^= 0x80 >> (i & 7);
      // `fe80::` and `10.0.0.0` alone tell of nobody, and stand in texts as well-known prefixes
      if (!isWellKnown(family, bits)) inets.set(inetText(family, bytes)!, inetText(family, made)!);
    }
    images.set(id, made);
    return made;
  };

  const macImage = (text: string): string => {
    const known = macs.get(text);
    if (known !== undefined) return known;
    const bytes = text.split(':').map((b) => Number.parseInt(b, 16));
    // no address, broadcast, and the groups of IPv4, IPv6 and bridges
    if (bytes.every((b) => b === 0) || bytes.every((b) => b === 255) || (bytes[0]! & 1) === 1) return text;
    const random = prf(`mac ${text}`);
    const made = [(bytes[0]! & 3) | (random[0]! & 0xfc), ...random.subarray(1, 6)].map((b) => b.toString(16).padStart(2, '0')).join(':');
    macs.set(text, made);
    return made;
  };

  return {
    seen: { inet: inets, mac: macs, names },
    inet: (bytes, at, family) => {
      const size = family === 4 ? 4 : 16;
      if (at < 0 || at + size > bytes.length) return;
      bytes.set(image(bytes.subarray(at, at + size), family), at);
    },
    mac: (bytes, at) => {
      const text = macText(bytes, at);
      if (text !== undefined) bytes.set(macImage(text).split(':').map((b) => Number.parseInt(b, 16)), at);
    },
    inetText: (text, prefix) => {
      const inet = parseInet(text);
      if (inet === undefined) return text;
      const made = Uint8Array.from(image(inet.bytes, inet.family));
      if (prefix !== undefined && !bitsOf(inet.bytes).slice(prefix).includes('1')) {
        for (let i = prefix; i < made.length * 8; i++) made[i >> 3]! &= ~(0x80 >> (i & 7));
      }
      return inetText(inet.family, made) ?? text;
    },
    macText: (text) => macImage(text.toLowerCase()),
    name: (kind, name) => {
      if (name === '') return name;
      const id = `${kind} ${name}`;
      let made = names.get(id);
      if (made === undefined) {
        made = `${kind}-${prf(id).toString('hex').slice(0, 6)}`;
        names.set(id, made);
      }
      return made;
    },
  };
}

const MAPPED = bitsOf(parseInet('::ffff:0.0.0.0')!.bytes).slice(0, 96);
const SOLICITED = bitsOf(parseInet('ff02::1:ff00:0')!.bytes).slice(0, 104);
