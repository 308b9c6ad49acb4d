import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explore, KERNELS, type Setting } from '../../src/causes/race-model/model.ts';
import { raceStories, raceTable } from '../../src/causes/race-model/table.ts';

const flush = (over: Partial<Setting>) => explore({ kernel: KERNELS.from56, protocol: 'udp', nat: true, racers: 'send-and-receive', ...over });

// What was measured (real kernels in virtual machines and this host; the numbers are EPERM, insert_failed, rewritten):
//   6.1  NAT hooked, UDP:  EPERM and rewritten ports     6.1  no nat table: none of either, clashes resolved
//   6.12 NAT hooked, UDP:  neither                        6.18: neither; ICMP, two senders: EPERM = insert_failed

test('6.1 with NAT hooked loses UDP packets after a flush and rewrites ports; without NAT it does neither', () => {
  assert.ok(flush({}).lost > 0);
  assert.ok(flush({}).rewritten > 0);
  assert.deepEqual([flush({ nat: false }).lost, flush({ nat: false }).rewritten], [0, 0]);
});

test('6.12 and later resolve it, and leave the port alone', () => {
  assert.deepEqual([flush({ kernel: KERNELS.from612 }).lost, flush({ kernel: KERNELS.from612 }).rewritten], [0, 0]);
});

test('kernels before clash resolution lose with and without NAT: the incident of 2013', () => {
  assert.ok(flush({ kernel: KERNELS.before47 }).lost > 0);
  assert.ok(flush({ kernel: KERNELS.before47, nat: false }).lost > 0);
});

test('two echo requests of one id at once lose on every kernel, two UDP datagrams on none since 4.19', () => {
  for (const kernel of [KERNELS.from56, KERNELS.from612]) {
    for (const nat of [true, false]) {
      assert.ok(explore({ kernel, protocol: 'icmp', nat, racers: 'two-sends' }).lost > 0, kernel.name);
      assert.equal(explore({ kernel, protocol: 'udp', nat, racers: 'two-sends' }).lost, 0, kernel.name);
    }
  }
});

test('TCP clashes are never resolved', () => {
  assert.ok(flush({ kernel: KERNELS.from612, protocol: 'tcp' }).lost > 0);
});

test('a UDP clash that NAT has bound is merged since 4.19, in the reply direction alone since 5.6', () => {
  assert.ok(explore({ kernel: KERNELS.from47, protocol: 'udp', nat: true, racers: 'two-sends' }).lost > 0);
  assert.equal(explore({ kernel: KERNELS.from47, protocol: 'udp', nat: false, racers: 'two-sends' }).lost, 0);
  assert.equal(explore({ kernel: KERNELS.from419, protocol: 'udp', nat: true, racers: 'two-sends' }).lost, 0);
  assert.ok(flush({ kernel: KERNELS.from419 }).lost >= flush({}).lost);
});

test('the example ends in the loss, after a flush; the same order on 6.12 loses nothing', () => {
  const { loses, rewrites } = flush({});
  assert.ok(loses !== undefined && rewrites !== undefined);
  assert.ok(loses.some((s) => s.actor === 'flusher'));
  assert.equal(loses.filter((s) => s.kind === 'lost').length, 1);
  assert.match(rewrites.map((s) => s.text).join(), /port taken, gets another/);
  const stories = raceStories();
  assert.equal(stories.length, 5);
  assert.deepEqual(stories[1]?.steps.map((s) => s.actor), stories[0]?.steps.map((s) => s.actor));
  assert.deepEqual(stories.map((s) => s.steps.some((step) => step.kind === 'lost')), [true, false, true, true, true]);
  assert.match(raceTable(), /5\.6 to 6\.11 +hooked +loses/);
});
