import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { mono, netnsInode } from '../../src/base/brand.ts';
import { burstHas, encodeBurst, encodeTuple, hashMessage } from '../../src/formats/conntrack-burst.ts';
import { decodeConntrackDatagram, decodeConntrackEvents, decodeConntrackStats, decodeConntrackTable } from '../../src/formats/conntrack-message.ts';
import { decodeNetlinkError, walkAttributes, walkMessages } from '../../src/formats/netlink.ts';

const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(`../../fixtures/conntrack/${name}`, import.meta.url)));
const NS = netnsInode(7), AT = mono(1n);
/** 15 datagrams of 6.18: ping over IPv4 and IPv6, a datagram through SNAT, a TCP connection, then conntrack -F by pid 19673. */
const EVENTS = fixture('events-6.18.bin');

test('events of 6.18: changes, requester, tuples, translation, counters, times', () => {
  const { events, skipped, status } = decodeConntrackEvents(EVENTS, NS, AT);
  assert.deepEqual([events.length, skipped, status], [15, 0, 'complete']);
  assert.deepEqual(events.map((e) => e.change).filter((c) => c === 'new').length, 4);
  const destroyed = events.filter((e) => e.change === 'destroy');
  assert.equal(destroyed.length, 4);
  assert.ok(destroyed.every((e) => e.requester === 19_673 && e.entry.timeout !== undefined && e.entry.timeout > 20));
  assert.ok(events.filter((e) => e.change !== 'destroy').every((e) => e.requester === 0));
  const snat = events.find((e) => e.entry.original.destinationPort === 5353 && e.change === 'new')!.entry;
  assert.deepEqual(snat.original, { family: 4, protocol: 17, source: '10.97.0.11', destination: '10.97.0.2', sourcePort: 4000, destinationPort: 5353 });
  assert.deepEqual(snat.reply, { family: 4, protocol: 17, source: '10.97.0.2', destination: '10.97.0.1', sourcePort: 5353, destinationPort: 7000 });
  assert.equal(snat.status & 0x10, 0x10);
  const icmp6 = events.find((e) => e.entry.original.protocol === 58)!.entry;
  assert.deepEqual([icmp6.original.source, icmp6.original.sourcePort, icmp6.original.destinationPort, icmp6.reply.destinationPort], ['fd97::1', 19_505, 128 << 8, 129 << 8]);
  const tcp = destroyed.find((e) => e.entry.original.protocol === 6)!.entry;
  assert.deepEqual([tcp.packets, tcp.bytes, tcp.tcpState], [10n, 546n, 'time-wait']);
  assert.ok(tcp.start !== undefined && tcp.stop !== undefined && tcp.stop > tcp.start);
  assert.deepEqual(events.filter((e) => e.change === 'update').map((e) => e.entry.tcpState).filter((s) => s !== undefined), ['syn-recv', 'established', 'fin-wait', 'last-ack', 'time-wait']);
});

test('a table is whole only with its end', () => {
  const bytes = fixture('table-6.18.bin');
  const whole = decodeConntrackTable(bytes);
  assert.deepEqual([whole.entries.length, whole.status], [4, 'complete']);
  assert.equal(decodeConntrackTable(bytes.subarray(0, bytes.length - 20)).why, 'the table is longer than what was read');
  assert.equal(decodeConntrackTable(bytes.subarray(0, bytes.length - 30)).status, 'partial');
});

test('statistics of each CPU, by name', () => {
  const { cpus, status } = decodeConntrackStats(fixture('stats-6.18.bin'));
  assert.equal(status, 'complete');
  assert.deepEqual(cpus.map((c) => c.cpu), [0, 1]);
  assert.ok(cpus.every((c) => c.counters.get('insert_failed') === 0 && c.counters.has('clash_resolve') && c.counters.has('chain_toolong')));
});

