import assert from 'node:assert/strict';
import { test } from 'node:test';
import { weightsOf, type Exported } from '../../src/exports/index.ts';

const drop = (netns: number, cause: string | undefined, shed?: number): object => ({ event: { kind: 'drop', netns, ...(shed === undefined ? {} : { shed }) }, ...(cause === undefined ? {} : { incident: { id: 'i', cause } }) });
const call = (netns: number, cause: string): object => ({ event: { kind: 'call', netns }, incident: { id: 'i', cause } });
const incident = (netns: number, cause: string, count: number): object => ({ cause: { id: cause }, count, where: { netns: { inode: netns } } });
const weights = (events: readonly object[], incidents: readonly object[]): number[] => [...weightsOf({ events, incidents } as unknown as Exported)];

test('each packet brings what was only counted before it; together they are the exact count', () => {
  assert.deepEqual(weights([drop(1, 'a', 0), drop(1, 'a', 900), drop(1, 'a', 99)], [incident(1, 'a', 1002)]), [1, 901, 100]);
  // what came after the last is shared out
  assert.deepEqual(weights([drop(1, 'a', 0), drop(1, 'a', 2)], [incident(1, 'a', 8)]), [2, 6]);
  // recordings of before: each for its share
  assert.deepEqual(weights([drop(1, 'a'), drop(1, 'a')], [incident(1, 'a', 100)]), [50, 50]);
});

test('a call whose packet was counted is not counted again; one that lost no packet is', () => {
  assert.deepEqual(weights([drop(1, 'a'), call(1, 'a'), call(1, 'b'), call(2, 'a')], [incident(1, 'a', 10), incident(1, 'b', 4)]), [10, 0, 4, 1]);
});

test('namespaces and what no incident has stand for themselves', () => {
  assert.deepEqual(weights([drop(1, 'a'), drop(2, 'a'), drop(1, undefined)], [incident(1, 'a', 7), incident(2, 'a', 3)]), [7, 3, 1]);
});
