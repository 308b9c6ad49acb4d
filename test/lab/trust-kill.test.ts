import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { armed, NS, pause, PYTHON, sh, skipWithout, start } from './trust-lab.ts';

/* Nothing stays behind: docs/trust.md. */

/** BPF objects that a process of ours holds (others' runs change theirs meanwhile). */
function bpfIdsOf(pid: number): Set<string> {
  const ids = new Set<string>();
  for (const fd of namesIn(`/proc/${pid}/fdinfo`)) {
    for (const [, kind, id] of textOf(`/proc/${pid}/fdinfo/${fd}`).matchAll(/^(map_id|prog_id|link_id):\s*(\d+)$/gm)) ids.add(`${kind}:${id}`);
  }
  return ids;
}
function bpfIdsNow(): Set<string> {
  const ids = new Set<string>();
  for (const [kind, list] of [['map_id', 'map'], ['prog_id', 'prog'], ['link_id', 'link']] as const) {
    for (const { id } of JSON.parse(sh('bpftool', '-j', list, 'list')) as { id: number }[]) ids.add(`${kind}:${id}`);
  }
  return ids;
}
/** Empty when it is not there (any more). */
const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};
const textOf = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};
const childrenOf = (pid: number): number[] => textOf(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter((c) => c !== '').map(Number);
/** A process that runs: not gone, not a zombie. */
const lives = (pid: number): boolean => textOf(`/proc/${pid}/cmdline`) !== '';

/** Rules of our own network namespace, all of its sysctls, and those of the host that whoever watches might touch. */
const settings = (): string => [
  sh('ip', 'netns', 'exec', NS, 'iptables-save'), sh('ip', 'netns', 'exec', NS, 'nft', 'list', 'ruleset'), sh('ip', '-n', NS, 'route', 'show', 'table', 'all'), sh('ip', '-n', NS, 'rule'),
  ...['net/netfilter/nf_log_all_netns', 'kernel/kptr_restrict', 'kernel/perf_event_paranoid', 'kernel/unprivileged_bpf_disabled', 'kernel/bpf_stats_enabled', 'kernel/dmesg_restrict', 'net/core/rmem_max', 'net/core/rmem_default', 'net/core/bpf_jit_enable', 'kernel/ftrace_enabled', 'kernel/stack_tracer_enabled']
    .map((s) => `${s}=${textOf(`/proc/sys/${s}`)}`),
  // the connection count and the time until the next route flush move by themselves
  sh('ip', 'netns', 'exec', NS, 'sh', '-c', 'grep -rs . /proc/sys/net | grep -v nf_conntrack_count || true'),
].join('\n').replace(/^#.*$/gm, '').replace(/\[\d+:\d+\]|packets \d+ bytes \d+/g, '[]');

/** tracefs where this process sees it. */
const mounts = (): number => textOf('/proc/self/mounts').split('\n').filter((l) => l.includes(' tracefs ')).length;

/** When a run is killed. */
type Moment = 'starting' | 'armed' | 'flooded' | 'with children' | 'tracefs, starting' | 'tracefs, flooded';
const MOMENTS: readonly Moment[] = [...Array<Moment>(10).fill('starting'), ...Array<Moment>(8).fill('armed'), ...Array<Moment>(10).fill('flooded'), ...Array<Moment>(8).fill('with children'), ...Array<Moment>(7).fill('tracefs, starting'), ...Array<Moment>(7).fill('tracefs, flooded')];

test('SIGKILL at 50 random moments, while starting, armed, in a flood, while its children run, of the tracefs tier, too: nothing of ours is left', { skip: skipWithout('/usr/sbin/bpftool') || skipWithout('/usr/bin/unshare'), timeout: 240_000 }, async () => {
  const seed = Number(process.env['WHYDROP_SEED'] ?? 0x2545f491);
  let state = seed;
  const random = (below: number): number => ((state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 8) % below;
  const deck = MOMENTS.map((m) => [random(1 << 20), m] as const).sort((a, b) => a[0] - b[0]).map(([, m]) => m);
  // tracefs where only this helper has it, to be looked into from outside
  const helper = spawn('unshare', ['-m', 'sh', '-c', 'mount -t tracefs tracefs /mnt && echo there && exec sleep 300'], { stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise((there) => helper.stdout.once('data', there));
  const instances = `/proc/${helper.pid}/root/mnt/instances`;
  const flood = spawn('ip', ['netns', 'exec', NS, PYTHON, '-c', `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); end = time.time() + 230
while time.time() < end:
    for i in range(50):
        try: s.sendto(b'x', ('127.0.0.1', 9000))
        except OSError: pass
    time.sleep(0.02)`], { stdio: 'ignore' });
  flood.kill('SIGSTOP'); // only while it is wanted
  const folder = mkdtempSync('/tmp/whydrop-kill-');
  const killed: number[] = [];
  try {
    const before = settings(), mountsBefore = mounts();
    const held = new Set<string>(), children = new Set<number>();
    const hits = new Map<string, number>();
    const hit = (what: string): unknown => hits.set(what, (hits.get(what) ?? 0) + 1);
    for (const [i, moment] of deck.entries()) {
      const tracefs = moment.startsWith('tracefs');
      if (moment.endsWith('flooded')) flood.kill('SIGCONT');
      const run = start(['watch', '--json', '--netns', NS, '--record', `${folder}/${i}`, ...(tracefs ? ['--probe', 'tracefs'] : [])]);
      killed.push(run.pid);
      if (moment === 'with children') for (const end = performance.now() + 10_000; childrenOf(run.pid).length === 0 && performance.now() < end; ) await pause(1);
      else if (moment.endsWith('starting')) await pause(30 + random(600));
      else {
        await run.until('armed', (l) => l.type === 'armed', 20_000);
        await pause(moment.endsWith('flooded') ? 200 + random(900) : random(300));
      }
      run.child.kill('SIGSTOP'); // holds still while it is looked at
      const ids = bpfIdsOf(run.pid), now = childrenOf(run.pid);
      if (run.lines.some((l) => l.type === 'armed')) hit('was armed');
      if (ids.size > 0) hit('held programs');
      if (now.length > 0) hit('had children');
      if (namesIn(instances).some((n) => n.startsWith(`whydrop-${run.pid}-`))) hit('had an instance');
      if (run.lines.some((l) => l.type === 'incident')) hit('had told of an incident');
      for (const id of ids) held.add(id);
      for (const child of now) children.add(child);
      run.child.kill('SIGKILL');
      await run.ended;
      flood.kill('SIGSTOP');
    }
    const said = `seed ${seed}: ${JSON.stringify([...hits])}`;
    for (const [what, n] of [['held programs', 15], ['had children', 6], ['had an instance', 5], ['was armed', 20], ['had told of an incident', 1]] as const) assert.ok((hits.get(what) ?? 0) >= n, `only ${hits.get(what) ?? 0} of 50 ${what}: the moments are not random enough. ${said}`);
    let left: string[] = [];
    for (let i = 0; i < 50; i++) { // the kernel frees programs a moment after the process is gone
      const now = bpfIdsNow();
      left = [...held].filter((id) => now.has(id));
      if (left.length === 0) break;
      await pause(100);
    }
    assert.deepEqual(left, [], said);
    for (let i = 0; i < 100 && [...children].some(lives); i++) await pause(100); // a listing may run on to its own end
    assert.deepEqual([...children].filter(lives), [], said);
    assert.equal(settings(), before, said);
    assert.equal(mounts(), mountsBefore, said);
    const ofOurs = (): string[] => namesIn(instances).filter((n) => killed.some((pid) => n.startsWith(`whydrop-${pid}-`)));
    // those of one run at most (one for drops, one for calls), stopped by themselves, as each start reaps those before it; and none after the next
    assert.ok(new Set(ofOurs().map((n) => n.split('-')[1])).size <= 1 && ofOurs().length <= 2, `${ofOurs().join(' ')}. ${said}`);
    for (const name of ofOurs()) assert.equal(textOf(`${instances}/${name}/tracing_on`).trim(), '0', said);
    const next = await armed(['watch', '--json', '--netns', NS, '--probe', 'tracefs']);
    assert.deepEqual(ofOurs(), [], said);
    next.child.kill('SIGINT');
    assert.equal(await next.ended, 0);
    assert.deepEqual(namesIn(instances).filter((n) => n.startsWith(`whydrop-${next.pid}-`)), []);
  } finally {
    helper.kill('SIGKILL');
    flood.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
});
