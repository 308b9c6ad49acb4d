import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStacks } from '../../src/app/stacks.ts';
import type { DropEvent } from '../../src/model/event.ts';

const drop = (mark: number, ...names: string[]): DropEvent => ({ kind: 'drop', mark, stack: names.map((name, i) => ({ address: BigInt(i), name })) }) as unknown as DropEvent;

test('sampled stacks stand for the exact count of their incident, each by its share', () => {
  const stacks = createStacks((event) => (event.mark === 0 ? undefined : { id: `i${event.mark}` }));
  for (let i = 0; i < 30; i++) stacks.event(drop(1, 'kfree_skb', i % 3 === 0 ? 'tcp_v4_rcv' : 'udp_rcv'));
  stacks.event(drop(2, 'other'));
  assert.deepEqual(stacks.of('i1', 'c', 3_000).map((s) => [s.frames.at(-1), s.count]), [['udp_rcv', 2_000], ['tcp_v4_rcv', 1_000]]);
  assert.deepEqual(stacks.of('i2', 'c', 7), [{ cause: 'c', frames: ['other'], count: 7 }]);
  assert.deepEqual(stacks.of('i3', 'c', 7), []);
});

test('a sample waits for its verdict; what is kept is bounded', () => {
  let known = false;
  const stacks = createStacks((event) => (known ? { id: `i${event.mark}` } : undefined));
  stacks.event(drop(1, 'late'));
  assert.deepEqual(stacks.of('i1', 'c', 5), []);
  known = true;
  assert.equal(stacks.of('i1', 'c', 5)[0]?.count, 5);
  for (let i = 0; i < 20_000; i++) stacks.event(drop(7, `f${i}`));
  assert.equal(stacks.of('i7', 'c', 20_000).length, 64);
  for (let i = 0; i < 5_000; i++) stacks.event(drop(10 + i, 'f'));
  assert.deepEqual(stacks.of('i1', 'c', 5), [], 'the oldest incident is let go');
});
