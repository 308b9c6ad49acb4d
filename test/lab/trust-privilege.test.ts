import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { armed, BUNDLE, NODE, NS, refusedSends, sh, skipWithout, start, summaryOf, type Incident, type Line } from './trust-lab.ts';

/* One capability less at a time, and none at all; tools that misbehave: docs/trust.md. */

const ALL = ['bpf', 'perfmon', 'net_admin', 'syslog'];
const as = (capabilities: readonly string[]): readonly string[] => {
  const list = ['-all', ...capabilities.map((c) => `+${c}`)].join(',');
  return ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', `--inh-caps=${list}`, `--ambient-caps=${list}`];
};
const without = (missing: string): readonly string[] => ['ip', 'netns', 'exec', NS, ...as(ALL.filter((c) => c !== missing))];
interface Probe { readonly id: string; readonly state: string; readonly why?: string; readonly fix?: string }
const probesOf = (line: Line | undefined): ReadonlyMap<string, Probe> => new Map((line?.['probes'] as readonly Probe[] | undefined)?.map((p) => [p.id, p]) ?? []);
const skip = skipWithout('/usr/bin/setpriv');

for (const [missing, name] of [['bpf', 'CAP_BPF'], ['perfmon', 'CAP_PERFMON']] as const)
  test(`watch without ${name}: says so of each probe that it costs; the rest works`, { skip, timeout: 30_000 }, async () => {
    const run = await armed(['watch', '--json'], without(missing));
    const probes = probesOf(run.lines.find((l) => l.type === 'armed'));
    for (const id of ['drop-bpf', 'calls-bpf', 'connects-bpf', 'exec-bpf']) {
      assert.equal(probes.get(id)?.state, 'unavailable', id);
      assert.match(probes.get(id)?.why ?? '', /EPERM/);
      assert.match(probes.get(id)?.fix ?? '', new RegExp(`also with ${name}$`));
    }
    assert.equal(probes.get('conntrack-events')?.state, 'armed');
    await summaryOf(run);
    assert.equal(await run.ended, 0);
  });

test('watch without CAP_NET_ADMIN: drops are counted exactly, and the verdict says that rules could not be read, and with what they could', { skip, timeout: 30_000 }, async () => {
  const run = await armed(['watch', '--json'], without('net_admin'));
  const probes = probesOf(run.lines.find((l) => l.type === 'armed'));
  assert.equal(probes.get('drop-bpf')?.state, 'armed');
  assert.match(probes.get('conntrack-events')?.fix ?? '', /CAP_NET_ADMIN/);
  const refused = refusedSends(NS, 30);
  await run.until('an incident', (l) => l.type === 'incident');
  const { incidents } = await summaryOf(run);
  const mine = incidents.filter((i) => /nft_do_chain|nf_hook_slow/.test(JSON.stringify(i['where'])));
  assert.equal(mine.reduce((n, i) => n + i.count, 0), refused, JSON.stringify(incidents));
  assert.match(JSON.stringify(mine), /CAP_NET_ADMIN/, JSON.stringify(mine));
});

test('watch without CAP_SYSLOG: drops are counted exactly, and it says that places have no names, and with what they would', { skip, timeout: 30_000 }, async () => {
  const run = await armed(['watch', '--json'], without('syslog'));
  const refused = refusedSends(NS, 30);
  await run.until('an incident', (l) => l.type === 'incident');
  const { incidents, loss } = await summaryOf(run);
  const mine = incidents.filter((i) => (i['victims'] as { errno?: string }[]).some((v) => v.errno === 'EPERM'));
  assert.equal(mine.reduce((n, i) => n + i.count, 0), refused, JSON.stringify(incidents));
  assert.match(JSON.stringify([mine, loss, run.lines.find((l) => l.type === 'armed')]), /CAP_SYSLOG/, JSON.stringify([mine, loss]));
});

test('watch with nothing ends with 3 and names both capabilities', { skip, timeout: 30_000 }, async () => {
  const run = start(['watch', '--json'], ['ip', 'netns', 'exec', NS, ...as([])]);
  assert.equal(await run.ended, 3);
  assert.match(run.text, /fix: run as root, or also with CAP_BPF and CAP_PERFMON/);
});

