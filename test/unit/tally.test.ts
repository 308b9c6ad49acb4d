import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTally } from '../../src/app/tally.ts';
import { address, mono, netnsInode } from '../../src/base/brand.ts';
import { prometheusText } from '../../src/exports/index.ts';
import type { DropCountEvent } from '../../src/model/event.ts';
import { ruleDrop } from '../fixtures-incidents.ts';

const dropped = (packets: number, over: Partial<DropCountEvent> = {}): DropCountEvent => ({
  kind: 'drop-count', time: mono(1n), place: { address: address(1n), name: 'nf_hook_slow', offset: 1 }, reason: { number: 8, name: 'NETFILTER_DROP' },
  netns: netnsInode(7), ifindex: 0, protocol: 0x800, packets, bytes: packets * 10, ...over,
});
const text = async (tally: ReturnType<typeof createTally>): Promise<string> => prometheusText(tally.metrics());

test('cumulative counts are taken as they stand, places of one function added up', async () => {
  const tally = createTally(() => 'blue');
  for (const n of [5, 9, 9]) tally.event(dropped(n));
  tally.event(dropped(3, { place: { address: address(2n), name: 'nf_hook_slow', offset: 9 } }));
  const lines = await text(tally);
  assert.match(lines, /^whydrop_dropped_packets_total\{netns="blue",interface="",reason="NETFILTER_DROP",symbol="nf_hook_slow",protocol="ip"\} 12$/m);
  assert.match(lines, /^whydrop_dropped_bytes_total\{.*\} 120$/m);
});

test('an incident whose count shrinks does not make a counter run backwards', () => {
  const tally = createTally(() => 'blue');
  const value = (): number => tally.metrics().find((m) => m.name === 'whydrop_losses_total')!.series.reduce((s, x) => s + x.value, 0);
  for (const [count, expected] of [[10, 10], [7, 10], [12, 12]] as const) {
    tally.incidents([{ ...ruleDrop, count }]);
    assert.equal(value(), expected);
  }
  const open = (): number => tally.metrics().find((m) => m.name === 'whydrop_incidents_open')!.series.length;
  assert.equal(open(), 1);
  tally.incidents([{ ...ruleDrop, count: 12, state: 'closed' }]);
  assert.equal(open(), 0);
});

test('series are bounded: later ones are counted together, none is lost', () => {
  const tally = createTally((inode) => `ns${inode}`);
  for (let n = 1; n <= 3_000; n++) tally.event(dropped(1, { netns: netnsInode(n) }));
  const { series } = tally.metrics()[0]!;
  assert.equal(series.length, 1_001);
  assert.equal(series.reduce((s, x) => s + x.value, 0), 3_000);
});

test('hostile names are escaped as the format wants it', async () => {
  const tally = createTally(() => 'a"} 1\nevil 2\\');
  tally.event(dropped(1));
  const lines = await text(tally);
  assert.match(lines, /netns="a\\"\} 1\\nevil 2\\\\"/);
  assert.doesNotMatch(lines, /^evil/m);
});

test('failed calls count of programs of which one call was described: the kernel counts those of every namespace', () => {
  const tally = createTally(() => 'blue');
  const count = (pid: number, calls: number) => tally.event({ kind: 'call-count', time: mono(1n), pid, syscall: 'sendto', errno: 'EPERM', calls });
  tally.event({ kind: 'call', time: mono(1n), cpu: 0, netns: netnsInode(7), task: { pid: 10, tid: 10, comm: 'a' }, syscall: 'sendto', errno: 'EPERM', args: [] });
  count(10, 700);
  count(11, 18);
  assert.deepEqual(tally.metrics().find((m) => m.name === 'whydrop_failed_calls_total')?.series, [{ labels: ['sendto', 'EPERM'], value: 700 }]);
});
