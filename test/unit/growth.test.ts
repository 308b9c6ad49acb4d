import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { address, mono, netnsInode } from '../../src/base/brand.ts';
import { createDiagnosis } from '../../src/diagnose/index.ts';
import type { Cause } from '../../src/model/cause.ts';
import type { ConntrackEvent, DropEvent, Event } from '../../src/model/event.ts';
import type { Found } from '../../src/model/finding.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import { fact } from '../../src/evidence/fact.ts';
import { HOME } from '../fake-evidence.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
const heap = (): number => {
  gc();
  return process.memoryUsage().heapUsed;
};

const NETNS = netnsInode(77);
const at = (seconds: number) => mono(BigInt(Math.round(seconds * 1e9)));
const PLACE = { address: address(0xffffffff81000100n), name: 'nft_do_chain', offset: 0x3e8 };
const REASON = { number: 12, name: 'NETFILTER_DROP' };
const STACK = Array.from({ length: 20 }, (_, i) => ({ address: address(0xffffffff81000000n + BigInt(i)), name: `frame_${i}`, offset: 1 }));

const drop = (seconds: number, n: number): DropEvent => ({
  kind: 'drop', time: at(seconds), cpu: 0, netns: NETNS, ifindex: 1 + (n % 50), skb: address(BigInt(n)), place: PLACE, reason: REASON, protocol: 0x800, length: 100, mark: 0,
  packet: {
    ip: { version: 4, source: '10.0.0.1', destination: `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`, protocol: 17, ttl: 64, totalLength: 100, headerLength: 20, tos: 0 },
    transport: { kind: 'udp', sourcePort: 40000 + (n % 20000), destinationPort: 1000 + (n % 9000), length: 80, checksum: 0 }, defects: [],
  },
  stack: [...STACK], softirq: false, task: { pid: 1000 + n, tid: 1000 + n, comm: `app${n}` }, probe: 'bpf',
});
const tuple = (n: number) => ({ family: 4 as const, protocol: 17, source: `10.0.${n % 250}.1`, destination: '10.9.9.9', sourcePort: 1024 + (n % 60000), destinationPort: 53 });
const tracked = (seconds: number, n: number): ConntrackEvent => ({ kind: 'conntrack', time: at(seconds), netns: NETNS, change: 'new', requester: 0, entry: { original: tuple(n), reply: tuple(n + 1), status: 8, mark: 0 } } as unknown as ConntrackEvent);

/** A rule for each of many destinations: incidents form and are over; each asks for a large listing that changes all the time. */
const byDestination: Cause = {
  id: 'test.destination', title: 'a rule for each destination', needs: ['iptables', 'process'],
  knowledge: { what: '', signs: [], fixes: [], functions: [], reasons: [], errnos: [], versions: [], sources: [] },
  judge: (symptom, evidence): Found => {
    const rules = fact(evidence, { topic: 'iptables', netns: NETNS }, 'rules', (body) => String(body).split('\n').map((line) => ({ line, words: line.split(' ') })));
    const destination = symptom.kind === 'drop' ? symptom.drop.packet.ip?.destination ?? '' : '';
    return {
      outcome: 'found', confidence: isUnavailable(rules) ? 0.5 : 0.95, severity: 'warning', identity: destination, explanation: `What went to ${destination} was dropped. A rule did it. It is the ${destination}th of all.`,
      culprit: { kind: 'rule', text: destination }, evidence: Array.from({ length: 8 }, (_, i) => ({ source: 'drop probe', text: `line ${i} about ${destination}` })), remedies: [],
    };
  },
};
const listing = (round: number): string => Array.from({ length: 400 }, (_, i) => `[${round}:${i}] -A OUTPUT -d 203.0.113.${i % 250}/32 -p tcp --dport ${i} -j ACCEPT`).join('\n');

test('an hour of incidents that come and go, flows, programs, connections and rules that change takes no more memory than its first minutes', () => {
  const d = createDiagnosis({
    host: { kernel: '6.18', hostname: 'h', cpus: 2, home: HOME, netnsNames: new Map() }, realtimeOffset: 0n, causes: [byDestination], fromAnswers: () => [],
    victims: (evidence, s) => {
      if (s.kind !== 'drop') return [];
      const facts = evidence.lastAnswer({ topic: 'process', argument: String(s.drop.task.pid) });
      return isUnavailable(facts) ? [] : [{ process: { pid: s.drop.task.pid, comm: s.drop.task.comm, cmdline: String(facts.body) }, count: 1 }];
    },
  });
  let closed = 0;
  let rounds = 0;
  let packets = 0;
  const minute = (m: number): void => {
    for (let second = m * 60; second < m * 60 + 60; second += 2) {
      // a new loss every other second, ten packets each
      for (let k = 0; k < 10; k++) {
        d.add(drop(second + k / 20, second >> 1));
        packets += 1;
      }
      for (let k = 0; k < 30; k++) {
        d.add({ kind: 'exec', time: at(second + k / 50), task: { pid: second * 30 + k, tid: second * 30 + k, comm: 'sh' }, parent: 1, filename: '/bin/sh', argv: ['sh', '-c', `job ${second} ${k}`] } as Event);
        d.add(tracked(second + k / 50, second * 30 + k));
      }
      for (let round = 0; round < 2; round++) {
        const { incidents, questions } = d.judge(at(second + 0.6 + round / 10));
        closed += incidents.filter((i) => i.state === 'closed').length;
        for (const question of questions) {
          if (question.topic === 'iptables') rounds += 1;
          d.add({ kind: 'answer', time: at(second + 0.61 + round / 10), question, body: question.topic === 'iptables' ? listing(rounds) : `/usr/bin/app --number ${question.argument}` });
        }
      }
    }
  };
  for (let m = 0; m < 10; m++) minute(m);
  const before = heap();
  for (let m = 10; m < 60; m++) minute(m);
  const after = heap();
  assert.ok(closed > 1_000, `${closed} incidents were over`);
  assert.ok(after < before + 15e6, `${(before / 1e6).toFixed(1)} MB after 10 minutes, ${(after / 1e6).toFixed(1)} MB after 60`);
  const incidents = d.incidents(at(3_601));
  assert.equal(new Set(incidents.map((i) => i.id)).size, incidents.length);
  assert.ok(incidents.every((i) => i.count === 10 && i.victims.length === 1), 'what is over keeps its count and its victim');
  assert.ok(packets > 0);
});
