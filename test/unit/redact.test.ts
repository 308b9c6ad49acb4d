import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { judged } from '../../src/app/judged.ts';
import { createMapping } from '../../src/app/redact/mapping.ts';
import { redactPacket } from '../../src/app/redact/packet.ts';
import { scan } from '../../src/app/redact/scan.ts';
import { namesOf, redactText } from '../../src/app/redact/texts.ts';
import { redact } from '../../src/app/redact.ts';
import { netnsInode, mono } from '../../src/base/brand.ts';
import { parseInet } from '../../src/base/inet.ts';
import { decodePacket } from '../../src/formats/packet.ts';
import type { Packet } from '../../src/model/packet.ts';
import type { RawRecord } from '../../src/model/record.ts';
import { readRecording } from '../../src/recording/file.ts';

const root = new URL('../..', import.meta.url).pathname;
const KEY = Buffer.alloc(32, 7);
const ALL = { pid: [], protocol: [], port: [], address: [], cause: [] };

/** Classic pcap, little endian: the frames. */
function frames(bytes: Buffer): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let at = 24; at + 16 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    out.push(new Uint8Array(bytes.subarray(at + 16, at + 16 + length)));
    at += 16 + length;
  }
  return out;
}
const bits = (text: string): string => Array.from(parseInet(text)!.bytes, (b) => b.toString(2).padStart(8, '0')).join('');
const shared = (a: string, b: string): number => { const x = bits(a), y = bits(b); let n = 0; while (n < x.length && x[n] === y[n]) n++; return n; };

test('addresses that shared n bits still do, one is never two, and what the kernel knows stays', () => {
  const m = createMapping(KEY);
  for (const list of [['10.0.0.1', '10.0.0.2', '10.0.1.1', '10.200.0.1', '192.168.7.9', '192.168.7.10', '8.8.8.8', '8.8.4.4', '172.16.3.4'], ['fd00::1', 'fd00::2', 'fd00:1::1', '2001:db8::1', '2001:db8:0:1::1', 'fe80::1', 'fe80::2']]) {
    const images = list.map((a) => m.inetText(a));
    assert.equal(new Set(images).size, list.length);
    for (let i = 0; i < list.length; i++) {
      assert.notEqual(images[i], list[i]);
      for (let j = 0; j < i; j++) assert.equal(shared(images[i]!, images[j]!), shared(list[i]!, list[j]!), `${list[i]} ${list[j]}`);
    }
  }
  for (const kept of ['127.0.0.1', '0.0.0.0', '224.0.0.251', '255.255.255.255', '255.255.255.0', '::', '::1', 'ff02::1']) assert.equal(m.inetText(kept), kept);
  assert.match(m.inetText('192.168.1.1'), /^192\.168\./);
  // as a prefix it stays as it is, as an address it becomes another: it is no original that may not be left
  assert.equal(m.inetText('fe80::', 64), 'fe80::');
  assert.equal(m.inetText('10.0.0.0', 8), '10.0.0.0');
  m.inetText('fe80::');
  m.inetText('10.0.0.0');
  m.inetText('10.0.0.0', 24);
  assert.ok(!m.seen.inet.has('fe80::') && !m.seen.inet.has('10.0.0.0'));
  assert.match(m.inetText('fe80::1:2:3:4'), /^fe80::/);
  assert.ok(m.inetText('10.20.0.0', 16).endsWith('.0.0'), 'a network stays a network');
  assert.equal(m.macText('ff:ff:ff:ff:ff:ff'), 'ff:ff:ff:ff:ff:ff');
});

test('real packets: same headers, same defects, other addresses, no payload', () => {
  const m = createMapping(KEY);
  const addresses = (p: Packet | undefined): string[] => p === undefined ? [] : [p.ip?.source, p.ip?.destination, p.arp?.sender, p.arp?.target, p.ethernet?.source, p.ethernet?.destination, ...addresses(p.inner?.packet), ...addresses(p.quoted)].flatMap((a) => (a === undefined ? [] : [a]));
  const image = (a: string): string => (/^(..:){5}..$/.test(a) ? m.macText(a) : m.inetText(a));
  const shape = (p: Packet | undefined): unknown => p === undefined ? undefined : {
    ip: p.ip && { ...p.ip, source: '', destination: '' }, transport: p.transport && { ...p.transport, checksum: 0 }, vlan: p.ethernet?.vlan, type: p.ethernet?.type, operation: p.arp?.operation,
    // sums differ, whether they are right does not
    defects: p.defects.map((d) => d.kind), inner: p.inner && { ...p.inner, packet: shape(p.inner.packet) }, quoted: shape(p.quoted),
  };
  let seen = 0, inner = 0;
  for (const frame of frames(readFileSync(`${root}fixtures/packets/traffic.pcap`))) {
    // whole, cut as the probe cuts, and with a broken checksum: a defect must stay, none may come
    for (const original of [frame, frame.slice(0, Math.min(frame.length, 78)), Uint8Array.from(frame, (b, i) => (i === 24 || i === 40 ? b ^ 0x55 : b))]) {
      const made = Uint8Array.from(original);
      redactPacket(made, 0, made.length, 'ethernet', m, false);
      const at = { mac: 0, protocol: 0 };
      const before = decodePacket(original, at), after = decodePacket(made, at);
      assert.deepEqual(shape(after), shape(before));
      // solicited-node groups hold the end of an address
      assert.deepEqual(addresses(after).map((a) => (a.startsWith('ff02::1:ff') ? '' : a)), addresses(before).map((a) => (a.startsWith('ff02::1:ff') ? '' : image(a))));
      seen += 1;
      if (before.inner !== undefined || before.quoted !== undefined) inner += 1;
    }
  }
  assert.ok(seen > 100 && inner > 0, `${seen} packets, ${inner} with others inside`);
});

