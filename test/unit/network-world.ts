import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { address, mono, netnsInode, type Netns } from '../../src/base/brand.ts';
import type { Cause } from '../../src/model/cause.ts';
import type { CallEvent, DropEvent } from '../../src/model/event.ts';
import type { Finding, Found } from '../../src/model/finding.ts';
import type { Packet } from '../../src/model/packet.ts';
import type { Topic } from '../../src/model/question.ts';
import type { CallSymptom, DropSymptom, Symptom } from '../../src/model/symptom.ts';
import { fakeEvidence, HOME, type Answered } from '../fake-evidence.ts';
import { holdsWithHostileNames } from '../hostile-names.ts';

/**
 * Namespaces as they were captured on a live kernel with a fault in them (fixtures/network): what `ip`, `bridge` and
 * `tc` said, and the sysctls. A test puts a dropped packet into one and asks a cause.
 */
export interface World {
  readonly netns: (short: string) => Netns;
  readonly answers: readonly Answered[];
  readonly names: ReadonlyMap<Netns, string>;
}

export function world(name: string): World {
  const file = JSON.parse(readFileSync(new URL(`../../fixtures/network/${name}.json`, import.meta.url), 'utf8')) as { namespaces: Record<string, Record<string, string>> };
  const shorts = Object.keys(file.namespaces);
  const netns = (short: string): Netns => {
    const i = shorts.indexOf(short);
    assert.ok(i >= 0, `no namespace ${short} in ${name}`);
    return netnsInode(4026533000 + i);
  };
  const answers: Answered[] = [];
  for (const [short, listings] of Object.entries(file.namespaces)) {
    for (const [key, body] of Object.entries(listings)) {
      const [topic, ...rest] = key.split(' ');
      answers.push([{ topic: topic as Topic, netns: netns(short), ...(rest.length === 0 ? {} : { argument: rest.join(' ') }) }, body]);
    }
    for (const topic of ['iptables', 'ip6tables', 'iptables-legacy', 'ip6tables-legacy', 'ipset', 'arptables', 'ebtables'] as const) answers.push([{ topic, netns: netns(short) }, '']);
    if (!('nft' in listings)) answers.push([{ topic: 'nft', netns: netns(short) }, '{"nftables":[]}']);
    for (const topic of ['xfrm-policy', 'xfrm-state'] as const) if (!(topic in listings)) answers.push([{ topic, netns: netns(short) }, '']);
  }
  // whydrop's own namespace, with nothing in it
  for (const topic of ['link', 'address', 'route', 'route6', 'rule', 'rule6', 'neighbour', 'bridge-link', 'bridge-fdb', 'qdisc'] as const) answers.push([{ topic, netns: HOME }, '[]']);
  return { netns, answers, names: new Map(shorts.map((s) => [netns(s), `net-${s}`])) };
}

/** The MAC address of an interface. */
export function macOf(w: World, short: string, device: string): string {
  const body = w.answers.find(([q]) => q.topic === 'link' && q.netns === w.netns(short))?.[1];
  const links = JSON.parse(String(body)) as { ifname: string; address: string }[];
  const found = links.find((l) => l.ifname === device);
  assert.ok(found, `${device} in ${short}`);
  return found.address;
}

export function indexOf(w: World, short: string, device: string): number {
  const body = w.answers.find(([q]) => q.topic === 'link' && q.netns === w.netns(short))?.[1];
  return (JSON.parse(String(body)) as { ifname: string; ifindex: number }[]).find((l) => l.ifname === device)?.ifindex ?? 0;
}

export interface Dropped {
  readonly reason: string;
  readonly symbol: string;
  readonly device?: string;
  /** The device it came in on. */
  readonly from?: string;
  readonly packet: Packet;
  readonly length?: number;
  readonly call?: CallEvent;
}

