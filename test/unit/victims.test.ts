import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Growing } from '../../src/diagnose/incidents.ts';
import { shareOut, victimsOf } from '../../src/diagnose/victims.ts';
import type { Victim } from '../../src/model/incident.ts';

const who = (pid: number, port: number, errno?: string): Omit<Victim, 'count'> => ({ process: { pid, comm: 'sender' }, flow: { protocol: 'udp', source: `10.0.0.1:${port}`, destination: '10.0.0.2:53' }, ...(errno === undefined ? {} : { errno, syscall: 'sendto' }) });
/** Signs of symptoms, each a victim with its count. */
const incident = (counted: boolean, ...hits: readonly (readonly [Omit<Victim, 'count'>, number])[]): Growing =>
  ({ signs: [{ victims: new Map(hits.map(([victim, count], i) => [String(i), { symptom: victim, count }])), ...(counted ? { countKey: 'k' } : {}) }] }) as unknown as Growing;
const found = (of: Growing, total: number): readonly (readonly [number | undefined, string | undefined, number])[] =>
  shareOut(victimsOf(of, (_, symptom) => [{ ...(symptom as unknown as Omit<Victim, 'count'>), count: 1 }]), of, total).map((v) => [v.process?.pid, v.errno, v.count] as const);

test('a packet whose failed call was not described is that of the one whose was, whichever came first', () => {
  assert.deepEqual(found(incident(true, [who(7, 1, 'EPERM'), 39], [who(7, 1), 1]), 40), [[7, 'EPERM', 40]]);
  assert.deepEqual(found(incident(true, [who(7, 1), 1], [who(7, 1, 'EPERM'), 39]), 40), [[7, 'EPERM', 40]]);
  assert.deepEqual(found(incident(true, [who(7, 1, 'EPERM'), 4], [who(7, 2), 1]), 5), [[7, 'EPERM', 4], [7, undefined, 1]], 'another flow is another victim');
});

test('together they suffered everything', () => {
  assert.deepEqual(found(incident(true, [who(7, 1), 30], [who(8, 2), 10]), 4001), [[7, undefined, 3001], [8, undefined, 1000]]);
  assert.deepEqual(found(incident(true, [who(7, 1), 3000], [who(8, 2), 10]), 301), [[7, undefined, 300], [8, undefined, 1]], 'what was taken for theirs was another incident\'s');
});

test('where it is not known that these are all, or how many there were, they stay as they were seen', () => {
  const many = incident(true, ...Array.from({ length: 24 }, (_, i) => [who(i, i), 2] as const));
  assert.ok(found(many, 10_000).every(([, , count]) => count === 2));
  assert.deepEqual(found(incident(false, [who(7, 1), 5]), 1), [[7, undefined, 5]]);
});