test('no bytes make it throw or write outside', () => {
  const m = createMapping(KEY);
  for (let i = 0; i < 500; i++) {
    const bytes = new Uint8Array(randomBytes(i % 160));
    if (bytes.length > 14 && i % 2 === 0) bytes.set([[8, 0], [0x86, 0xdd], [8, 6]][i % 3]!, 12);
    const copy = Uint8Array.from([1, 2, 3, ...bytes, 4, 5, 6]);
    redactPacket(copy, 3, 3 + bytes.length, i % 5 === 0 ? 0x0800 : 'ethernet', m, i % 7 === 0);
    assert.deepEqual([...copy.subarray(0, 3), ...copy.subarray(-3)], [1, 2, 3, 4, 5, 6]);
  }
});

test('texts: listings keep their form', () => {
  const m = createMapping(KEY);
  const names = namesOf(new Map([['acme-vpn0', 'device'], ['db.acme.example', 'host']]), m);
  const text = redactText('-A INPUT -s 10.1.2.0/24 -i acme-vpn0 -p tcp --dport 22 -m comment --comment "for Bob" -j DROP # 01:58:42 fd00:1::5 aa:bb:cc:00:11:22 db.acme.example v1.2\n', m, names);
  assert.match(text, /^-A INPUT -s 10\.\d+\.\d+\.0\/24 -i device-\w{6} -p tcp --dport 22 -m comment --comment "comment-\w{6}" -j DROP # 01:58:42 fd[\da-f:]+ [\da-f:]{17} host-\w{6} v1\.2\n$/);
  const nft = redactText('{"prefix": {"addr": "10.1.2.0", "len": 24}}, {"comment": "say \\"hi\\""}, "table": "inet filter"', m, names);
  assert.match(nft, /^\{"prefix": \{"addr": "10\.\d+\.\d+\.0", "len": 24\}\}, \{"comment": "comment-\w{6}"\}, "table": "inet filter"$/);
  assert.equal(/addr": "([\d.]+)"/.exec(nft)![1], /-s ([\d.]+)\//.exec(text)![1], 'the same everywhere');
});

for (const name of ['rule-drop', 'no-listener', 'rcvbuf-full']) {
  test(`${name}: without names and addresses, and the verdict is the same`, () => {
    const { records } = readRecording(readFileSync(`${root}fixtures/recordings/${name}.whydrop`));
    const before = judged(records, ALL, true).exported;
    const made = redact(records);
    const after = judged(made.records, ALL, true).exported;
    const gist = (e: typeof before): unknown => e.incidents.map((i) => [i.cause.id, i.confidence, i.count, i.bytes, i.severity, i.where.hook, i.where.reason, i.where.symbol, i.culprit.kind]);
    assert.deepEqual(gist(after), gist(before));
    assert.equal(after.events.length, before.events.length);
    const all = Buffer.concat(made.records.map((r) => Buffer.from(JSON.stringify(r, (_, v: unknown) => (typeof v === 'bigint' ? v.toString() : v instanceof Uint8Array ? Buffer.from(v).toString('latin1') : v)))));
    for (const secret of ['10.88.0.', 'wdxb', 'secret payload', 'python', 'closed for now', 'pyenv']) assert.ok(!all.includes(secret), secret);
    assert.ok(made.replaced.inet >= 2 && made.replaced.mac >= 1 && made.replaced.names >= 2);
  });
}

test('the scan finds what was not replaced', () => {
  const m = createMapping(KEY);
  m.inetText('10.9.8.7');
  m.name('host', 'db-acme');
  const time = mono(1n);
  const netns = netnsInode(1);
  const records: RawRecord[] = [
    { record: 'answer', time, question: { topic: 'route', netns }, body: 'via 10.9.8.7 dev eth0' },
    { record: 'answer', time, question: { topic: 'sockets', netns, argument: 'udp' }, body: new Uint8Array([1, 10, 9, 8, 7, 1]) },
    { record: 'missed', time, source: 'x', count: 1, text: 'on db-acme' },
    { record: 'answer', time, question: { topic: 'route', netns }, body: '10.9.8.70 110.9.8.7 db-acmes' },
  ];
  assert.deepEqual(scan(records, m).map((f) => f.what), ['10.9.8.7', '10.9.8.7', 'db-acme']);
});
