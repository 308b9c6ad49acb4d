import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodePacket } from '../../src/formats/packet.ts';
import { flowOf } from '../../src/model/flow.ts';
import type { Packet, Transport } from '../../src/model/packet.ts';

/*
 * traffic.pcap: 48 frames captured on 6.18 (veth; VXLAN; fragments; ICMP errors; UDP-Lite; extension headers), then 17
 * put together for what that kernel lacks (802.1Q, QinQ, GRE, IPIP, SIT, GENEVE, SCTP, DCCP, wrong checksums).
 * traffic.tsv: what Wireshark 4 says of them.
 */
const folder = new URL('../../fixtures/packets/', import.meta.url);
const frames = readPcap(readFileSync(new URL('traffic.pcap', folder)));
const [head, ...rows] = readFileSync(new URL('traffic.tsv', folder), 'utf8').replace(/\n$/, '').split('\n').map((line) => line.split('\t'));
const truth = rows.map((row) => (field: string): string => row[head!.indexOf(field)] ?? assert.fail(field));

function readPcap(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const list: Uint8Array[] = [];
  for (let at = 24; at < file.length;) {
    const length = view.getUint32(at + 8, true);
    list.push(file.subarray(at + 16, at + 16 + length));
    at += 16 + length;
  }
  return list;
}

const decodeFrame = (frame: Uint8Array): Packet => decodePacket(frame, { mac: 0, protocol: 0 });

/** The packet and all within it, outermost first. */
function layers(packet: Packet): Packet[] {
  const within = packet.inner?.packet ?? packet.quoted;
  return within === undefined ? [packet] : [packet, ...layers(within)];
}

const list = (values: readonly (string | number | undefined)[]): string => values.filter((v) => v !== undefined).join(',');

test('every header of real packets is as Wireshark reads it', () => {
  assert.equal(frames.length, truth.length);
  assert.ok(frames.length >= 60);
  frames.forEach((frame, i) => {
    const t = truth[i]!;
    const all = layers(decodeFrame(frame));
    const v4 = all.flatMap((p) => p.ip?.version === 4 ? [p.ip] : []);
    const v6 = all.flatMap((p) => p.ip?.version === 6 ? [p.ip] : []);
    const of = <K extends Transport['kind']>(kind: K): Extract<Transport, { kind: K } | (K extends 'icmp' | 'icmp6' ? { kind: 'icmp' | 'icmp6' } : K extends 'sctp' | 'dccp' ? { kind: 'sctp' | 'dccp' | 'udplite' } : never)>[] => all.flatMap((p) => p.transport?.kind === kind ? [p.transport as never] : []);
    const udp = all.flatMap((p) => p.transport?.kind === 'udp' || p.transport?.kind === 'udplite' ? [p.transport] : []);
    const ours: Record<string, string> = {
      'eth.src': list(all.map((p) => p.ethernet?.source)),
      'arp.opcode': list(all.map((p) => p.arp?.operation)), 'arp.src.proto_ipv4': list(all.map((p) => p.arp?.sender)), 'arp.dst.proto_ipv4': list(all.map((p) => p.arp?.target)),
      'ip.src': list(v4.map((ip) => ip.source)), 'ip.dst': list(v4.map((ip) => ip.destination)), 'ip.ttl': list(v4.map((ip) => ip.ttl)), 'ip.len': list(v4.map((ip) => ip.totalLength)),
      'ip.frag_offset': list(v4.map((ip) => ip.fragmentOffset! / 8)), 'ip.flags.mf': list(v4.map((ip) => ip.moreFragments === true ? 1 : 0)), 'ip.opt.type': list(v4.flatMap((ip) => ip.options === undefined ? [] : [...ip.options, ...(ip.options.includes(7) ? [0] : [])])),
      'ipv6.src': list(v6.map((ip) => ip.source)), 'ipv6.dst': list(v6.map((ip) => ip.destination)), 'ipv6.hlim': list(v6.map((ip) => ip.ttl)), 'ipv6.fraghdr.offset': list(v6.map((ip) => ip.fragmentOffset === undefined ? undefined : ip.fragmentOffset / 8)),
      'udp.srcport': list(udp.map((u) => u.sourcePort)), 'udp.dstport': list(udp.map((u) => u.destinationPort)),
      'tcp.srcport': list(of('tcp').map((x) => x.sourcePort)), 'tcp.dstport': list(of('tcp').map((x) => x.destinationPort)), 'tcp.seq_raw': list(of('tcp').map((x) => x.sequence)), 'tcp.ack_raw': list(of('tcp').map((x) => x.acknowledgement)),
      'tcp.flags': list(of('tcp').map((x) => `0x${x.flags.toString(16).padStart(4, '0')}`)), 'tcp.window_size_value': list(of('tcp').map((x) => x.window)), 'tcp.options.timestamp.tsval': list(of('tcp').map((x) => x.timestamp)),
      'icmp.type': list(of('icmp').map((x) => x.type)), 'icmp.code': list(of('icmp').map((x) => x.code)), 'icmp.ident': list(of('icmp').map((x) => x.id)), 'icmp.seq': list(of('icmp').map((x) => x.sequence)),
      'icmpv6.type': list(of('icmp6').map((x) => x.type)), 'icmpv6.code': list(of('icmp6').map((x) => x.code)),
      'sctp.srcport': list(of('sctp').map((x) => x.sourcePort)), 'sctp.dstport': list(of('sctp').map((x) => x.destinationPort)), 'dccp.srcport': list(of('dccp').map((x) => x.sourcePort)), 'dccp.dstport': list(of('dccp').map((x) => x.destinationPort)),
      'vxlan.vni': list(all.map((p) => p.inner?.tunnel === 'vxlan' ? p.inner.key : undefined)),
      'vxlan.flags': list(all.map((p) => p.inner?.tunnel === 'vxlan' ? `0x${(p.inner.flags! >>> 16).toString(16).padStart(4, '0')}` : undefined)),
      'geneve.vni': list(all.map((p) => p.inner?.tunnel === 'geneve' ? `0x${p.inner.key!.toString(16).padStart(6, '0')}` : undefined)),
      'gre.key': list(all.map((p) => p.inner?.tunnel === 'gre' && p.inner.key !== undefined ? `0x${p.inner.key.toString(16).padStart(8, '0')}` : undefined)),
    };
    for (const [field, value] of Object.entries(ours)) assert.equal(value, t(field), `frame ${i + 1}: ${field} (${t('frame.protocols')})`);
  });
});