export function dropIn(w: World, short: string, d: Dropped): DropSymptom {
  const netns = w.netns(short);
  const drop: DropEvent = {
    kind: 'drop', time: mono(9_000_000_000n), cpu: 0, netns, ifindex: d.device === undefined ? 0 : indexOf(w, short, d.device), skb: address(1n),
    place: { address: address(0xffffffff81000000n), name: d.symbol, offset: 1 }, reason: { number: 2, name: d.reason },
    protocol: d.packet.ip?.version === 6 ? 0x86dd : d.packet.arp !== undefined ? 0x0806 : 0x0800, length: d.length ?? 106, mark: 0, packet: d.packet, stack: [], softirq: d.from !== undefined,
    task: { pid: 1, tid: 1, comm: 'swapper/0' }, probe: 'bpf',
    ...(d.device === undefined ? {} : { interface: d.device }), ...(d.from === undefined ? {} : { incoming: indexOf(w, short, d.from) }),
  };
  return { kind: 'drop', netns, first: drop.time, drop, ...(d.call === undefined ? {} : { call: d.call }) };
}

export function callIn(w: World, short: string, errno: string, destination: string, length = 64): CallSymptom {
  const netns = w.netns(short);
  const call: CallEvent = { kind: 'call', time: mono(9_000_000_000n), cpu: 0, netns, task: { pid: 4711, tid: 4711, comm: 'sender' }, syscall: 'sendto', errno, fd: 3, destination, length, args: [], socket: { address: address(2n), family: 2, protocol: 17 } };
  return { kind: 'call', netns, first: call.time, call };
}

export function packet(source: string, destination: string, more: { ttl?: number; length?: number; options?: number[]; protocol?: number; port?: number; ethernet?: Packet['ethernet']; inner?: Packet['inner']; defects?: Packet['defects'] } = {}): Packet {
  const version = source.includes(':') ? 6 : 4;
  return {
    ip: { version, source, destination, protocol: more.protocol ?? 17, ttl: more.ttl ?? 64, totalLength: more.length ?? 92, headerLength: version === 4 ? 20 : 40, tos: 0, dontFragment: true, ...(more.options === undefined ? {} : { options: more.options }) },
    ...(more.protocol === undefined || more.protocol === 17 ? { transport: { kind: 'udp' as const, sourcePort: 40000, destinationPort: more.port ?? 9000, length: 72, checksum: 1 } } : {}),
    ...(more.ethernet === undefined ? {} : { ethernet: more.ethernet }), ...(more.inner === undefined ? {} : { inner: more.inner }),
    defects: more.defects ?? [],
  };
}

/** Judges, and holds the cause to the topics that it says it needs. */
export function judged(cause: Cause, w: World, symptom: Symptom, more: readonly Answered[] = [], before: readonly Answered[] = []): Finding {
  const evidence = fakeEvidence({ answers: [...w.answers, ...more], before, host: { netnsNames: w.names } });
  const finding = cause.judge(symptom, evidence);
  holdsWithHostileNames(cause, finding, [...w.answers, ...more], before, symptom, (a, b, s, netnsName) =>
    cause.judge(s, fakeEvidence({ answers: a, before: b, host: { netnsNames: new Map([...w.names].map(([n, name]) => [n, netnsName(name)])) } })));
  for (const q of evidence.asked) assert.ok(cause.needs.includes(q.topic), `${cause.id} asked for ${q.topic} without saying so`);
  return finding;
}

export function found(finding: Finding): Found {
  assert.equal(finding.outcome, 'found', JSON.stringify(finding));
  assert.ok(finding.outcome === 'found');
  assert.ok(finding.confidence > 0 && finding.confidence <= 1);
  assert.ok(finding.explanation.split(/[.!?](?=\s|$)/).filter((s) => s.trim() !== '').length >= 3, `three sentences: ${finding.explanation}`);
  return finding;
}

export const innocent = (finding: Finding): void => assert.ok(finding.outcome === 'ruled-out' || finding.outcome === 'not-applicable', JSON.stringify(finding));
