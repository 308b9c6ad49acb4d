import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mono } from '../../src/base/brand.ts';
import { inverse } from '../../src/evidence/conntrack/index.ts';
import type { Event } from '../../src/model/event.ts';
import type { Incident } from '../../src/model/incident.ts';
import { sequenceOf } from '../../src/report/index.ts';
import { insertRace } from '../fixtures-incidents.ts';
import { AT, carried, changed, entry, exec, lost, udpTuple } from './conntrack-world.ts';
import { call } from './socket-world.ts';

const FLOW = udpTuple('10.99.0.2', 1194, '10.99.0.1', 1194);
const incident = (pid: number): Incident => ({ ...insertRace, where: { ...insertRace.where, hook: 'POSTROUTING' }, culprit: { kind: 'process', text: 'conntrack -F', pid } });
const { drop } = lost('POSTROUTING', undefined, { conntrack: carried(FLOW) });
const failed = { ...call('sendto', 'EPERM', { task: drop.task }).call, time: mono(AT + 150_000n) };

/** Watched live: conntrack's events bear the time of their reading, 20 ms after the loss; a flush of another process came before. */
const LIVE: readonly Event[] = [
  exec(415, 400, ['conntrack', '-F'], -420), changed('destroy', entry(FLOW, { id: 1 }), 415, -376), changed('new', entry(FLOW, { id: 2 }), 0, -376),
  exec(421, 400, ['conntrack', '-F'], -40), drop, failed,
  changed('destroy', entry(FLOW, { id: 2 }), 421, 20), changed('new', entry(inverse(FLOW), { id: 3 }), 0, 20), changed('destroy', entry(inverse(FLOW), { id: 3 }), 421, 20), changed('new', entry(FLOW, { id: 4 }), 0, 20),
];

test('a race watched live: what was told after the loss but came before it is drawn before it, without a time that it did not have', () => {
  const diagram = sequenceOf(LIVE, { incident: incident(421), realtimeOffset: 0n });
  assert.deepEqual(diagram?.actors.map((a) => a.label), ['conntrack 421', 'conntrack table', 'openvpn, CPU 0', 'opposite packet']);
  assert.deepEqual(diagram?.messages.map((m) => [m.text, m.time !== undefined]), [
    ['conntrack -F starts', true],
    ['deletes udp 10.99.0.2:1194 → 10.99.0.1:1194', false],
    ['inserts udp 10.99.0.1:1194 → 10.99.0.2:1194 first', false],
    ['inserts its entry: taken', true],
    ['dropped at POSTROUTING', true],
    ['sendto returns EPERM', true],
    ['deletes the new entry too', true],
  ]);
});

test('the flusher that is drawn is the one that the verdict names', () => {
  assert.equal(sequenceOf(LIVE, { incident: incident(415), realtimeOffset: 0n })?.actors[0]?.label, 'conntrack 415');
  assert.equal(sequenceOf(LIVE.filter((e) => e.kind !== 'conntrack'), { incident: incident(421), realtimeOffset: 0n }), undefined);
});

test('two connections that translation gave one tuple: the other one is drawn, and no flusher', () => {
  const original = udpTuple('192.168.77.10', 33_000, '192.168.77.20', 5355);
  const snat = lost('POSTROUTING', undefined, { conntrack: carried(original) });
  const other = entry(udpTuple('192.168.77.11', 33_000, '192.168.77.20', 5355), { reply: inverse(original) });
  const diagram = sequenceOf([snat.drop, changed('new', other, 0, 15)], { incident: incident(0), realtimeOffset: 0n });
  assert.deepEqual(diagram?.actors.map((a) => a.label), ['conntrack table', 'openvpn, CPU 0', 'other connection']);
  assert.deepEqual(diagram?.messages.map((m) => m.text), ['inserts udp 192.168.77.11:33000 → 192.168.77.20:5355 first', 'same translated tuple: taken', 'dropped at POSTROUTING']);
});

test('an ICMP flow is told by its id, not by ports', () => {
  const echo = { family: 4, protocol: 1, source: '10.97.0.1', destination: '10.97.0.2', sourcePort: 77, destinationPort: 2_048 } as const;
  const { drop: refused } = lost('POSTROUTING', undefined, { conntrack: carried(echo, { reply: { ...echo, source: echo.destination, destination: echo.source } }) });
  const diagram = sequenceOf([changed('destroy', entry(echo), 421, -5), refused, changed('new', entry(echo), 0, 1)], { incident: incident(421), realtimeOffset: 0n });
  assert.deepEqual(diagram?.messages.slice(0, 2).map((m) => m.text), ['deletes icmp 10.97.0.1 → 10.97.0.2 id 77', 'inserts icmp 10.97.0.1 → 10.97.0.2 id 77 first']);
});