test('what Wireshark calls right has no defect; the wrong ones are named; a checksum still to be completed is not wrong', () => {
  let partial = 0;
  const wrong: string[] = [];
  frames.forEach((frame, i) => {
    const t = truth[i]!;
    const defects = decodeFrame(frame).defects;
    const first = (field: string): string => t(field).split(',')[0]!;
    assert.equal(defects.some((d) => d.kind === 'ip-checksum'), first('ip.checksum.status') === '0', `frame ${i + 1}`);
    const bad = ['tcp.checksum.status', 'icmp.checksum.status', 'icmpv6.checksum.status', 'udp.checksum.status'].map(first);
    const found = defects.find((d) => d.kind === 'transport-checksum');
    if (found !== undefined) {
      assert.ok(bad.includes('0'), `frame ${i + 1}: ${found.text}`);
      wrong.push(found.text);
    } else if (bad.includes('0')) partial++;
    assert.deepEqual(defects.filter((d) => d.kind === 'ip-header' || d.kind === 'truncated'), [], `frame ${i + 1}`);
  });
  assert.deepEqual(wrong.map((text) => text.split(' ')[0]), ['UDP', 'ICMP', 'TCP']);
  assert.match(wrong[0]!, /^UDP checksum 0x1234, computed 0x[0-9a-f]{4}$/);
  assert.ok(partial > 0, 'the capture holds packets with partial checksums');
});

test('each part is absent, not wrong, when its bytes were not captured', () => {
  for (const frame of frames) {
    const whole = decodeFrame(frame);
    for (let n = 0; n < Math.min(frame.length, 160); n++) {
      const cut = decodeFrame(frame.subarray(0, n));
      if (cut.ip !== undefined) assert.equal(cut.ip.source, whole.ip?.source);
      assert.deepEqual(cut.defects.filter((d) => d.kind !== 'ip-checksum' && !whole.defects.some((w) => w.text === d.text)), [], `first ${n} bytes`);
    }
  }
});

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const UDP = '45 00 00 1e 00 01 40 00 40 11 00 00 0a 00 00 01 0a 00 00 02 30 39 00 35 00 0a 00 00 61 62';

