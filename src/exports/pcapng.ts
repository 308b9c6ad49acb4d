import { placeText } from '../base/symbol.ts';
import { clip, printable } from '../base/text.ts';
import type { DropEvent } from '../model/event.ts';
import type { CapturedHead, Exported } from './exported.ts';

/**
 * The heads of the dropped packets as pcapng (draft-ietf-opsawg-pcapng; little endian): one interface description for each
 * namespace, interface and link type, time stamps in ns, the original lengths, and a comment with the verdict on each
 * packet. Packets without an Ethernet header have a Linux cooked header of version 2 (LINKTYPE_LINUX_SLL2) before them.
 */
export function* pcapngOf(exported: Exported): Generator<Uint8Array> {
  const { host } = exported;
  yield block(SECTION, [u32(0x1a2b3c4d), u16(1), u16(0), new Uint8Array(8).fill(0xff)], [[2, host.machine ?? ''], [3, `Linux ${host.kernel}`], [4, `whydrop ${host.whydrop}`], [1, `packets that were dropped on ${host.hostname}`]]);
  const interfaces = new Map<string, number>();
  const titles = new Map(exported.incidents.map((i) => [i.id, i]));
  for (const { event, incident, captured } of exported.events) {
    if (event.kind !== 'drop' || captured === undefined) continue;
    const key = `${event.netns} ${event.interface ?? ''} ${captured.begins}`;
    let id = interfaces.get(key);
    if (id === undefined) {
      id = interfaces.size;
      interfaces.set(key, id);
      const space = exported.netnsNames.get(event.netns) ?? `net:[${event.netns}]`;
      yield block(INTERFACE, [u16(captured.begins === 'ethernet' ? LINKTYPE_ETHERNET : LINKTYPE_LINUX_SLL2), u16(0), u32(0)], [[2, `${space}/${event.interface ?? 'no interface'}`], [3, `network namespace ${space}`], [9, new Uint8Array([9])]]);
    }
    const bytes = captured.begins === 'ethernet' ? captured.bytes : cooked(event, captured);
    const length = captured.originalLength + (bytes.length - captured.bytes.length);
    const time = BigInt.asUintN(64, event.time + exported.realtimeOffset);
    yield block(PACKET, [u32(id), u32(Number(time >> 32n)), u32(Number(time & 0xffffffffn)), u32(bytes.length), u32(length), bytes, padding(bytes.length)], [[1, comment(event, incident === undefined ? undefined : titles.get(incident.id))]]);
  }
}

const SECTION = 0x0a0d0d0a, INTERFACE = 1, PACKET = 6;
const LINKTYPE_ETHERNET = 1, LINKTYPE_LINUX_SLL2 = 276;
/** A comment longer than this is a sentence too many. */
const COMMENT = 900;

function comment(event: DropEvent, incident: Exported['incidents'][number] | undefined): string {
  const parts = [
    `reason ${event.reason.name} in ${placeText(event.place)}`,
    ...(incident === undefined ? [] : [`cause ${incident.cause.id}: ${incident.culprit.text}`]),
    event.softirq ? 'in softirq' : `process ${event.task.comm} (pid ${event.task.pid})`,
    ...(event.packet.defects.length === 0 ? [] : [event.packet.defects.map((d) => d.text).join(', ')]),
  ];
  return clip(printable(parts.join('; ')), COMMENT);
}

/** LINKTYPE_LINUX_SLL2: protocol, reserved, interface index, ARPHRD, packet type, address length, address; 20 bytes, network order. */
function cooked(event: DropEvent, { bytes }: CapturedHead): Uint8Array {
  const out = new Uint8Array(20 + bytes.length);
  const v = new DataView(out.buffer);
  v.setUint16(0, event.protocol === 0 ? ((bytes[0] ?? 0) >> 4 === 6 ? 0x86dd : 0x0800) : event.protocol);
  v.setUint32(4, event.ifindex);
  v.setUint16(8, 0xfffe); // ARPHRD_NONE
  v.setUint8(10, event.incoming === undefined ? 4 : 0); // PACKET_OUTGOING, PACKET_HOST
  out.set(bytes, 20);
  return out;
}

type Options = readonly (readonly [code: number, value: string | Uint8Array])[];

function block(type: number, body: readonly Uint8Array[], options: Options): Uint8Array {
  const parts = [...body];
  for (const [code, value] of options) {
    const bytes = typeof value === 'string' ? utf8.encode(printable(value)) : value;
    if (bytes.length === 0 || bytes.length > 0xffff) continue;
    parts.push(u16(code), u16(bytes.length), bytes, padding(bytes.length));
  }
  parts.push(u32(0)); // opt_endofopt
  const total = 12 + parts.reduce((n, p) => n + p.length, 0);
  const out = new Uint8Array(total);
  const v = new DataView(out.buffer);
  v.setUint32(0, type, true);
  v.setUint32(4, total, true);
  let at = 8;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  v.setUint32(at, total, true);
  return out;
}

const utf8 = new TextEncoder();
const padding = (length: number): Uint8Array => new Uint8Array((4 - (length % 4)) % 4);
const u16 = (n: number): Uint8Array => new Uint8Array([n & 255, n >> 8]);
const u32 = (n: number): Uint8Array => new Uint8Array([n & 255, (n >>> 8) & 255, (n >>> 16) & 255, n >>> 24]);
