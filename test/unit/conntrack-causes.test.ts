import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cause as chainTooLong } from '../../src/causes/conntrack/chain-too-long.ts';
import { cause as dyingEntry } from '../../src/causes/conntrack/dying-entry.ts';
import { cause as insertRace } from '../../src/causes/conntrack/insert-race.ts';
import { cause as invalidDrop } from '../../src/causes/conntrack/invalid-drop.ts';
import { cause as natPortExhausted } from '../../src/causes/conntrack/nat-port-exhausted.ts';
import { cause as tableFull } from '../../src/causes/conntrack/table-full.ts';
import { inverse } from '../../src/evidence/conntrack/index.ts';
import { IPS } from '../../src/model/conntrack.ts';
import type { LogSymptom } from '../../src/model/symptom.ts';
import { mono } from '../../src/base/brand.ts';
import { BLUE, type Answered, type FakeEvidence } from '../fake-evidence.ts';
import { AT, carried, changed, counters, entry, exec, lost, rules, tableOf, udpTuple } from './conntrack-world.ts';
import { call, found, judged, process, sysctl, tcp, udp } from './socket-world.ts';

const FLOW = udpTuple('10.99.0.2', 1194, '10.99.0.1', 1194);
const CLASH = counters({ insert_failed: 1, drop: 1 });
const SCRIPT = process({ pid: 400, comm: 'failover.sh', cmdline: '/bin/sh /usr/local/sbin/failover.sh', unit: 'failover.service' });

/** What was recorded on 6.1: conntrack -F lived milliseconds, then the two directions raced. */
const INCIDENT: FakeEvidence = {
  host: { kernel: '6.1.0-56-cloud-amd64' },
  before: [CLASH.before], answers: [CLASH.after, ...rules(), SCRIPT, tableOf([])],
  execs: [exec(421, 400, ['conntrack', '-F'], -40)],
  conntrackEvents: [changed('destroy', entry(FLOW, { timeout: 179 }), 421, -5), changed('destroy', entry(udpTuple('10.0.0.7', 5, '10.0.0.8', 6)), 421, -5), changed('new', entry(inverse(FLOW)), 0, 1)],
};