test('replay, report, export, stats, analyze and explain: as nobody, with a HOME, a TMPDIR and a folder that cannot be written, as root says it', { skip, timeout: 60_000 }, () => {
  const root = new URL('../../', import.meta.url).pathname;
  const file = `${root}fixtures/recordings/rule-drop.whydrop`;
  for (const args of [['replay', '--json', file], ['replay', file], ['report', file, '-o', '-'], ['export', file, '--to', 'csv'], ['export', file, '--to', 'pcapng'], ['stats', file], ['analyze', '--json', `${root}fixtures/analyze/openvpn-6.1`], ['explain', 'NETFILTER_DROP']]) {
    const env = { PATH: process.env['PATH'] ?? '', HOME: '/proc', TMPDIR: '/proc', XDG_CACHE_HOME: '/proc', LC_ALL: 'C.UTF-8' };
    const [program = '', ...rest] = [...as([]), NODE, BUNDLE, ...args];
    const nobody = spawnSync(program, rest, { cwd: '/proc', env, maxBuffer: 1 << 27 });
    const rooted = spawnSync(NODE, [BUNDLE, ...args], { maxBuffer: 1 << 27, env: { ...env, HOME: '/root' } });
    assert.equal(nobody.status, rooted.status, `${args.join(' ')}: ${String(nobody.stderr)}`);
    assert.equal(nobody.status, 0, `${args.join(' ')}: ${String(nobody.stderr)}`);
    assert.ok(nobody.stdout.length > 100);
    assert.equal(said(nobody.stdout), said(rooted.stdout), args.join(' '));
  }
});
/** Without the moment of its making, and what that cost. */
const said = (out: Buffer): string => out.toString('latin1').replace(/"cost":\{[^}]*\}/g, '').replace(/^.*(?:CPU|resident|memory).*$/gm, '').replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?/g, 'T').replace(/\d+ (seconds?|minutes?|hours?|days?) ago/g, 'ago');

for (const [what, script, why] of [
  ['writes without end', 'exec yes "a line that goes on and on and on and on and on and on and on"', /more than \d+ bytes of output|no end within/],
  ['ends with junk and a status', "printf '\\377\\033[2J{\"nftables\": [}' ; echo 'oops \\033[31m' >&2; exit 7", /oops/],
  ['says nonsense and ends well', "printf '\\377\\000{{{'", undefined],
] as const)
  test(`an nft that ${what} is reported, not believed and not waited for`, { skip: skip || skipWithout('/usr/bin/unshare'), timeout: 60_000 }, async () => {
    const dir = mkdtempSync('/tmp/whydrop-nft-');
    try {
      writeFileSync(`${dir}/nft`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const fake = ['unshare', '-m', 'sh', '-c', `mount --bind ${dir}/nft /usr/sbin/nft && exec "$@"`, 'sh'];
      const began = performance.now();
      const run = await armed(['watch', '--json', '--netns', NS], fake);
      const refused = refusedSends(NS, 25);
      await run.until('an incident', (l) => l.type === 'incident');
      const { incidents } = await summaryOf(run);
      assert.ok(performance.now() - began < 20_000, `${performance.now() - began} ms`);
      const count = (list: readonly Incident[]): number => list.filter((i) => /netfilter|unknown/.test(i.cause.id)).reduce((n, i) => n + i.count, 0);
      assert.equal(count(incidents), refused);
      const doctor = JSON.parse(sh(...fake, NODE, BUNDLE, 'doctor', '--json')) as { probes: Probe[] };
      const nft = doctor.probes.find((p) => p.id === 'read-nft');
      if (why === undefined) return;
      assert.equal(nft?.state, 'unavailable', JSON.stringify(nft));
      assert.match(nft?.why ?? '', why);
      assert.doesNotMatch(sh(...fake, NODE, BUNDLE, 'doctor'), /\u001b/);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
