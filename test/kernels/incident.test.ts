import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { boot, kernel, stream } from './kernels.ts';

/*
 * The incident that whydrop was made for, on the kernel that has it: a busy UDP flow, a nat table that matches nothing,
 * `conntrack -F` now and then, and once in a while `Operation not permitted`. 6.12 resolves this race. WHYDROP_INCIDENT=openvpn
 * sends it through an OpenVPN tunnel (four emulated CPUs, minutes, and luck).
 */
test('6.1: the insert race after conntrack -F: the flusher is named', async (t) => {
  const found = kernel('6.1');
  if ('why' in found) return t.skip(found.why);
  const openvpn = process.env['WHYDROP_INCIDENT'] === 'openvpn';
  const folder = mkdtempSync(join(tmpdir(), 'whydrop-peer-'));
  const peer = join(folder, 'udp-peer');
  const compiled = spawnSync('gcc', ['-O2', '-static', '-o', peer, new URL('guest/udp-peer.c', import.meta.url).pathname, '-lpthread'], { encoding: 'utf8' });
  if (compiled.status !== 0) return t.skip(`gcc is needed for the sender: ${compiled.error?.message ?? compiled.stderr}`);
  const vm = await boot(found.folder, `bash ./incident ${openvpn ? 'openvpn 300 300' : 'udp 100 100'}`, { cpus: openvpn ? 4 : 2, seconds: openvpn ? 500 : 240, programs: [peer] });
  rmSync(folder, { recursive: true });
  t.after(() => vm.remove());
  assert.equal(vm.status, 0, vm.text);
  const { rounds, errors } = JSON.parse(vm.file('incident.sent.json')) as { rounds: number; errors: number };
  if (errors === 0) return t.skip(`no send was refused in ${rounds} rounds of conntrack -F: the race is chance`);
  const { incidents } = stream(vm.file('incident.jsonl'));
  const race = incidents.find((i) => i.cause.id === 'conntrack.insert-race' && i.victims.some((v) => v.errno === 'EPERM'));
  assert.ok(race !== undefined, incidents.map((i) => `${i.cause.id}: ${i.culprit.text}`).join('\n'));
  assert.equal(race.culprit.kind, 'process');
  assert.equal(race.culprit.cmdline, 'conntrack -F');
  assert.ok((race.culprit.pid ?? 0) > 1);
  assert.match(race.culprit.text, /^conntrack -F \(pid \d+\).* deleted \d+ conntrack entr/);
  assert.match(race.where.symbol ?? '', /^nf_hook_slow/);
  assert.ok(race.victims.some((v) => v.process?.comm === (openvpn ? 'openvpn' : 'udp-peer')), JSON.stringify(race.victims));
  assert.match(race.explanation, /(this is |The kernel \()6\.1\./);
});
