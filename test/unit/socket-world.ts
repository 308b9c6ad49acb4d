import { address, mono, type Netns } from '../../src/base/brand.ts';
import type { CallEvent, DropEvent } from '../../src/model/event.ts';
import type { Packet } from '../../src/model/packet.ts';
import type { BpfProgramFacts } from '../../src/model/bpf-program.ts';
import type { ProcessFacts } from '../../src/model/process.ts';
import type { CallSymptom, CounterSymptom, DropSymptom } from '../../src/model/symptom.ts';
import type { Cause } from '../../src/model/cause.ts';
import type { Finding, Found } from '../../src/model/finding.ts';
import assert from 'node:assert/strict';
import { BLUE, fakeEvidence, type Answered, type FakeEvidence } from '../fake-evidence.ts';

/** Builders for the tests of causes around sockets. */

export interface FakeSocket {
  readonly local: string;
  readonly port: number;
  readonly remote?: string;
  readonly remotePort?: number;
  readonly inode?: number;
  /** 1 established, 6 time-wait, 7 close (UDP), 10 listen. */
  readonly state: number;
  readonly queue?: readonly [receive: number, send: number];
  /** sk_meminfo: rmem_alloc, rcvbuf, drops. */
  readonly memory?: readonly [used: number, size: number, drops: number];
  readonly ifindex?: number;
  /** idiag_timer: 1 retransmission, 4 zero window probe. */
  readonly timer?: number;
}

/** A sock_diag dump of IPv4 sockets, laid out as the kernel's (checked against real dumps in sock-diag.test.ts). */
export function dumpOf(sockets: readonly FakeSocket[]): Uint8Array {
  const parts = sockets.map((s) => {
    const m = Buffer.alloc(16 + 72 + 40);
    m.writeUInt32LE(m.length, 0);
    m.writeUInt16LE(20, 4);
    const at = 16;
    m[at] = 2;
    m[at + 1] = s.state;
    m[at + 2] = s.timer ?? 0;
    m.writeUInt16BE(s.port, at + 4);
    m.writeUInt16BE(s.remotePort ?? 0, at + 6);
    s.local.split('.').forEach((b, i) => (m[at + 8 + i] = Number(b)));
    (s.remote ?? '0.0.0.0').split('.').forEach((b, i) => (m[at + 24 + i] = Number(b)));
    m.writeUInt32LE(s.ifindex ?? 0, at + 40);
    m.writeUInt32LE(s.queue?.[0] ?? 0, at + 56);
    m.writeUInt32LE(s.queue?.[1] ?? 0, at + 60);
    m.writeUInt32LE(s.inode ?? 0, at + 68);
    m.writeUInt16LE(40, at + 72); // INET_DIAG_SKMEMINFO
    m.writeUInt16LE(7, at + 74);
    const mem = [s.memory?.[0] ?? 0, s.memory?.[1] ?? 212992, 0, 212992, 0, 0, 0, 0, s.memory?.[2] ?? 0];
    mem.forEach((v, i) => m.writeUInt32LE(v, at + 76 + i * 4));
    return m;
  });
  return Buffer.concat(parts);
}

export const NO_SOCKETS = dumpOf([]);

export function socketAnswers(kind: 'udp' | 'tcp' | 'tcp-listen', sockets: readonly FakeSocket[], netns: Netns = BLUE): Answered[] {
  const six = kind === 'udp' ? 'udp6' : kind === 'tcp' ? 'tcp6' : 'tcp6-listen';
  return [[{ topic: 'sockets', netns, argument: kind }, dumpOf(sockets)], [{ topic: 'sockets', netns, argument: six }, NO_SOCKETS]];
}

export function process(facts: Partial<ProcessFacts> & { pid: number; comm: string }): Answered {
  const whole: ProcessFacts = { ppid: 1, cmdline: `/usr/sbin/${facts.comm} -x`, state: 'S', uid: 0, startTicks: 1, capabilities: [], seccomp: 0, noNewPrivs: false, ...facts };
  return [{ topic: 'process', argument: String(facts.pid) }, JSON.stringify(whole)];
}

