import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mono } from '../../src/base/brand.ts';
import { cause as listenOverflow } from '../../src/causes/socket/listen-overflow.ts';
import { cause as rcvbufFull } from '../../src/causes/socket/rcvbuf-full.ts';
import { cause as unresolved } from '../../src/causes/neigh/unresolved.ts';
import { cause as unknown } from '../../src/causes/unknown.ts';
import { createSilentLosses } from '../../src/diagnose/silent.ts';
import { decodeWaitingNeighbours } from '../../src/formats/neighbour-message.ts';
import type { CounterSymptom } from '../../src/model/symptom.ts';
import { BLUE, fakeEvidence, GREEN, type Answered } from '../fake-evidence.ts';
import { found, judged, world } from './network-world.ts';
import { counter, found as foundSocket, judged as judgedSocket, owner, process, socketAnswers, sysctl } from './socket-world.ts';

// an answered host, one that is not (seconds after the second request) for each family, and a group; kernel 6.18
const DUMP = Buffer.from(
  '4c0000001c0002000100000006740000020000000200000002000001080001000a0000020a0002004647213976b4000008000400040000001400030068000000680000006800000001000000' +
  '400000001c0002000100000006740000020000000200000001000001080001000a000063080004000500000014000300d8170000680000006800000001000000' +
  '580000001c00020001000000067400000a000000020000004000000514000100ff0200000000000000000000000000160a00020033330000001600000800040000000000140003000a1800009a0000009a00000000000000' +
  '4c0000001c00020001000000067400000a000000020000000100000114000100fd000000000000000000000000000077080004000500000014000300d8170000680000006800000001000000', 'hex');

test('of a neighbour dump only those that wait, with how long', () => {
  assert.deepEqual(decodeWaitingNeighbours(DUMP), [{ address: '10.0.0.99', ifindex: 2, waitedMs: 1040 }, { address: 'fd00::77', ifindex: 2, waitedMs: 1040 }]);
  for (let cut = 0; cut < DUMP.length; cut += 3) assert.doesNotThrow(() => decodeWaitingNeighbours(DUMP.subarray(0, cut)));
});

const netstat = (values: Readonly<Record<string, number>>): string => `TcpExt: ${Object.keys(values).join(' ')}\nTcpExt: ${Object.values(values).join(' ')}\n`;
const NETSTAT = { topic: 'proc', netns: BLUE, argument: 'net/netstat' } as const;
const WAITING = { topic: 'neighbour-waiting', netns: BLUE } as const;

/** Readings of one file at these times; gives what was told of each. */
function readings(list: readonly (readonly [seconds: number, question: typeof NETSTAT | typeof WAITING | { topic: 'proc'; netns: typeof BLUE; argument: string }, body: string])[]): (readonly CounterSymptom[])[] {
  const silent = createSilentLosses();
  return list.map(([seconds, question, body]) => silent(fakeEvidence({ answers: [[question, body]], now: mono(BigInt(seconds * 1e9)) }), [question]));
}
const names = (told: readonly CounterSymptom[]): string[] => told.map((s) => `${s.counter} ${s.after - s.before}`);

test('counters of silent losses count from the first reading', () => {
  const all = { ListenOverflows: 5, ListenDrops: 9, TCPReqQFullDrop: 0 };
  const told = readings([[1, NETSTAT, netstat(all)], [2, NETSTAT, netstat(all)], [3, NETSTAT, netstat({ ...all, ListenOverflows: 8, ListenDrops: 12 })], [4, NETSTAT, netstat({ ListenOverflows: 8, ListenDrops: 14, TCPReqQFullDrop: 0 })]]);
  assert.deepEqual(told.map(names), [[], [], ['netstat TcpExt ListenOverflows 3'], ['netstat TcpExt ListenDrops 2']]);
  assert.equal(told[3]?.[0]?.clue, true);
});