test('insert race after a flush: the flush and its author, the opposite direction, the kernel that would not have lost it', () => {
  const symptom = lost('POSTROUTING', undefined, { conntrack: carried(FLOW) });
  const f = found(judged(insertRace, { ...symptom, call: call('sendto', 'EPERM', { task: { pid: 180, tid: 180, comm: 'openvpn' } }).call }, INCIDENT));
  assert.ok(f.confidence >= 0.95);
  assert.equal(f.hook, 'POSTROUTING');
  assert.equal(f.culprit.kind, 'process');
  assert.equal(f.culprit['pid'], 421);
  assert.match(f.culprit.text, /conntrack -F \(pid 421, failover\.service\), started by \/bin\/sh \/usr\/local\/sbin\/failover\.sh \(pid 400\) deleted 2 conntrack entries/);
  assert.match(f.explanation, /179 s to live/);
  assert.match(f.explanation, /packet of the opposite direction/);
  assert.match(f.explanation, /6\.12/);
  assert.match(f.remedies[0]?.command ?? '', /^ip netns exec blue nft 'table inet whydrop_notrack .*ip saddr 10\.99\.0\.2 ip daddr 10\.99\.0\.1 udp dport 1194 notrack/);
  assert.equal(f.remedies[0]?.undo, 'ip netns exec blue nft delete table inet whydrop_notrack');
  assert.match(f.identity, /conntrack -F/);
});

const SNMP = (moved: Readonly<Record<string, number>>): Answered => {
  const names = ['InReceives', 'InHdrErrors', 'InAddrErrors', 'ForwDatagrams', 'InUnknownProtos', 'InDiscards', 'InDelivers', 'OutRequests', 'OutDiscards', 'ReasmReqds'];
  return [{ topic: 'proc', netns: BLUE, argument: 'net/snmp' }, `Ip: ${names.join(' ')}\nIp: ${names.map((n) => 1_000 + (moved[n] ?? 0)).join(' ')}\n`];
};

test('insert race: what the counters of IP tell of it, on the way out and on the way in', () => {
  const told = (hook: 'POSTROUTING' | 'INPUT', moved: Readonly<Record<string, number>>): string | undefined =>
    found(judged(insertRace, lost(hook, undefined, { conntrack: carried(FLOW) }), { ...INCIDENT, before: [...INCIDENT.before!, SNMP({})], answers: [...INCIDENT.answers!, SNMP(moved)] })).evidence.find((e) => e.source === '/proc/net/snmp')?.text;
  assert.equal(told('POSTROUTING', { OutRequests: 9, OutDiscards: 1 }), 'since before the loss: Ip OutDiscards +1');
  assert.match(told('INPUT', { InReceives: 11_223, InDelivers: 11_221 }) ?? '', /InReceives \+11223, InDelivers \+11221: 2 packets vanished in between/);
  assert.equal(told('INPUT', { InReceives: 10, InDelivers: 10 }), undefined);
  assert.equal(told('INPUT', { InReceives: 10, InDelivers: 7, InDiscards: 3 }), undefined);
  assert.equal(told('INPUT', { InReceives: 10, InDelivers: 4, ForwDatagrams: 5 }), undefined);
});

test('insert race: the silent half at INPUT is told as well', () => {
  const f = found(judged(insertRace, lost('INPUT', udp('10.99.0.1', 1194, '10.99.0.2', 1194), { conntrack: carried(inverse(FLOW)), softirq: true }), { ...INCIDENT, conntrackEvents: [changed('destroy', entry(FLOW), 421, -5), changed('new', entry(FLOW), 0, 0)] }));
  assert.equal(f.hook, 'INPUT');
  assert.equal(f.culprit['pid'], 421);
});

test('insert race without BPF: counters, innocent rules and the delete are enough', () => {
  const f = found(judged(insertRace, lost('POSTROUTING', undefined, { probe: 'tracefs' }), INCIDENT));
  assert.ok(f.confidence >= 0.9);
});

test('insert race: entries older than the listener send no events, then the command tells', () => {
  const f = found(judged(insertRace, lost('POSTROUTING', undefined, { conntrack: carried(FLOW) }), { ...INCIDENT, conntrackEvents: [] }));
  assert.equal(f.culprit['pid'], 421);
  assert.match(f.culprit.text, /was not seen/);
});

test('insert race: a flush that passes the flow twice, told late: the entry before the winner is cited, not the winner itself', () => {
  // conntrack -E of the tunnel on 6.1, and the same as a live watch is told it: all at once, after the loss
  const stamps = [-376, -2, 0.7, 6, 6.7], live = [-376, 18, 18, 18, 18];
  for (const [i, ms] of [stamps, live].entries()) {
    const events = [
      changed('new', entry(FLOW, { id: 2_486_298_599 }), 0, 0),
      changed('destroy', entry(FLOW, { id: 2_486_298_599, timeout: 30 }), 421, 0),
      changed('new', entry(inverse(FLOW), { id: 3_555_691_389 }), 0, 0),
      changed('destroy', entry(inverse(FLOW), { id: 3_555_691_389, timeout: 29 }), 421, 0),
      changed('new', entry(FLOW, { id: 992_830_842 }), 0, 0),
    ].map((e, n) => ({ ...e, time: mono(AT + BigInt(Math.round(ms[n]! * 1e6))) }));
    const f = found(judged(insertRace, lost('POSTROUTING', undefined, { conntrack: carried(FLOW) }), { ...INCIDENT, conntrackEvents: events }));
    assert.match(f.explanation, /which had 30 s to live/, `case ${i}`);
    assert.match(f.evidence.map((e) => e.text).join('\n'), /DESTROY udp 10\.99\.0\.2:1194 → 10\.99\.0\.1:1194, 30 s left, asked for by conntrack -F \(pid 421/);
    assert.match(f.evidence.map((e) => e.text).join('\n'), /the entry that was in the table: udp 10\.99\.0\.1:1194 →/);
  }
});

test('insert race: of two flushes told at once, the one that had started by then and was last', () => {
  const events = [
    changed('destroy', entry(FLOW, { timeout: 12 }), 410, 20), changed('new', entry(inverse(FLOW)), 0, 20),
    changed('destroy', entry(inverse(FLOW), { timeout: 30 }), 421, 20), changed('new', entry(inverse(FLOW)), 0, 20),
    changed('destroy', entry(inverse(FLOW), { timeout: 28 }), 433, 20), changed('new', entry(inverse(FLOW)), 0, 20),
  ];
  const execs = [exec(410, 400, ['conntrack', '-F'], -60), exec(421, 400, ['conntrack', '-F'], -10), exec(433, 400, ['conntrack', '-F'], 4)];
  const f = found(judged(insertRace, lost('POSTROUTING', undefined, { conntrack: carried(FLOW) }), { ...INCIDENT, conntrackEvents: events, execs }));
  assert.equal(f.culprit['pid'], 421);
  assert.match(f.explanation, /which had 30 s to live/);
});

test('insert race innocent: counters stand still, the entry is in the table, the packet has none, it died elsewhere', () => {
  const still = counters({ clashres: 3 });
  const calm: FakeEvidence = { ...INCIDENT, before: [still.before], answers: [still.after, ...rules(), SCRIPT, tableOf([])] };
  assert.equal(judged(insertRace, lost('POSTROUTING', undefined, { conntrack: carried(FLOW) }), calm).outcome, 'ruled-out');
  assert.equal(judged(insertRace, lost('POSTROUTING', undefined, { conntrack: carried(FLOW, { status: IPS.CONFIRMED | IPS.SEEN_REPLY, info: 0 }) }), INCIDENT).outcome, 'ruled-out');
  assert.equal(judged(insertRace, lost('POSTROUTING'), INCIDENT).outcome, 'ruled-out');
  assert.equal(judged(insertRace, lost('OUTPUT', undefined, { conntrack: carried(FLOW) }), INCIDENT).outcome, 'ruled-out');
  const nft = lost('POSTROUTING');
  assert.equal(judged(insertRace, { ...nft, drop: { ...nft.drop, place: { ...nft.drop.place, name: 'nft_do_chain' } } }, INCIDENT).outcome, 'not-applicable');
});

const SNAT = (range: string): string => `*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n[9:540] -A POSTROUTING -o eth0 -p udp -j SNAT --to-source 10.0.2.1${range}\nCOMMIT\n`;
const translated = (source: string, port: number, to: number): ReturnType<typeof entry> => {
  const original = udpTuple(source, port, '10.0.2.2', 9000);
  return entry(original, { reply: udpTuple('10.0.2.2', 9000, '10.0.2.1', to), status: IPS.CONFIRMED | IPS.SRC_NAT });
};
const GATEWAY = (range: string, entries: readonly ReturnType<typeof entry>[]): FakeEvidence => ({ before: [CLASH.before], answers: [CLASH.after, ...rules(SNAT(range)), tableOf(entries)] });
const forwarded = (port: number, to: number) => lost('POSTROUTING', udp('10.0.2.1', to, '10.0.2.2', 9000), {
  interface: 'eth0', softirq: true, conntrack: carried(udpTuple('10.0.1.2', port, '10.0.2.2', 9000), { reply: udpTuple('10.0.2.2', 9000, '10.0.2.1', to), status: IPS.SRC_NAT | IPS.SRC_NAT_DONE }),
});

test('SNAT gave two connections one tuple: the rule, and random ports as the remedy', () => {
  const f = found(judged(insertRace, forwarded(4000, 4000), { ...GATEWAY('', []), conntrackEvents: [changed('new', translated('10.0.1.3', 4000, 4000), 0, 0)] }));
  assert.equal(f.culprit.kind, 'rule');
  assert.match(f.explanation, /10\.0\.1\.3:4000/);
  assert.equal(f.remedies[0]?.command, 'ip netns exec blue iptables-legacy -t nat -R POSTROUTING 1 -o eth0 -p udp -j SNAT --to-source 10.0.2.1 --random-fully');
});

test('the DNS race of Kubernetes: A and AAAA of one socket, sent to two backends at once; before 5.6 the second is lost', () => {
  const query = udpTuple('10.244.1.7', 41_234, '10.96.0.10', 53);
  const to = (backend: string) => ({ reply: udpTuple(backend, 53, '10.244.1.7', 41_234), status: IPS.DST_NAT | IPS.DST_NAT_DONE | IPS.SRC_NAT_DONE });
  const symptom = lost('POSTROUTING', udp('10.244.1.7', 41_234, '10.244.2.9', 53), { softirq: true, conntrack: carried(query, to('10.244.2.9')) });
  const cluster: FakeEvidence = { host: { kernel: '4.19.0-27-amd64' }, before: [CLASH.before], answers: [CLASH.after, ...rules(), tableOf([])], conntrackEvents: [changed('new', entry(query, { reply: udpTuple('10.244.3.4', 53, '10.244.1.7', 41_234) }), 0, 0)] };
  const f = found(judged(insertRace, symptom, cluster));
  assert.match(f.explanation, /Two first packets of udp 10\.244\.1\.7:41234 → 10\.96\.0\.10:53 were sent at the same time on two CPUs and may have been sent to different backends/);
  assert.match(f.explanation, /Kernels before 5\.6 \(this is 4\.19\.0-27-amd64\)/);
  assert.ok(f.remedies.some((r) => /single-request-reopen/.test(r.text)));
  assert.ok(f.remedies.some((r) => /5\.6 and later/.test(r.text)));
  assert.ok(f.remedies.every((r) => !/6\.12/.test(r.text)));
  // later kernels resolve it: the counter says so, and a packet that died there died of something else
  const calm = counters({ clashres: 1 });
  assert.equal(judged(insertRace, symptom, { ...cluster, host: { kernel: '6.18.44' }, before: [calm.before], answers: [calm.after, ...rules(), tableOf([])] }).outcome, 'ruled-out');
});

test('NAT ports exhausted: the rule, its range, and the same rule without it as the first remedy', () => {
  const full = GATEWAY(':5000-5002', [5000, 5001, 5002].map((to, i) => translated('10.0.1.2', 1000 + i, to)));
  const f = found(judged(natPortExhausted, forwarded(1009, 5001), full));
  assert.ok(f.confidence > 0.95);
  assert.match(f.culprit.text, /SNAT --to-source 10\.0\.2\.1:5000-5002: 3 of 3 ports/);
  assert.equal(f.remedies[0]?.command, 'ip netns exec blue iptables-legacy -t nat -R POSTROUTING 1 -o eth0 -p udp -j SNAT --to-source 10.0.2.1');
  assert.equal(f.remedies[0]?.undo, 'ip netns exec blue iptables-legacy -t nat -R POSTROUTING 1 -o eth0 -p udp -j SNAT --to-source 10.0.2.1:5000-5002');
  assert.equal(judged(insertRace, forwarded(1009, 5001), full).outcome, 'ruled-out');
});

test('NAT ports exhausted innocent: ports are free, they are taken for another peer, nothing was translated', () => {
  assert.equal(judged(natPortExhausted, forwarded(1009, 5001), GATEWAY(':5000-5002', [translated('10.0.1.2', 1, 5000)])).outcome, 'ruled-out');
  const other = [5000, 5001, 5002].map((to, i) => entry(udpTuple('10.0.1.2', i + 1, '10.0.2.9', 9000), { reply: udpTuple('10.0.2.9', 9000, '10.0.2.1', to) }));
  assert.equal(judged(natPortExhausted, forwarded(1009, 5001), GATEWAY(':5000-5002', other)).outcome, 'ruled-out');
  assert.equal(judged(natPortExhausted, lost('POSTROUTING', undefined, { conntrack: carried(FLOW) }), INCIDENT).outcome, 'ruled-out');
  assert.equal(judged(natPortExhausted, lost('INPUT', undefined, { conntrack: carried(FLOW) }), INCIDENT).outcome, 'ruled-out');
});

const LOG = (text: string): Answered => [{ topic: 'kernel-log' }, text];
const FULL = counters({ drop: 40 });
const crowd = Array.from({ length: 40 }, (_, i) => entry(udpTuple(i < 30 ? '10.0.1.2' : '10.0.1.3', 1000 + i, '10.0.2.2', 9000)));

test('table full: the limit, the count, who holds the entries, a larger limit in the root namespace', () => {
  const f = found(judged(tableFull, lost('PREROUTING'), {
    before: [FULL.before], answers: [FULL.after, ...rules(), tableOf(crowd), sysctl('net/netfilter/nf_conntrack_max', '40'), sysctl('net/netfilter/nf_conntrack_count', '40'), LOG('<4>[    9.100000] nf_conntrack: nf_conntrack: table full in netns 4026532001, dropping packet\n')],
  }));
  assert.ok(f.confidence > 0.95);
  assert.match(f.culprit.text, /nf_conntrack_max = 40.*holds 40 entries.*75 % of the entries come from 10\.0\.1\.2/);
  assert.equal(f.remedies[0]?.command, 'sysctl -w net.netfilter.nf_conntrack_max=262144');
  assert.equal(f.remedies[0]?.undo, 'sysctl -w net.netfilter.nf_conntrack_max=40');
  assert.match(f.remedies[1]?.command ?? '', /conntrack -D -s 10\.0\.1\.2/);
  assert.ok(f.evidence.some((e) => e.source === 'kernel log'));
});

test('table full innocent: there is room, nothing was counted, the log speaks of another namespace or of long ago, it died behind', () => {
  const roomy = [sysctl('net/netfilter/nf_conntrack_max', '262144'), sysctl('net/netfilter/nf_conntrack_count', '12')];
  const judge = (answers: Answered[], moved = FULL): string => judged(tableFull, lost('OUTPUT'), { before: [moved.before], answers: [moved.after, ...rules(), tableOf([]), ...answers] }).outcome;
  assert.equal(judge([...roomy, LOG('')]), 'ruled-out');
  assert.equal(judge([...roomy, LOG('<4>[    9.1] nf_conntrack: nf_conntrack: table full in netns 4026531999, dropping packet\n')]), 'ruled-out');
  assert.equal(judge([sysctl('net/netfilter/nf_conntrack_max', '40'), sysctl('net/netfilter/nf_conntrack_count', '40'), LOG('')], counters({})), 'ruled-out');
  assert.equal(judged(tableFull, lost('POSTROUTING'), INCIDENT).outcome, 'ruled-out');
  assert.equal(judged(tableFull, lost('OUTPUT'), { answers: rules() }).outcome, 'ruled-out');
});

test('a hash chain too long, and a look-alike', () => {
  const chain = counters({ insert_failed: 5, chainlength: 5 });
  const answers = [chain.after, ...rules(), tableOf(crowd), sysctl('net/netfilter/nf_conntrack_buckets', '1024', 4026531840 as typeof BLUE), sysctl('net/netfilter/nf_conntrack_count', '90000')];
  const f = found(judged(chainTooLong, lost('POSTROUTING', undefined, { conntrack: carried(FLOW) }), { before: [chain.before], answers }));
  assert.match(f.culprit.text, /nf_conntrack_buckets = 1024 with 90000 entries/);
  assert.match(f.remedies[0]?.command ?? '', /^sysctl -w net\.netfilter\.nf_conntrack_buckets=65536$/);
  assert.equal(judged(chainTooLong, lost('POSTROUTING', undefined, { conntrack: carried(FLOW) }), INCIDENT).outcome, 'ruled-out');
});

test('a dying entry, and a look-alike', () => {
  const gone = counters({ insert_failed: 1 });
  const f = found(judged(dyingEntry, lost('POSTROUTING', undefined, { conntrack: carried(FLOW, { status: IPS.DYING }) }), { ...INCIDENT, before: [gone.before], answers: [gone.after, ...rules(), SCRIPT, tableOf([])] }));
  assert.equal(f.culprit['pid'], 421);
  assert.equal(judged(dyingEntry, lost('POSTROUTING', undefined, { conntrack: carried(FLOW) }), INCIDENT).outcome, 'ruled-out');
});

const DROP_INVALID = '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n[7:700] -A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n';
const segment = (flags: number) => lost('FORWARD', tcp('10.0.1.2', 41_000, '10.0.2.2', 8443, flags), { interface: 'eth1', softirq: true });
const FIREWALL = (loose: string, entries: readonly ReturnType<typeof entry>[] = []): FakeEvidence => ({
  before: [CLASH.before], answers: [CLASH.after, ...rules(DROP_INVALID), tableOf(entries), SCRIPT, sysctl('net/netfilter/nf_conntrack_tcp_loose', loose), sysctl('net/netfilter/nf_conntrack_tcp_be_liberal', '0'), sysctl('net/netfilter/nf_conntrack_checksum', '1'), [{ topic: 'link', netns: BLUE }, '[]']],
  execs: [exec(421, 400, ['conntrack', '-D', '-p', 'tcp'], -700)],
  conntrackEvents: [changed('destroy', entry({ family: 4, protocol: 6, source: '10.0.1.2', destination: '10.0.2.2', sourcePort: 41_000, destinationPort: 8443 }), 3_483_937_615, -600)],
});

test('INVALID in the middle of a connection: who deleted the entry (its second socket has no pid for a name), and the sysctl', () => {
  const f = found(judged(invalidDrop, segment(0x10), FIREWALL('0')));
  assert.match(f.culprit.text, /--ctstate INVALID -j DROP/);
  assert.match(f.explanation, /conntrack -D -p tcp \(pid 421.*deleted it 600 ms before/);
  assert.equal(f.remedies[0]?.command, 'ip netns exec blue sysctl -w net.netfilter.nf_conntrack_tcp_loose=1');
  assert.equal(f.remedies[0]?.undo, 'ip netns exec blue sysctl -w net.netfilter.nf_conntrack_tcp_loose=0');
});

test('INVALID since the kernel itself gave a silent connection up: the time-out is named where it is short', () => {
  const silent = (seconds: string): FakeEvidence => {
    const base = FIREWALL('0');
    return { ...base, execs: [], answers: [...base.answers ?? [], sysctl('net/netfilter/nf_conntrack_tcp_timeout_established', seconds)], conntrackEvents: [changed('destroy', entry({ family: 4, protocol: 6, source: '10.0.1.2', destination: '10.0.2.2', sourcePort: 41_000, destinationPort: 8443 }), 0, -600)] };
  };
  const f = found(judged(invalidDrop, segment(0x10), silent('60')));
  assert.match(f.explanation, /the kernel gave it up .*forgotten after 60 s of silence \(net\.netfilter\.nf_conntrack_tcp_timeout_established = 60\)/);
  assert.match(f.remedies[1]?.command ?? '', /nf_conntrack_tcp_timeout_established=432000$/);
  assert.doesNotMatch(found(judged(invalidDrop, segment(0x10), silent('432000'))).explanation, /of silence/);
});

test('INVALID by window, by another path, by checksum', () => {
  const listed = entry({ family: 4, protocol: 6, source: '10.0.1.2', destination: '10.0.2.2', sourcePort: 41_000, destinationPort: 8443 });
  const window = found(judged(invalidDrop, segment(0x10), { ...FIREWALL('1', [listed]), conntrackEvents: [] }));
  assert.equal(window.culprit['why'], 'window');
  assert.match(window.remedies[0]?.command ?? '', /be_liberal=1/);
  assert.equal(found(judged(invalidDrop, segment(0x12), { ...FIREWALL('1'), conntrackEvents: [] })).culprit['why'], 'asymmetric');
  const broken = segment(0x10);
  const defect = { ...broken, drop: { ...broken.drop, packet: { ...broken.drop.packet, defects: [{ kind: 'transport-checksum', text: 'TCP checksum 0x1, computed 0x2' }] as const } } };
  assert.equal(found(judged(invalidDrop, defect, FIREWALL('1'))).culprit['why'], 'checksum');
});

test('INVALID innocent: the packet had an entry, or the rule asks for something else', () => {
  const tracked = segment(0x10);
  assert.equal(judged(invalidDrop, { ...tracked, drop: { ...tracked.drop, conntrack: carried(FLOW, { status: IPS.CONFIRMED, info: 0 }) } }, FIREWALL('0')).outcome, 'ruled-out');
  const plain = FIREWALL('0');
  assert.equal(judged(invalidDrop, segment(0x10), { ...plain, answers: [...plain.answers!, ...rules(DROP_INVALID.replace('-m conntrack --ctstate INVALID', '-p tcp'))] }).outcome, 'ruled-out');
});

test('the second symptom before 6.12: a source port rewritten with no rule for it', () => {
  const symptom: LogSymptom = { kind: 'log', netns: BLUE, first: mono(9_000_000_000n), pid: 179, file: '/var/log/openvpn.log', line: 'Incoming packet rejected from [AF_INET]10.99.0.2:48180[2], expected peer address: [AF_INET]10.99.0.2:1194 (allow this incoming source address/port by removing --remote or adding --float)' };
  const wrong = entry(FLOW, { reply: udpTuple('10.99.0.1', 1194, '10.99.0.2', 48_180) });
  const names: Answered = [{ topic: 'netns-names' }, '[]'];
  const f = found(judged(insertRace, symptom, { host: { kernel: '6.1.0' }, answers: [...rules(), tableOf([wrong]), names] }));
  assert.match(f.remedies[0]?.command ?? '', /conntrack -D -p 17 --orig-src 10\.99\.0\.2 --orig-dst 10\.99\.0\.1 --orig-port-src 1194/);
  assert.equal(judged(insertRace, symptom, { answers: [...rules(), tableOf([entry(FLOW)]), names] }).outcome, 'ruled-out');
  assert.equal(judged(insertRace, { ...symptom, line: 'TLS handshake failed' }, {}).outcome, 'not-applicable');
});
