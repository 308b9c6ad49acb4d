import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fixOf } from '../../src/sources/sys/bpf.ts';
import { coarseClockNs, memlock } from '../../src/sources/sys/limits.ts';

test('a jiffy: one of the tick rates that a kernel is built with', () => {
  assert.ok([100, 250, 300, 1000].some((hz) => Math.abs((coarseClockNs() ?? 0) - 1e9 / hz) < 1000), `${coarseClockNs()}`);
});

test('the limit of locked memory is raised as far as it may be, for this process alone', () => {
  const before = memlock();
  const { stdout, stderr } = spawnSync('bash', ['-c', 'ulimit -S -l 16; exec "$0" -e "$1"', process.execPath, `
import(${JSON.stringify(new URL('../../src/sources/sys/limits.ts', import.meta.url).href)}).then(({ memlock, raiseMemlock }) => {
  const before = memlock();
  console.log(before.soft, raiseMemlock(), memlock().soft === memlock().hard, memlock().hard >= before.hard, raiseMemlock());
});`], { encoding: 'utf8' });
  assert.equal(stdout, '16384n true true true false\n', stderr);
  assert.deepEqual(memlock(), before);
});

test('a refusal that a low limit may have caused says so, with what raises it', () => {
  assert.match(fixOf([], 65_536n), /^before Linux 5\.11 .* is 64 kB .*ulimit -l unlimited/);
  assert.match(fixOf([], 0xffff_ffff_ffff_ffffn), /^this process has the capabilities/);
  assert.match(fixOf(['CAP_BPF'], 65_536n), /CAP_BPF/);
});