test('a window that stays closed is told, one that opens again is not', () => {
  const at = (to: number, from: number, probes = 0) => netstat({ TCPToZeroWindowAdv: to, TCPFromZeroWindowAdv: from, TCPWinProbe: probes });
  const stuck = readings([[1, NETSTAT, at(3, 3)], [2, NETSTAT, at(4, 3)], [3.2, NETSTAT, at(4, 3)]]);
  assert.deepEqual(stuck.map(names), [[], [], ['netstat TcpExt TCPToZeroWindowAdv 1']]);
  const slow = readings([[1, NETSTAT, at(3, 3)], [2, NETSTAT, at(14, 13)], [3.2, NETSTAT, at(25, 24)], [4.4, NETSTAT, at(31, 31)], [6, NETSTAT, at(31, 31)]]);
  assert.deepEqual(slow.map(names), [[], [], [], [], []]);
  const sender = readings([[1, NETSTAT, at(0, 0, 7)], [2.2, NETSTAT, at(0, 0, 8)], [3.4, NETSTAT, at(0, 0, 10)]]);
  assert.deepEqual(sender.map(names), [[], [], ['netstat TcpExt TCPWinProbe 3']]);
});

test('echo requests without answers are told, answered ones are not', () => {
  const SNMP = { topic: 'proc', netns: BLUE, argument: 'net/snmp' } as const;
  const at = (asked: number, answered: number) => `Icmp: InEchos OutEchoReps\nIcmp: ${asked} ${answered}\n`;
  assert.deepEqual(readings([[1, SNMP, at(0, 0)], [2, SNMP, at(2, 0)], [3, SNMP, at(5, 0)]]).map(names), [[], [], ['snmp Icmp InEchos 5']]);
  assert.deepEqual(readings([[1, SNMP, at(0, 0)], [2, SNMP, at(9, 8)], [3, SNMP, at(20, 20)]]).map(names), [[], [], []]);
});

test('a neighbour is told when its second request is due, and once a second', () => {
  const at = (ms: number) => JSON.stringify([{ address: '10.0.0.99', ifindex: 2, waitedMs: ms }]);
  const told = readings([[1, WAITING, at(300)], [1.6, WAITING, at(900)], [1.9, WAITING, at(1200)], [2.7, WAITING, at(2000)]]);
  assert.deepEqual(told.map((t) => t.length), [0, 1, 0, 1]);
  assert.deepEqual(told[1]?.[0]?.neighbour, { address: '10.0.0.99', ifindex: 2, waitedMs: 900 });
});

const waiting = (netns: CounterSymptom['netns'], address: string): CounterSymptom => ({ kind: 'counter', netns, first: mono(9_000_000_000n), counter: `neighbour ${address} 2`, before: 0, after: 0, clue: true, neighbour: { address, ifindex: 2, waitedMs: 900 } });

test('a neighbour that has not answered so far: who is silent, and why', () => {
  const mute = world('neigh-arp-ignore');
  const f = found(judged(unresolved, mute, waiting(mute.netns('a'), '10.0.0.2')));
  assert.match(f.culprit.text, /arp_ignore/);
  assert.match(f.explanation, /so far \(0\.9 s\)/);
  assert.match(f.remedies[0]?.command ?? '', /^ip netns exec net-b sysctl -w net\.ipv4\.conf\.eth0\.arp_ignore=0/);
  const healthy = world('healthy-two');
  assert.notEqual(found(judged(unresolved, healthy, waiting(healthy.netns('a'), '10.0.0.2'))).severity, 'critical');
});

test('a clue alone is no unknown loss', () => {
  assert.equal(unknown.judge(waiting(BLUE, '10.0.0.9'), fakeEvidence({})).outcome, 'not-applicable');
  assert.equal(unknown.judge(counter('netstat TcpExt Odd', 1, 2), fakeEvidence({})).outcome, 'found');
});

const closed = { ...counter('netstat TcpExt TCPToZeroWindowAdv', 0, 1), clue: true as const };
const UNREAD = { local: '10.0.0.2', port: 8443, remote: '10.0.0.1', remotePort: 40000, state: 1, inode: 9, queue: [13032, 0] as const, memory: [15528, 16000, 0] as const };

