import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RawRecord } from '../../src/model/record.ts';
import { isUnavailable } from '../../src/model/unavailable.ts';
import { readKallsyms } from '../../src/sources/kallsyms.ts';
import type { ArmedProbe } from '../../src/sources/source.ts';
import { armTracefs, armTracefsCalls, tracefsFormats } from '../../src/sources/tracefs/index.ts';
import { tracefsPath } from '../../src/sources/tracefs/mount.ts';
import { symbolsOf } from '../../src/timeline/symbols.ts';
import { tracePages, type TraceEvent } from '../../src/timeline/trace-page.ts';

/* Needs root, iproute2, iptables, python3; works in namespaces of its own. Other traffic of the machine is seen as well: asserts look at ours alone. */
const NETNS = `wdt-probe-${process.pid}`;
const path = tracefsPath();
const skip = process.getuid?.() !== 0 ? 'not root' : isUnavailable(path) ? `${path.what}: ${path.why}` : false;
const within = (...command: string[]): string => execFileSync('ip', ['netns', 'exec', NETNS, ...command], { encoding: 'utf8' });
let inode = 0;

before(() => {
  if (skip !== false) return;
  execFileSync('ip', ['netns', 'add', NETNS]);
  execFileSync('ip', ['-n', NETNS, 'link', 'set', 'lo', 'up']);
  within('iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9', '-j', 'DROP');
  inode = statSync(`/run/netns/${NETNS}`).ino;
});
after(() => { if (skip === false) spawnSync('ip', ['netns', 'del', NETNS]); });

const SENDER = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print('ready', flush=True)
sys.stdin.readline()
for i in range(int(sys.argv[1])):
  try: s.sendto(b'x', ('127.0.0.1', 9))
  except OSError: pass
  if float(sys.argv[2]) > 0: time.sleep(float(sys.argv[2]))