test('a header that contradicts itself or the packet is a defect, and what can be read is read', () => {
  const kinds = (bytes: Uint8Array, length?: number): string[] => decodePacket(bytes, { network: 0, protocol: 0x0800, ...(length === undefined ? {} : { length }) }).defects.filter((d) => d.kind !== 'ip-checksum').map((d) => d.text);
  const changed = (at: number, value: number): Uint8Array => { const b = hex(UDP); b[at] = value; return b; };
  assert.deepEqual(kinds(hex(UDP), 30), []);
  assert.deepEqual(kinds(hex(UDP), 46), [], 'padding to the least frame');
  assert.deepEqual(kinds(changed(0, 0x44)), ['IPv4 header length 16 is less than 20']);
  assert.deepEqual(kinds(changed(0, 0x55)), ['IPv4 header with version 5']);
  assert.deepEqual(kinds(changed(3, 10)), ['IPv4 total length 10 is less than its header of 20']);
  assert.deepEqual(kinds(changed(3, 100), 30), ['IPv4 total length 100, but 30 bytes are there']);
  assert.deepEqual(kinds(changed(3, 100)), [], 'without the length it may be the capture that is short');
  assert.deepEqual(kinds(changed(25, 60)), ['UDP length 60, but the IP packet holds 10']);
  assert.deepEqual(kinds(changed(3, 24)), ['UDP header of at least 8 bytes, but the IP packet ends after 4']);
  assert.equal(flowOf(decodePacket(changed(0, 0x55), { network: 0, protocol: 0x0800, transport: 20 }))?.destination, '10.0.0.2:53');
});

test('offsets that lie: the bytes win', () => {
  const frame = frames.find((f) => f[12] === 8 && f[13] === 0 && f[23] === 17)!;
  const flow = flowOf(decodeFrame(frame));
  assert.ok(flow?.destination.includes(':'));
  // stale mac header, transport header not yet set or beyond the end, protocol not yet set
  for (const at of [{ mac: 5, network: 14, protocol: 0x0800 }, { mac: 0xffff, network: 14, transport: 0xffff, protocol: 0x0800 }, { network: 14, transport: 14, protocol: 0 }, { mac: 0, network: 18, protocol: 0x0800 }, { mac: 0, network: 26, protocol: 0x0800 }, { mac: 0, network: 0xffff, protocol: 0x0800 }, { mac: 0, network: -3, protocol: 0 }]) {
    assert.deepEqual(flowOf(decodePacket(frame, at)), flow, JSON.stringify(at));
  }
  assert.equal(decodePacket(frame, { mac: 5, network: 14, protocol: 0x0800 }).ethernet, undefined);
  assert.equal(decodePacket(frame, { network: 2, protocol: 0 }).ip, undefined, 'no header there and none known: nothing is guessed');
});

test('flows as people write them', () => {
  const flows = frames.map((f) => flowOf(decodeFrame(f)));
  const texts = new Set(flows.map((f) => f && `${f.protocol} ${f.destination}`));
  for (const wanted of ['udp [fd07::2]:5363', 'udp 10.7.0.2:4789', 'icmp 10.7.0.2', 'icmp6 fd07::2', 'arp 10.7.0.2', 'tcp 10.7.0.2:8080', 'udplite 10.7.0.2:99', 'sctp 10.9.0.2:5001', '47 10.9.0.2']) assert.ok(texts.has(wanted), wanted);
  assert.equal(flowOf({ defects: [] }), undefined);
});

test('a fragment behind the first has no ports, also none by chance', () => {
  const later = frames.map(decodeFrame).filter((p) => (p.ip?.fragmentOffset ?? 0) > 0);
  assert.ok(later.length >= 4);
  for (const p of later) assert.equal(p.transport, undefined);
});

test('VLAN tags: the outer id, the inner type', () => {
  const tagged = frames.map(decodeFrame).filter((p) => p.ethernet?.vlan !== undefined);
  assert.deepEqual(tagged.map((p) => [p.ethernet?.vlan, p.ethernet?.type, p.ip?.destination]), [[9, 0x0800, '10.7.0.2'], [5, 0x0800, '10.7.0.2']]);
  const frame = frames[rows.findIndex((r) => r[0]!.startsWith('eth:ethertype:vlan'))]!;
  assert.equal(decodePacket(frame, { mac: 0, network: 14, protocol: 0x8100, length: frame.length - 14 }).ip?.destination, '10.7.0.2', 'network header at the tag');
  assert.deepEqual(decodePacket(frame, { network: 14, protocol: 0x8100, length: frame.length - 14 }).defects, []);
});
