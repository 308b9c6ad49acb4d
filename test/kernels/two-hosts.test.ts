import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { judged } from '../../src/app/judged.ts';
import { merge } from '../../src/app/merge.ts';
import { holdsTo, recorded } from '../two-clocks.ts';
import { boot, kernel } from './kernels.ts';

/* Two machines with a cable between them and clocks of their own, of which one is 37 s ahead. */
test('two hosts, two clocks: merge finds how far they are apart, and each failure meets the other host\'s drop', async (t) => {
  const found = kernel('6.12');
  if ('why' in found) return t.skip(found.why);
  const folder = mkdtempSync(join(tmpdir(), 'whydrop-cable-'));
  const [a, b] = await Promise.all((['a', 'b'] as const).map((host) => boot(found.folder, `bash ./two-hosts ${host}`, {
    cpus: 1, seconds: 180, link: host === 'a' ? [join(folder, 'a'), join(folder, 'b')] : [join(folder, 'b'), join(folder, 'a')], clock: Date.now() + (host === 'b' ? 37_000 : 0),
  })));
  rmSync(folder, { recursive: true });
  assert.ok(a !== undefined && b !== undefined);
  t.after(() => [a, b].forEach((vm) => vm.remove()));
  assert.deepEqual([a.status, b.status], [0, 0], `${a.text}${a.file('a.err')}${b.text}${b.file('b.err')}`);
  const files = [readFileSync(join(a.out, 'a.whydrop')), readFileSync(join(b.out, 'b.whydrop'))] as const;
  const { said, measured, clock } = holdsTo(a.file('clocks.json'), ...files);
  t.diagnostic(`± ${said.toFixed(2)} ms was said, ± ${measured.toFixed(2)} ms was measured; the wall clocks were ${Number(clock.wallAhead) / 1e9} s apart`);
  assert.ok(Math.abs(Number(clock.wallAhead) / 1e9 - 37) < 20, 'as they were set, but for who booted first');
  assert.ok(said < 50);
  const { incidents } = judged(merge([recorded('a', files[0]), recorded('b', files[1])]).records, { pid: [], protocol: [], port: [], address: [], cause: [] }).exported;
  const told = JSON.stringify(incidents.map((i) => [i.cause.id, i.culprit.text, i.where.netns.name, i.victims]));
  const refused = incidents.find((i) => i.cause.id === 'socket.no-listener' && i.where.netns.name === 'host-b:host' && i.where.symbol?.startsWith('tcp') === true);
  assert.ok(refused?.victims.some((v) => v.syscall === 'connect' && v.errno === 'ECONNREFUSED' && v.process?.comm === 'python3') === true, told);
  const silent = incidents.find((i) => i.cause.id === 'netfilter.rule-drop');
  assert.ok(silent?.where.netns.name === 'host-b:host' && silent.victims.some((v) => v.syscall === 'connect' && v.process?.comm === 'python3'), told);
});
