import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { conntrackLosses, counterDeltas, movedBy, olderThan } from '../../src/evidence/counters/index.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import type { ConntrackSignature } from '../../src/model/conntrack.ts';
import { BLUE, fakeEvidence } from '../fake-evidence.ts';

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/counters/${name}`, import.meta.url), 'utf8');

test('before and after of the 6.1 incident: one clash lost, on CPU 3, others resolved', () => {
  const question = { topic: 'proc', netns: BLUE, argument: 'net/stat/nf_conntrack' } as const;
  const evidence = fakeEvidence({ before: [[question, fixture('6.1-stat-nf_conntrack.before.txt')]], answers: [[question, fixture('6.1-stat-nf_conntrack.after.txt')]] });
  const deltas = counterDeltas(evidence, BLUE, 'stat/nf_conntrack');
  assert.ok(!isUnavailable(deltas));
  assert.equal(movedBy(deltas, 'insert_failed'), 1);
  assert.ok(deltas.to > deltas.from);
  assert.deepEqual(deltas.cpus.filter((c) => c.moved.has('insert_failed')).map((c) => c.cpu), [3]);
  const losses = conntrackLosses(deltas, '6.1.0-56-cloud-amd64');
  assert.deepEqual([losses.signature, losses.clash, losses.resolved, losses.dropOnly], ['clash-lost', 1, 3, 0]);
});

test('without /proc/net/stat/nf_conntrack the same counters are read over netlink', () => {
  const stats = new Uint8Array(readFileSync(new URL('../../fixtures/conntrack/stats-6.18.bin', import.meta.url)));
  // attribute 9 (insert_failed) and 10 (drop) of the last CPU's message, 8 bytes each, grow by one
  const moved = Uint8Array.from(stats);
  for (const type of [9, 10]) {
    const at = moved.findLastIndex((b, i) => b === 8 && moved[i + 1] === 0 && moved[i + 2] === type && moved[i + 3] === 0);
    moved[at + 7]! += 1;
  }
  const question = { topic: 'conntrack-stats', netns: BLUE } as const;
  const deltas = counterDeltas(fakeEvidence({ before: [[question, stats]], answers: [[question, moved]] }), BLUE, 'stat/nf_conntrack');
  assert.ok(!isUnavailable(deltas));
  const losses = conntrackLosses(deltas, '6.18.44');
  assert.deepEqual([losses.signature, losses.clash, losses.chainTooLong, deltas.cpus.map((c) => c.cpu)], ['clash-lost', 1, 0, [1]]);
});

function signature(kernel: string, moved: Record<string, number>): ConntrackSignature {
  const names = ['entries', 'clashres', 'chainlength', 'insert_failed', 'drop', 'early_drop'];
  const key = (name: string): string => (name === 'clashres' ? 'clash_resolve' : name === 'chainlength' ? 'chaintoolong' : name);
  const row = (value: (name: string) => number): string => `${names.join(' ')}\n${names.map((n) => value(n).toString(16)).join(' ')}\n`;
  const question = { topic: 'proc', netns: BLUE, argument: 'net/stat/nf_conntrack' } as const;
  const deltas = counterDeltas(fakeEvidence({ before: [[question, row(() => 5)]], answers: [[question, row((n) => 5 + (moved[key(n)] ?? 0))]] }), BLUE, 'stat/nf_conntrack');
  assert.ok(!isUnavailable(deltas));
  return conntrackLosses(deltas, kernel).signature;
}

test('the signatures of conntrack losses, and what they meant before 5.10', () => {
  assert.equal(signature('6.18.44', { drop: 1, insert_failed: 1 }), 'clash-lost');
  assert.equal(signature('6.18.44', { drop: 7 }), 'drop-only');
  assert.equal(signature('6.18.44', { insert_failed: 2, chaintoolong: 2 }), 'chain-too-long');
  assert.equal(signature('6.18.44', { insert_failed: 1 }), 'dying');
  assert.equal(signature('6.18.44', { clash_resolve: 4 }), 'clash-resolved');
  assert.equal(signature('6.18.44', {}), 'none');
  assert.equal(signature('4.19.0', { insert_failed: 3 }), 'unclear'); // perhaps all of them were resolved
  assert.equal(signature('4.19.0', { insert_failed: 3, drop: 3 }), 'clash-lost');
});

test('no reading from before is said, not taken for zero', () => {
  const question = { topic: 'proc', netns: BLUE, argument: 'net/stat/nf_conntrack' } as const;
  const deltas = counterDeltas(fakeEvidence({ answers: [[question, fixture('6.1-stat-nf_conntrack.after.txt')]] }), BLUE, 'stat/nf_conntrack');
  assert.ok(isUnavailable(deltas) && deltas.unavailable === 'missing');
});

test('kernel releases compare as numbers', () => {
  assert.ok(olderThan('5.4.0-150-generic', 5, 10) && olderThan('6.1.0', 6, 12) && !olderThan('6.12.117+deb12', 6, 12) && !olderThan('10.0', 6, 12));
});
