import { parseInet } from '../../base/inet.ts';
import type { DropEvent } from '../../model/event.ts';
import type { TrafficFilter } from '../../model/network.ts';

/**
 * The head of a dropped packet as bytes again, from its Ethernet header on: enough for classifiers that look at
 * addresses, protocols and ports. Undefined for a packet without an IP header.
 */
export function headBytes(drop: DropEvent): Uint8Array | undefined {
  const { ip, ethernet, transport } = drop.packet;
  if (ip === undefined) return undefined;
  const source = parseInet(ip.source)?.bytes, destination = parseInet(ip.destination)?.bytes;
  if (source === undefined || destination === undefined) return undefined;
  const headLength = ip.version === 4 ? Math.max(20, ip.headerLength) : 40;
  const bytes = new Uint8Array(14 + headLength + 20);
  const view = new DataView(bytes.buffer);
  macInto(bytes, 0, ethernet?.destination);
  macInto(bytes, 6, ethernet?.source);
  view.setUint16(12, drop.protocol);
  if (ip.version === 4) {
    bytes[14] = 0x40 | (headLength >> 2);
    bytes[15] = ip.tos;
    view.setUint16(16, ip.totalLength);
    view.setUint16(18, ip.id ?? 0);
    view.setUint16(20, (ip.dontFragment === true ? 0x4000 : 0) | (ip.moreFragments === true ? 0x2000 : 0) | ((ip.fragmentOffset ?? 0) >> 3));
    bytes[22] = ip.ttl;
    bytes[23] = ip.protocol;
    bytes.set(source.subarray(0, 4), 26);
    bytes.set(destination.subarray(0, 4), 30);
  } else {
    bytes[14] = 0x60;
    view.setUint16(18, Math.max(0, ip.totalLength - 40));
    bytes[20] = ip.protocol;
    bytes[21] = ip.ttl;
    bytes.set(source, 22);
    bytes.set(destination, 38);
  }
  const at = 14 + headLength;
  if (transport !== undefined && 'sourcePort' in transport) {
    view.setUint16(at, transport.sourcePort);
    view.setUint16(at + 2, transport.destinationPort);
    if (transport.kind === 'tcp') bytes[at + 13] = transport.flags;
  } else if (transport?.kind === 'icmp' || transport?.kind === 'icmp6') {
    bytes[at] = transport.type;
    bytes[at + 1] = transport.code;
  }
  return bytes;
}

function macInto(bytes: Uint8Array, at: number, mac: string | undefined): void {
  mac?.split(':').forEach((part, i) => {
    bytes[at + i] = Number.parseInt(part, 16);
  });
}

/**
 * Runs a classic BPF program on the bytes (man page bpf(4); linux/filter.h). Undefined when it leaves the bytes that
 * are known, or asks for something a head does not tell.
 */
export function runClassic(code: NonNullable<TrafficFilter['bytecode']>, bytes: Uint8Array, length: number): number | undefined {
  let a = 0, x = 0, pc = 0;
  const memory = new Uint32Array(16);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const load = (at: number, size: number): number | undefined => (at < 0 || at + size > bytes.length ? undefined : size === 4 ? view.getUint32(at) : size === 2 ? view.getUint16(at) : view.getUint8(at));
  for (let steps = 0; steps < 4096; steps++) {
    const i = code[pc];
    if (i === undefined) return undefined;
    pc += 1;
    const size = (i.code & 0x18) === 0x00 ? 4 : (i.code & 0x18) === 0x08 ? 2 : 1;
    const mode = i.code & 0xe0;
    const operand = (i.code & 0x08) !== 0 ? x : i.k;
    switch (i.code & 0x07) {
      case 0x00: { // LD
        const value = mode === 0x00 ? i.k : mode === 0x20 ? load(i.k, size) : mode === 0x40 ? load(x + i.k, size) : mode === 0x60 ? memory[i.k] : mode === 0x80 ? length : undefined;
        if (value === undefined) return undefined;
        a = value >>> 0;
        break;
      }
      case 0x01: { // LDX
        const msh = mode === 0xa0 ? load(i.k, 1) : undefined;
        const value = mode === 0x00 ? i.k : mode === 0x60 ? memory[i.k] : mode === 0x80 ? length : msh === undefined ? undefined : (msh & 0xf) * 4;
        if (value === undefined) return undefined;
        x = value >>> 0;
        break;
      }
      case 0x02: memory[i.k & 15] = a; break;
      case 0x03: memory[i.k & 15] = x; break;
      case 0x04: { // ALU
        const op = i.code & 0xf0;
        if ((op === 0x30 || op === 0x90) && operand === 0) return 0;
        a = (op === 0x00 ? a + operand : op === 0x10 ? a - operand : op === 0x20 ? Math.imul(a, operand) : op === 0x30 ? Math.floor(a / operand) : op === 0x40 ? a | operand : op === 0x50 ? a & operand : op === 0x60 ? a << operand : op === 0x70 ? a >>> operand : op === 0x80 ? -a : op === 0x90 ? a % operand : a ^ operand) >>> 0;
        break;
      }
      case 0x05: { // JMP
        const op = i.code & 0xf0;
        if (op === 0x00) pc += i.k;
        else pc += (op === 0x10 ? a === operand >>> 0 : op === 0x20 ? a > operand : op === 0x30 ? a >= operand : (a & operand) !== 0) ? i.jt : i.jf;
        break;
      }
      case 0x06: return (i.code & 0x18) === 0x10 ? a : i.k >>> 0; // RET
      case 0x07: if ((i.code & 0xf8) === 0x80) a = x; else x = a; break; // TXA, TAX
    }
  }
  return undefined;
}

const PROTOCOLS: Readonly<Record<string, number>> = { ip: 0x0800, ipv4: 0x0800, ipv6: 0x86dd, arp: 0x0806, '802.1Q': 0x8100, '802.1q': 0x8100 };

/** Whether a traffic-control filter matches the packet: true, false, or undefined when that cannot be told from here. */
export function filterMatches(filter: TrafficFilter, drop: DropEvent): boolean | undefined {
  const protocol = PROTOCOLS[filter.protocol];
  if (protocol !== undefined && protocol !== drop.protocol) return false;
  const bytes = headBytes(drop);
  if (filter.bytecode !== undefined) {
    const result = bytes === undefined ? undefined : runClassic(filter.bytecode, bytes, drop.length);
    // 0: no match; with direct action the value is the verdict, -1 goes on to the next filter
    return result === undefined ? undefined : filter.directAction ? result === 2 : result !== 0;
  }
  if (filter.kind === 'u32' && filter.matches.length > 0) {
    if (bytes === undefined) return undefined;
    const view = new DataView(bytes.buffer);
    return filter.matches.every((m) => m.offset + 18 <= bytes.length && ((view.getUint32(14 + m.offset) & m.mask) >>> 0) === ((m.value & m.mask) >>> 0));
  }
  return filter.kind === 'matchall' ? true : undefined;
}