test('a closed window names the program that does not read', () => {
  const answers = (state: string): Answered[] => [...socketAnswers('tcp', [UNREAD, { ...UNREAD, remotePort: 40001, inode: 10, queue: [0, 0], memory: [0, 131072, 0] }]), owner(9, 13), process({ pid: 13, comm: 'web', state })];
  const f = foundSocket(judgedSocket(rcvbufFull, closed, { answers: answers('S') }));
  assert.match(f.culprit.text, /web.* does not read tcp 10\.0\.0\.2:8443 from 10\.0\.0\.1:40000: Recv-Q 13032/);
  assert.equal(foundSocket(judgedSocket(rcvbufFull, closed, { answers: answers('T') })).remedies[0]?.command, 'kill -CONT 13');
  const read = judgedSocket(rcvbufFull, closed, { answers: socketAnswers('tcp', [{ ...UNREAD, queue: [0, 0], memory: [0, 16000, 0] }]) });
  assert.equal(read.outcome, 'ruled-out');
});

test('a sender that asks for a closed window: the reader is found where it is on this host', () => {
  const probes = { ...counter('netstat TcpExt TCPWinProbe', 0, 4), clue: true as const };
  const SENDER = { local: '10.0.0.1', port: 40000, remote: '10.0.0.2', remotePort: 8443, state: 1, inode: 5, queue: [0, 70000] as const, timer: 4 };
  const address = (ip: string) => `[{"ifindex":2,"ifname":"eth0","flags":[],"addr_info":[{"family":"inet","local":"${ip}","prefixlen":24,"scope":"global"}]}]`;
  const here: Answered[] = [...socketAnswers('tcp', [SENDER]), [{ topic: 'address', netns: BLUE }, address('10.0.0.1')]];
  const there: Answered[] = [[{ topic: 'address', netns: GREEN }, address('10.0.0.2')], ...socketAnswers('tcp', [UNREAD], GREEN), owner(9, 13), process({ pid: 13, comm: 'web' })];
  assert.match(foundSocket(judgedSocket(rcvbufFull, probes, { answers: [...here, ...there] })).culprit.text, /web.*does not read.*Recv-Q 13032/);
  const far = foundSocket(judgedSocket(rcvbufFull, probes, { answers: here }));
  assert.equal(far.culprit.kind, 'peer');
  assert.match(far.culprit.text, /10\.0\.0\.2:8443 does not read/);
  assert.equal(judgedSocket(rcvbufFull, probes, { answers: socketAnswers('tcp', [{ ...SENDER, timer: 1 }]) }).outcome, 'ruled-out');
});

test('a full SYN queue, told by its own counter or by open handshakes alone', () => {
  const answers = (open: number, cookies: string): Answered[] => [
    ...socketAnswers('tcp', [{ local: '0.0.0.0', port: 8443, state: 10, inode: 20, queue: [0, 8] }, ...Array.from({ length: open }, (_, i) => ({ local: '10.0.0.2', port: 8443, remote: `10.0.0.${i + 3}`, remotePort: 5000, state: 12 }))]),
    owner(20, 30), process({ pid: 30, comm: 'burstd' }), sysctl('net/ipv4/tcp_syncookies', cookies), sysctl('net/ipv4/tcp_max_syn_backlog', '16'),
  ];
  const f = foundSocket(judgedSocket(listenOverflow, counter('netstat TcpExt TCPReqQFullDrop', 0, 40), { answers: answers(9, '0') }));
  assert.match(f.culprit.text, /tcp_syncookies = 0.*8443.*burstd/);
  assert.equal(f.remedies[0]?.command, 'ip netns exec blue sysctl -w net.ipv4.tcp_syncookies=1');
  const drops = { ...counter('netstat TcpExt ListenDrops', 0, 5), clue: true as const };
  assert.equal(judgedSocket(listenOverflow, drops, { answers: answers(12, '0') }).outcome, 'found');
  assert.equal(judgedSocket(listenOverflow, drops, { answers: answers(2, '1') }).outcome, 'ruled-out');
});
