import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { CALL, DROP, EXEC } from '../../src/bpf/layout.ts';
import { decodeCall, decodeCounts, decodeDrop, decodeExec, type Names } from '../../src/timeline/sample.ts';
import { symbolsOf } from '../../src/timeline/symbols.ts';

/* Records that the probes wrote on 6.18: a UDP packet that OUTPUT dropped, one that did not fit into a receive buffer. */
const file = JSON.parse(readFileSync(new URL('../../fixtures/bpf/records-6.18.json', import.meta.url), 'utf8')) as { drops: [string, string]; call: string; exec: string; counts: string; netns: number };
const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
const symbols = symbolsOf([
  'ffffffff81f2af50 0x120 T nf_hook_slow', 'ffffffff81f653d0 0xa00 T nft_do_chain', 'ffffffff81f80b50 0xc0 t nft_do_chain_ipv4', 'ffffffff82106ee0 0x6a0 t udpv6_queue_rcv_one_skb', 'ffffffff81362070 0x300 t handle_softirqs', '',
].join('\n'));
const names: Names = { symbols: () => symbols, reason: (number) => ({ number, name: number === 12 ? 'NETFILTER_DROP' : `reason ${number}` }), syscall: (nr) => (nr === 44 ? 'sendto' : `syscall ${nr}`) };

test('a drop on the way out: packet, place, stack, task, socket', () => {
  const drop = decodeDrop(bytes(file.drops[0]), names);
  assert.ok(drop);
  assert.deepEqual([drop.reason.name, drop.place.name, drop.netns, drop.ifindex, drop.interface, drop.protocol, drop.length], ['NETFILTER_DROP', 'nft_do_chain', file.netns, 0, undefined, 0x0800, 35]);
  assert.deepEqual([drop.packet.ip?.source, drop.packet.ip?.destination, drop.packet.transport?.kind], ['127.0.0.1', '127.0.0.1', 'udp']);
  assert.deepEqual(drop.packet.transport?.kind === 'udp' && [drop.packet.transport.sourcePort, drop.packet.transport.destinationPort, drop.packet.transport.length], [40001, 9000, 15]);
  assert.deepEqual(drop.packet.defects, [], 'an offloaded checksum is no defect');
  assert.deepEqual(drop.stack.slice(0, 3).map((f) => f.name), ['nft_do_chain', 'nft_do_chain_ipv4', 'nf_hook_slow']);
  assert.deepEqual([drop.softirq, drop.task.comm, drop.task.uid, drop.receiver], [false, 'python3', 0, undefined]);
  assert.deepEqual([drop.socket?.family, drop.socket?.type, drop.socket?.protocol, drop.socket?.inode, drop.socket?.local, drop.socket?.remote], [2, 2, 17, 815546, '127.0.0.1:40001', undefined]);
});

test('a drop on the way in: frame, IPv6, softirq, the full socket', () => {
  const drop = decodeDrop(bytes(file.drops[1]), names);
  assert.ok(drop);
  assert.deepEqual([drop.place.name, drop.interface, drop.incoming, drop.protocol, drop.softirq, drop.socket], ['udpv6_queue_rcv_one_skb', 'lo', 1, 0x86dd, true, undefined]);
  assert.deepEqual([drop.packet.ethernet?.type, drop.packet.ip?.source, drop.packet.ip?.totalLength], [0x86dd, '::1', 948]);
  const { inode, local, receiveQueued, receiveBuffer, family } = drop.receiver ?? {};
  assert.deepEqual([family, inode, local, receiveQueued, receiveBuffer], [10, 815547, '[::1]:40002', 4608, 4608]);
});

test('the same record, with symbols that have grown: named anew', () => {
  const record = bytes(file.drops[0]);
  const bare = symbolsOf('');
  assert.deepEqual([decodeDrop(record, { ...names, symbols: () => bare })?.place.name, decodeDrop(record, names)?.place.name], [undefined, 'nft_do_chain']);
  assert.equal(decodeDrop(record, { ...names, symbols: () => bare })?.stack[0]?.name, undefined);
  // and another task, socket or packet beside it is not taken for the first
  const other = record.slice();
  const v = new DataView(other.buffer);
  v.setUint32(DROP.pidTgid + 4, 77, true);
  v.setUint16(DROP.sk + 20, 4711, true);
  const [a, b] = [decodeDrop(record, names), decodeDrop(other, names)];
  assert.deepEqual([a?.socket?.local, b?.socket?.local, b?.task.pid, a?.task.comm === b?.task.comm, a?.task.pid === 77], ['127.0.0.1:40001', '127.0.0.1:4711', 77, true, false]);
});

test('a failed call: who, what, where to', () => {
  const call = decodeCall(bytes(file.call), names);
  assert.ok(call);
  assert.deepEqual([call.syscall, call.errno, call.fd, call.destination, call.length, call.netns, call.task.comm, call.seccomp], ['sendto', 'EPERM', 3, '127.0.0.1:9000', 7, file.netns, 'python3', false]);
  assert.deepEqual([call.socket?.local, call.socket?.inode], ['127.0.0.1:40001', 815546]);
});

test('an exec: program and arguments', () => {
  const exec = decodeExec(bytes(file.exec));
  assert.deepEqual([exec?.filename, exec?.argv, exec?.netns, exec?.task.comm], ['/bin/echo', ['/bin/echo', 'seven', 'words'], file.netns, 'echo']);
});

test('counters: one event a row, a row that is cut is left out', () => {
  const rows = bytes(file.counts);
  const events = decodeCounts(rows, 7n, names);
  assert.deepEqual(events.map((e) => [e.reason.number, e.packets, e.bytes, e.protocol, e.ifindex]).toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0)), [[6, 6, 5400, 0x86dd, 1], [12, 1, 35, 0x0800, 0]]);
  assert.equal(decodeCounts(rows.subarray(0, rows.length - 1), 7n, names).length, events.length - 1);
});

test('records of another layout are refused, not misread', () => {
  for (const [text, size, decode] of [[file.drops[0], DROP.size, (b: Uint8Array) => decodeDrop(b, names)], [file.call, CALL.size, (b: Uint8Array) => decodeCall(b, names)], [file.exec, EXEC.size, decodeExec]] as const) {
    const record = bytes(text);
    assert.ok(decode(record));
    assert.equal(decode(record.subarray(0, size - 1)), undefined, 'cut');
    const newer = record.slice();
    newer[2] = 0x7f;
    assert.equal(decode(newer), undefined, 'another version');
    const other = record.slice();
    other[0] = 9;
    assert.equal(decode(other), undefined, 'another kind');
  }
});

test('whatever is in a record, decoding does not throw', () => {
  const inputs = [file.drops[0], file.drops[1], file.call, file.exec, file.counts].map(bytes);
  fc.assert(fc.property(fc.nat(inputs.length - 1), fc.array(fc.tuple(fc.nat(4096), fc.nat(255)), { maxLength: 40 }), fc.nat(1200), (which, changes, cut) => {
    const record = (inputs[which] ?? new Uint8Array(0)).slice();
    for (const [at, value] of changes) if (at % record.length > 3) record[at % record.length] = value;
    for (const b of [record, record.subarray(0, cut)]) {
      decodeDrop(b, names);
      decodeCall(b, names);
      decodeExec(b);
      decodeCounts(b, 1n, names);
    }
  }), { numRuns: 2000, seed: 7 });
});