test('bytes that are cut or flipped never throw, never hang, and what was before them is kept', () => {
  for (let n = 0; n < EVENTS.length; n += 3) {
    const cut = decodeConntrackEvents(EVENTS.subarray(0, n), NS, AT);
    assert.ok(cut.events.length <= 15);
  }
  const first = decodeConntrackEvents(EVENTS.subarray(0, EVENTS.length - 8), NS, AT);
  assert.deepEqual([first.events.length, first.status], [14, 'partial']);
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(EVENTS.length - 1), fc.nat(255)), { maxLength: 12 }), (flips) => {
    const bytes = EVENTS.slice();
    for (const [at, value] of flips) bytes[at] = value;
    const { events } = decodeConntrackEvents(bytes, NS, AT);
    assert.ok(events.every((e) => typeof e.entry.original.source === 'string'));
  }), { numRuns: 300 });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    decodeConntrackDatagram(bytes, NS, AT);
    decodeConntrackTable(bytes);
    decodeConntrackStats(bytes);
  }), { numRuns: 300 });
});

test('what cannot be decoded is told as missed', () => {
  const [event] = decodeConntrackDatagram(EVENTS.subarray(0, 100), NS, AT);
  assert.ok(event?.kind === 'missed' && event.count === 1);
  assert.deepEqual(decodeConntrackDatagram(EVENTS, NS, AT).filter((e) => e.kind === 'missed'), []);
});

test('a burst keeps count and sample, and every entry is found again in it by its tuple', () => {
  const hashes = new Uint32Array(64);
  let used = 0, sample = new Uint8Array(0);
  walkMessages(EVENTS, (m) => {
    if (m.type !== 0x102) return;
    if (hashMessage(EVENTS, m, hashes, used)) used += 2;
    sample = EVENTS.slice(m.from - 16, m.to);
  });
  assert.equal(used, 8);
  const bytes = encodeBurst({ count: 4, sample, tuples: hashes.subarray(0, used) });
  const around = new Uint8Array([...EVENTS.subarray(0, 0), ...bytes]);
  const { events, status } = decodeConntrackEvents(around, NS, AT);
  assert.deepEqual([events.length, status, events[0]!.change, events[0]!.requester, events[0]!.burst!.count], [1, 'complete', 'destroy', 19_673, 4]);
  const destroyed = decodeConntrackEvents(EVENTS, NS, AT).events.filter((e) => e.change === 'destroy');
  for (const e of destroyed) assert.ok(burstHas(events[0]!.burst!.tuples, e.entry.original), JSON.stringify(e.entry.original));
  assert.ok(!burstHas(events[0]!.burst!.tuples, { ...destroyed[0]!.entry.original, sourcePort: 1 }));
  assert.equal(decodeConntrackEvents(bytes.subarray(0, bytes.length - 1), NS, AT).status, 'partial');
});

test('tuples are encoded as the kernel does', () => {
  walkMessages(EVENTS, (m) => {
    walkAttributes(EVENTS, m.from + 4, m.to, (type, from, to) => {
      if (type !== 1) return;
      const tuple = decodeConntrackEvents(EVENTS.subarray(m.from - 16, m.to), NS, AT).events[0]!.entry.original;
      assert.deepEqual(encodeTuple(tuple), EVENTS.slice(from, to));
    });
  });
});

test('errors with the words of the kernel', () => {
  // NLMSG_ERROR, capped, with NLMSGERR_ATTR_MSG "Unknown attribute type"
  const words = new TextEncoder().encode('Unknown attribute type\0');
  const attribute = new Uint8Array(4 + words.length + ((4 - (words.length % 4)) % 4));
  new DataView(attribute.buffer).setUint16(0, 4 + words.length, true);
  new DataView(attribute.buffer).setUint16(2, 1, true);
  attribute.set(words, 4);
  const bytes = new Uint8Array(16 + 20 + attribute.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 0x300, true);
  view.setInt32(16, -22, true);
  view.setUint32(20, 36, true);
  bytes.set(attribute, 36);
  let error;
  walkMessages(bytes, (m) => { error = decodeNetlinkError(bytes, m); });
  assert.deepEqual(error, { errno: 22, text: 'Unknown attribute type' });
});

test('lengths that do not fit end the walk', () => {
  assert.equal(walkMessages(new Uint8Array([4, 0, 0, 0, ...new Array<number>(20).fill(0)]), () => undefined), 'bad-length');
  assert.equal(walkMessages(new Uint8Array(7), () => undefined), 'cut');
  assert.equal(walkAttributes(new Uint8Array([2, 0, 1, 0]), 0, 4, () => assert.fail()), false);
  assert.equal(walkAttributes(new Uint8Array([200, 0, 1, 0, 1, 1]), 0, 6, () => assert.fail()), false);
});
