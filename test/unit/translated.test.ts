import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mono, netnsInode } from '../../src/base/brand.ts';
import { createTranslations } from '../../src/evidence/conntrack/translated.ts';
import type { ConntrackEvent, Tuple } from '../../src/model/event.ts';

const tuple = (source: string, sourcePort: number, destination: string, destinationPort: number, protocol = 6): Tuple => ({ family: 4, protocol, source, sourcePort, destination, destinationPort });
const born = (original: Tuple, reply: Tuple): ConntrackEvent => ({ kind: 'conntrack', time: mono(1n), netns: netnsInode(1), change: 'new', requester: 0, entry: { original, reply, status: 0 } });

test('a masqueraded connection is known by both names, in both directions', () => {
  const t = createTranslations();
  t.add(born(tuple('172.17.0.2', 40000, '203.0.113.9', 80), tuple('203.0.113.9', 80, '203.0.113.1', 51000)));
  assert.deepEqual(t.after('tcp', '172.17.0.2:40000>203.0.113.9:80'), ['203.0.113.1:51000>203.0.113.9:80']);
  assert.deepEqual(t.after('tcp', '203.0.113.9:80>172.17.0.2:40000'), ['203.0.113.9:80>203.0.113.1:51000']);
  assert.equal(t.before('tcp', '203.0.113.1:51000>203.0.113.9:80'), '172.17.0.2:40000>203.0.113.9:80');
  assert.equal(t.before('udp', '203.0.113.1:51000>203.0.113.9:80'), '203.0.113.1:51000>203.0.113.9:80', 'another protocol');
});

test('one NAT behind the other, and a service address', () => {
  const t = createTranslations();
  t.add(born(tuple('10.1.0.5', 40000, '10.96.0.10', 53), tuple('10.2.0.7', 53, '10.1.0.5', 40000))); //  DNAT
  t.add(born(tuple('10.1.0.5', 40000, '10.2.0.7', 53), tuple('10.2.0.7', 53, '192.0.2.1', 40000))); //   SNAT on the next
  assert.deepEqual(t.after('tcp', '10.1.0.5:40000>10.96.0.10:53'), ['10.1.0.5:40000>10.2.0.7:53', '192.0.2.1:40000>10.2.0.7:53']);
  assert.equal(t.before('tcp', '192.0.2.1:40000>10.2.0.7:53'), '10.1.0.5:40000>10.96.0.10:53');
});

test('what is not translated keeps its name; ICMP goes by addresses; a circle ends', () => {
  const t = createTranslations();
  t.add(born(tuple('10.0.0.1', 1, '10.0.0.2', 2), tuple('10.0.0.2', 2, '10.0.0.1', 1)));
  assert.deepEqual(t.after('tcp', '10.0.0.1:1>10.0.0.2:2'), []);
  t.add(born(tuple('172.17.0.2', 77, '203.0.113.9', 0x800, 1), tuple('203.0.113.9', 77, '203.0.113.1', 0, 1)));
  assert.equal(t.before('icmp', '203.0.113.1>203.0.113.9'), '172.17.0.2>203.0.113.9');
  t.add(born(tuple('1.1.1.1', 1, '2.2.2.2', 2), tuple('2.2.2.2', 2, '3.3.3.3', 3)));
  t.add(born(tuple('3.3.3.3', 3, '2.2.2.2', 2), tuple('2.2.2.2', 2, '1.1.1.1', 1)));
  assert.ok(t.after('tcp', '1.1.1.1:1>2.2.2.2:2').length <= 4);
  assert.ok(t.before('tcp', '3.3.3.3:3>2.2.2.2:2').length > 0);
});
