import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address, netnsInode } from '../../src/base/brand.ts';
import type { DropEvent } from '../../src/model/event.ts';
import { createShed } from '../../src/timeline/shed.ts';

const at = (cpu: number, more: object = {}): DropEvent => ({ cpu, netns: netnsInode(1), place: { address: address(1n) }, reason: { number: 2, name: 'X' }, ifindex: 0, protocol: 0x0800, ...more }) as unknown as DropEvent;

test('what lies between two of one counter on one CPU', () => {
  const shed = createShed();
  assert.equal(shed(at(0), 64n), 0, 'the first that is known stands for itself');
  assert.equal(shed(at(1), 3n), 0);
  assert.equal(shed(at(0), 65n), 0);
  assert.equal(shed(at(0), 1_066n), 1_000);
  assert.equal(shed(at(1), 5n), 1);
  assert.equal(shed(at(0, { protocol: 0x86dd }), 9n), 0, 'another counter');
});

test('newcomers in between are described: neither shed, nor a reason to forget what was', () => {
  const shed = createShed();
  shed(at(0), 64n);
  assert.equal(shed(at(0, { newcomer: true }), 100n), 0);
  assert.equal(shed(at(0, { newcomer: true }), 200n), 0);
  assert.equal(shed(at(0), 264n), 197);
});

test('records of before tell nothing; a counter that began anew is none that ran back', () => {
  const shed = createShed();
  assert.equal(shed(at(0), 0n), undefined);
  shed(at(0), 500n);
  assert.equal(shed(at(0), 3n), 0);
});