export const owner = (inode: number, ...pids: number[]): Answered => [{ topic: 'socket-owner', argument: String(inode) }, JSON.stringify({ inode, pids })];
export const sysctl = (path: string, value: string, netns: Netns = BLUE): Answered => [{ topic: 'sysctl', netns, argument: path }, value];
export const programs = (...list: (Partial<BpfProgramFacts> & { id: number })[]): Answered => [
  { topic: 'bpf-programs' },
  JSON.stringify(list.map((p) => ({ name: '', type: 'cgroup_skb', tag: 'a04f5eef06a7f555', loadedBy: 0, loadedAt: '1', heldBy: [], attached: [], ...p }))),
];
/** `ip -j address` of a namespace with 10.0.0.2/24 on eth0. */
export const ADDRESSES: Answered = [{ topic: 'address', netns: BLUE }, '[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host","label":"lo"}]},{"ifindex":2,"ifname":"eth0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"addr_info":[{"family":"inet","local":"10.0.0.2","prefixlen":24,"scope":"global","label":"eth0"}]}]'];

export function udp(source: string, sourcePort: number, destination: string, destinationPort: number): Packet {
  return {
    ip: { version: 4, source, destination, protocol: 17, ttl: 64, totalLength: 68, headerLength: 20, tos: 0 },
    transport: { kind: 'udp', sourcePort, destinationPort, length: 48, checksum: 1 },
    defects: [],
  };
}

export function tcp(source: string, sourcePort: number, destination: string, destinationPort: number, flags: number, totalLength = 52): Packet {
  return {
    ip: { version: 4, source, destination, protocol: 6, ttl: 64, totalLength, headerLength: 20, tos: 0 },
    transport: { kind: 'tcp', sourcePort, destinationPort, flags, sequence: 1, acknowledgement: 2, window: 500, options: [8], timestamp: 1 },
    defects: [],
  };
}

export function drop(reason: string, symbol: string, packet: Packet, more: Partial<DropEvent> = {}): DropSymptom {
  const event: DropEvent = {
    kind: 'drop', time: mono(9_000_000_000n), cpu: 0, netns: BLUE, ifindex: 2, interface: 'eth0', skb: address(0xffff888000000000n),
    place: { address: address(0xffffffff81000000n), name: symbol, offset: 0x10 }, reason: { number: 3, name: reason }, protocol: 0x0800, length: 76, mark: 0,
    packet, stack: [], softirq: true, task: { pid: 99, tid: 99, comm: 'swapper' }, probe: 'bpf', ...more,
  };
  return { kind: 'drop', netns: event.netns, first: event.time, drop: event };
}

export function call(syscall: string, errno: string, more: Partial<CallEvent> = {}): CallSymptom {
  const event: CallEvent = { kind: 'call', time: mono(9_000_000_000n), cpu: 0, netns: BLUE, task: { pid: 4711, tid: 4711, comm: 'agentd', uid: 0 }, syscall, errno, args: [], ...more };
  return { kind: 'call', netns: BLUE, first: event.time, call: event };
}

export const counter = (name: string, before: number, after: number): CounterSymptom => ({ kind: 'counter', netns: BLUE, first: mono(9_000_000_000n), counter: name, before, after });

/** Judges, checks that nothing was asked beyond `needs`, that the texts are whole, and that the finding is as expected. */
export function judged(cause: Cause, symptom: Parameters<Cause['judge']>[0], fake: FakeEvidence = {}): Finding {
  const evidence = fakeEvidence(fake);
  const finding = cause.judge(symptom, evidence);
  for (const q of evidence.asked) assert.ok(cause.needs.includes(q.topic), `${cause.id} asks ${q.topic} without saying so`);
  if (finding.outcome === 'found') {
    assert.ok(finding.confidence > 0 && finding.confidence <= 1);
    assert.ok((finding.explanation.match(/[.)](?:\s|$)/g) ?? []).length >= 2, finding.explanation);
    assert.ok(finding.remedies.length > 0 && finding.culprit.text !== '' && finding.identity !== '');
    assert.doesNotMatch(JSON.stringify([finding.explanation, finding.culprit, finding.remedies]), /undefined|NaN|\[object/);
  }
  return finding;
}

export function found(finding: Finding): Found {
  assert.equal(finding.outcome, 'found', JSON.stringify(finding));
  return finding as Found;
}

export { BLUE };