sys.stdin.readline()
`;

/** Runs the sender while draining; gives the events of its thread and all records. */
async function watch(arms: readonly (typeof armTracefs)[], count: number, pause: number, drainEvery = 20): Promise<{ events: TraceEvent[]; records: RawRecord[]; pid: number }> {
  const formats = tracefsFormats();
  assert.ok(!isUnavailable(formats));
  const text = readKallsyms();
  assert.ok(!isUnavailable(text));
  const symbols = symbolsOf(text);
  const decoder = tracePages({ formats, symbols: () => symbols, dropReasons: [] });
  const probes: ArmedProbe[] = [];
  const records: RawRecord[] = [];
  const child = spawn('ip', ['netns', 'exec', NETNS, 'python3', '-c', SENDER, String(count), String(pause)], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await new Promise((resolve) => child.stdout.once('data', resolve));
    for (const arm of arms) {
      const probe = arm({ netns: [], self: process.pid });
      assert.ok(!isUnavailable(probe), JSON.stringify(probe));
      probes.push(probe);
    }
    child.stdin.write('go\n');
    const end = performance.now() + count * pause * 1000 + 700;
    while (performance.now() < end) {
      await sleep(drainEvery);
      for (const probe of probes) probe.drain((r) => records.push(r));
    }
    child.stdin.end('\n');
    await new Promise((resolve) => child.once('exit', resolve));
    for (const probe of probes) probe.drain((r) => records.push(r));
    const events = [...records.flatMap((r) => r.record === 'trace-page' ? decoder.page(r) : []), ...decoder.flush()];
    assert.deepEqual([...decoder.damaged], []);
    return { events: events.filter((e) => e.kind !== 'exec' ? e.task.tid === child.pid : true), records, pid: child.pid! };
  } finally {
    child.kill('SIGKILL');
    for (const probe of probes) probe.close();
  }
}

const ours = (): string[] => readdirSync(`${path as string}/instances`).filter((name) => name.startsWith(`whydrop-${process.pid}-`));

test('a dropped send: the drop, its stack, its namespace, the failed call of the same thread', { skip }, async () => {
  const { events, pid } = await watch([armTracefs, armTracefsCalls], 5, 0.05);
  const drops = events.filter((e) => e.kind === 'drop');
  const calls = events.filter((e) => e.kind === 'call');
  assert.equal(drops.length, 5);
  assert.equal(calls.length, 5);
  for (const drop of drops) {
    assert.deepEqual([drop.reason.name, drop.netns, drop.softirq, drop.task.pid, drop.task.comm], ['NETFILTER_DROP', inode, false, pid, 'python3']);
    assert.ok(drop.stack.some((p) => p.name === 'udp_sendmsg') && drop.stack.some((p) => p.name === 'nf_hook_slow'), drop.stack.map((p) => p.name).join(' '));
    assert.ok(drop.stack.some((p) => p.name === drop.place.name));
  }
  for (const [i, call] of calls.entries()) {
    assert.deepEqual([call.syscall, call.errno, call.netns], ['sendto', 'EPERM', inode]);
    const after = call.time - drops[i]!.time;
    assert.ok(after > 0n && after < 50_000_000n, `the call ended ${after} ns behind the drop`);
  }
  assert.deepEqual(ours(), [], 'nothing is left of a closed probe');
});

test('execs are seen, with program and arguments of those that still run', { skip }, async () => {
  const probe = armTracefsCalls({ netns: [], self: process.pid });
  assert.ok(!isUnavailable(probe));
  const formats = tracefsFormats();
  assert.ok(!isUnavailable(formats));
  const symbols = symbolsOf('');
  const decoder = tracePages({ formats, symbols: () => symbols, dropReasons: [] });
  const child = spawn('sleep', ['7.25']);
  try {
    await sleep(100);
    const events: TraceEvent[] = [];
    probe.drain((r) => { if (r.record === 'trace-page') events.push(...decoder.page(r)); });
    const exec = events.find((e) => e.kind === 'exec' && e.task.tid === child.pid);
    assert.ok(exec?.kind === 'exec');
    assert.match(exec.filename, /\/sleep$/);
    assert.deepEqual([exec.argv, exec.parent], [['sleep', '7.25'], process.pid]);
  } finally {
    child.kill('SIGKILL');
    probe.close();
  }
});

test('a flood that nobody drains: what is overwritten is counted, seen and missed together are all', { skip }, async () => {
  const { events, records } = await watch([armTracefs], 30_000, 0, 900);
  const seen = events.filter((e) => e.kind === 'drop').length;
  const missed = records.reduce((sum, r) => sum + (r.record === 'missed' ? r.count : 0), 0);
  assert.ok(seen > 0 && seen <= 30_000);
  // each drop is two events, itself and its stack; others' drops may be among the missed
  assert.ok(seen === 30_000 || seen + missed / 2 >= 29_900, `${seen} seen, ${missed} events missed`);
});

test('the watcher is killed: the kernel frees its buffers at once, the next start removes the rest', { skip }, async () => {
  const script = `
    const { armTracefs } = await import(${JSON.stringify(new URL('../../src/sources/tracefs/index.ts', import.meta.url).href)});
    const probe = armTracefs({ netns: [], self: process.pid });
    console.log('unavailable' in probe ? JSON.stringify(probe) : 'armed');
    setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = await new Promise<string>((resolve) => child.stdout.once('data', (d: Buffer) => resolve(d.toString())));
  assert.equal(said, 'armed\n');
  const names = (): string[] => readdirSync(`${path as string}/instances`).filter((name) => name.startsWith(`whydrop-${child.pid}-`));
  const [name] = names();
  assert.ok(name);
  const read = (file: string): string => readFileSync(`${path as string}/instances/${name}/${file}`, 'utf8').trim();
  assert.equal(read('tracing_on'), '1');
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  await sleep(50);
  assert.equal(read('tracing_on'), '0', 'stopped by the kernel');
  assert.ok(Number(read('buffer_total_size_kb')) < 100, `${read('buffer_total_size_kb')} KiB held`);
  const probe = armTracefs({ netns: [], self: process.pid });
  assert.ok(!isUnavailable(probe));
  probe.close();
  assert.deepEqual(names(), []);
});

test('without the right to trace: unavailable, with what, why and a fix', { skip }, () => {
  const script = `
    const { armTracefs } = await import(${JSON.stringify(new URL('../../src/sources/tracefs/index.ts', import.meta.url).href)});
    console.log(JSON.stringify(armTracefs({ netns: [], self: process.pid })));`;
  const result = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', uid: 65534, gid: 65534, env: { TMPDIR: '/tmp', HOME: '/tmp' }, cwd: '/' });
  if (result.stdout === '') return; // the checkout can't be read by others: nothing to test with
  const value = JSON.parse(result.stdout) as Record<string, string>;
  assert.equal(value['unavailable'], 'permission');
  assert.match(value['fix'] ?? '', /root/);
});
