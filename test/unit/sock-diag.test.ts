import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeSockDiag, type SockDiagKind } from '../../src/formats/sock-diag.ts';

// real dumps of kernel 6.18: a namespace with a TCP listener whose accept queue is full, a listener with an MD5 key,
// a UDP socket with a small full buffer, IPv6, unix and packet sockets
const real = (name: string): Uint8Array => readFileSync(new URL(`../../fixtures/socket/${name}.bin`, import.meta.url));

test('a TCP listener tells its accept queue and its effective backlog', () => {
  const { sockets, status } = decodeSockDiag(real('tcp'), 'tcp');
  assert.equal(status, 'complete');
  assert.equal(sockets.length, 7);
  const listener = sockets.find((s) => s.state === 'listen' && s.localPort === 8443);
  assert.deepEqual([listener?.local, listener?.receiveQueue, listener?.sendQueue, listener?.memory?.drops], ['10.0.0.2', 2, 1, 1]);
  assert.equal(listener?.cgroup, 1n);
  assert.ok(sockets.some((s) => s.state === 'established' && s.remotePort === 8443 && s.inode > 0));
  assert.ok(sockets.some((s) => s.state === 'established' && s.localPort === 8443 && s.inode === 0), 'not yet accepted: no file holds it');
});

test('an MD5 key is told of, the key itself is not kept', () => {
  const { sockets } = decodeSockDiag(real('tcp-listen'), 'tcp');
  assert.deepEqual(sockets.find((s) => s.localPort === 179)?.md5Peers, ['10.0.0.1/32']);
  assert.doesNotMatch(JSON.stringify(sockets, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v)), /secret/);
});

test('a UDP socket tells its buffer, its mark and its own drops', () => {
  const { sockets, status } = decodeSockDiag(real('udp'), 'udp');
  assert.equal(status, 'complete');
  const statsd = sockets.find((s) => s.localPort === 8125);
  assert.deepEqual(statsd?.memory, { receiveAllocated: 3840, receiveBuffer: 4608, sendAllocated: 0, sendBuffer: 212992, backlog: 0, drops: 57 });
  assert.equal(statsd.mark, 7);
  assert.equal(statsd.protocol, 17);
});

test('IPv6, unix and packet sockets', () => {
  const udp6 = decodeSockDiag(real('udp6'), 'udp').sockets[0];
  assert.deepEqual([udp6?.family, udp6?.local, udp6?.localPort, udp6?.v6only], ['inet6', '::1', 5353, true]);
  const tcp6 = decodeSockDiag(real('tcp6'), 'tcp').sockets[0];
  assert.deepEqual([tcp6?.local, tcp6?.state, tcp6?.sendQueue, tcp6?.v6only], ['::', 'listen', 7, false]);
  assert.equal(decodeSockDiag(real('unix'), 'unix').sockets[0]?.local, '@wds-abs');
  const packet = decodeSockDiag(real('packet'), 'packet').sockets[0];
  assert.deepEqual([packet?.protocol, packet?.ifindex, packet?.filtered], [0x0800, 2, false]);
});

test('an address is written as RFC 5952 says', () => {
  const bytes = new Uint8Array(real('udp6'));
  const put = (groups: number[]) => groups.forEach((g, i) => new DataView(bytes.buffer, bytes.byteOffset).setUint16(16 + 8 + i * 2, g));
  const local = (): string | undefined => decodeSockDiag(bytes, 'udp').sockets[0]?.local;
  put([0x2001, 0xdb8, 0, 0, 1, 0, 0, 1]);
  assert.equal(local(), '2001:db8::1:0:0:1');
  put([0xfe80, 0, 0, 0, 0, 0, 0, 0]);
  assert.equal(local(), 'fe80::');
  put([0x2001, 0xdb8, 0, 1, 1, 1, 1, 1]);
  assert.equal(local(), '2001:db8:0:1:1:1:1:1');
  put([0, 0, 0, 0, 0, 0xffff, 0x0a00, 0x0001]);
  assert.equal(local(), '::ffff:10.0.0.1');
});

test('a dump that is cut keeps what was decoded and says so', () => {
  const bytes = real('tcp');
  const whole = decodeSockDiag(bytes, 'tcp').sockets.length;
  for (let n = 0; n < bytes.length; n += 7) {
    const { sockets, status } = decodeSockDiag(bytes.subarray(0, n), 'tcp');
    assert.ok(sockets.length <= whole);
    if (sockets.length < whole && n % 4 !== 0) assert.equal(status, 'partial');
  }
});

test('an error of the kernel is a status', () => {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(20, 0);
  bytes.writeUInt16LE(3, 4);
  bytes.writeInt32LE(-2, 16);
  assert.deepEqual(decodeSockDiag(bytes, 'raw'), { sockets: [], status: 'partial', why: 'the kernel answered errno 2' });
});

test('no bytes make it throw or loop', () => {
  const kinds: SockDiagKind[] = ['tcp', 'udp', 'raw', 'unix', 'packet'];
  const seeds = ['tcp', 'tcp6', 'udp', 'unix', 'packet', 'tcp-listen'].map(real);
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.constantFrom(...kinds), fc.array(fc.tuple(fc.nat(1400), fc.nat(255)), { maxLength: 30 }), fc.nat(1400), (seed, kind, edits, cut) => {
      const bytes = new Uint8Array(seed);
      for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
      const { sockets } = decodeSockDiag(bytes.subarray(0, Math.max(0, bytes.length - (cut % 200))), kind);
      assert.ok(sockets.length <= bytes.length / 16);
    }),
    { numRuns: 2000 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), fc.constantFrom(...kinds), (bytes, kind) => void decodeSockDiag(bytes, kind)), { numRuns: 1000 });
});
