import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Incident } from '../../src/model/incident.ts';
import { createNotices, SETTLED } from '../../src/report/index.ts';
import { ruleDrop } from '../fixtures-incidents.ts';

const incident = (over: Partial<Incident> = {}): Incident => ({ ...ruleDrop, severity: 'warning', state: 'open', count: 1, ...over });
const events = (notices: readonly { readonly event: string }[]): readonly string[] => notices.map((n) => n.event);

test('told once when the verdict has stood a while, again while it goes on, and when it is over', () => {
  const tell = createNotices({ severity: 'warning', again: 60_000 });
  assert.deepEqual(events(tell(0, [incident()])), []);
  assert.deepEqual(events(tell(SETTLED - 1, [incident()])), []);
  assert.deepEqual(events(tell(SETTLED, [incident()])), ['opened']);
  assert.deepEqual(events(tell(30_000, [incident({ count: 50 })])), [], 'too soon');
  assert.deepEqual(events(tell(90_000, [incident({ count: 90 })])), ['continues']);
  assert.deepEqual(events(tell(200_000, [incident({ count: 90 })])), [], 'it did not grow');
  assert.deepEqual(events(tell(210_000, [incident({ count: 90, state: 'closed' })])), ['closed']);
  assert.deepEqual(events(tell(211_000, [incident({ count: 90, state: 'closed' })])), []);
  tell(300_000, [incident({ count: 91 })]);
  assert.deepEqual(events(tell(300_000 + SETTLED, [incident({ count: 91 })])), ['opened'], 'it came back');
});

test('another cause, culprit or severity is news; a better sentence is not', () => {
  const tell = createNotices({ severity: 'warning', again: 60_000 });
  tell(0, [incident()]);
  tell(5_000, [incident()]);
  assert.deepEqual(events(tell(10_000, [incident({ explanation: 'Better words.' })])), []);
  assert.deepEqual(events(tell(11_000, [incident({ severity: 'critical' })])), ['changed']);
  assert.deepEqual(events(tell(20_000, [incident({ severity: 'critical', cause: { id: 'netfilter.policy-drop', title: 'x' } })])), ['changed']);
});

test('what is less severe than asked for is not told, and what was told is ended even when it became so', () => {
  const tell = createNotices({ severity: 'critical', again: 60_000 });
  tell(0, [incident()]);
  assert.deepEqual(events(tell(9_000, [incident()])), []);
  tell(10_000, [incident({ severity: 'critical' })]);
  assert.deepEqual(events(tell(20_000, [incident({ severity: 'critical' })])), ['opened']);
  assert.deepEqual(events(tell(30_000, [incident({ state: 'closed' })])), ['closed']);
});

test('at the end of watching, what stands has settled', () => {
  const tell = createNotices({ severity: 'warning', again: 60_000 });
  assert.deepEqual(events(tell(0, [incident()], true)), ['opened']);
});
