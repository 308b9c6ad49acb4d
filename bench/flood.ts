/**
 * What watching costs per dropped packet: a flood of sends that a firewall rule refuses, bare and under each watcher, in
 * turn (so that drift of the machine hits all alike). Counted is the sender's own CPU time, the lesser of two runs, against
 * the bare runs just before and after; medians of the rounds, and the ratio to bpftrace counting by location.
 *
 * Then exactness: senders on all CPUs, IPv4 and IPv6, for SECONDS (60): what they were refused against what whydrop counted,
 * what it missed by its own word, and the CPU that it used. And the same flood for a quarter of that before the live view of a
 * terminal, for what its drawing costs.
 *
 * Needs root, gcc, bpftrace, perf. Run: npm run bench -- flood
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuSeconds, median, sh, sleep, watching } from './world.ts';

const root = new URL('..', import.meta.url).pathname;
const NS = 'wdbench-flood';
const PACKETS = 300_000;
const ROUNDS = Number(process.env['ROUNDS'] ?? 9);
const SECONDS = Number(process.env['SECONDS'] ?? 60);

interface Watcher {
  readonly name: string;
  readonly command: readonly string[];
  /** Printed when it is armed. */
  readonly ready: RegExp;
  readonly stream: 'stdout' | 'stderr';
}

/** bpftrace and perf want tracefs mounted: in a mount namespace of their own, the host's stays as it is. */
const withTracefs = (...command: string[]): string[] => ['unshare', '-m', 'sh', '-c', 'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; exec "$@"', 'sh', ...command];

const WATCHERS: readonly Watcher[] = [
  { name: 'whydrop (default)', command: [`${root}whydrop`, 'watch', '--json', '--netns', NS], ready: /"armed"/, stream: 'stdout' },
  { name: 'whydrop, drops only', command: [process.execPath, `${root}bench/drops-only.ts`, NS], ready: /armed/, stream: 'stdout' },
  { name: 'whydrop --probe tracefs', command: [`${root}whydrop`, 'watch', '--json', '--netns', NS, '--probe', 'tracefs'], ready: /"armed"/, stream: 'stdout' },
  { name: 'bpftrace count by location', command: withTracefs('bpftrace', '-e', 'BEGIN { printf("armed\\n"); } tracepoint:skb:kfree_skb { @[args->location] = count(); }'), ready: /armed/, stream: 'stdout' },
  { name: 'bpftrace count by kstack', command: withTracefs('bpftrace', '-e', 'BEGIN { printf("armed\\n"); } tracepoint:skb:kfree_skb { @[args->location, kstack] = count(); }'), ready: /armed/, stream: 'stdout' },
  { name: 'perf record -e skb:kfree_skb', command: withTracefs('perf', 'record', '-q', '-e', 'skb:kfree_skb', '-a', '-o', '/dev/null'), ready: /./, stream: 'stderr' },
];

async function armed(watcher: Watcher): Promise<ChildProcess> {
  const [file, ...args] = watcher.command;
  const child = spawn(file ?? '', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  await new Promise<void>((done) => {
    const timer = setTimeout(done, watcher.name.startsWith('perf') ? 1_500 : 15_000);
    child[watcher.stream].on('data', (chunk: Buffer) => {
      if (!watcher.name.startsWith('perf') && watcher.ready.test(chunk.toString())) {
        clearTimeout(timer);
        done();
      }
    });
  });
  child.stdout.resume();
  child.stderr.resume();
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) throw new Error(`a watcher ended by itself: ${child.spawnargs.join(' ')}`);
  const exit = new Promise((done) => child.once('exit', done));
  child.kill('SIGINT');
  await exit;
}

interface Flood {
  readonly cpuNs: number;
  readonly refused: number;
  readonly perSecond: number;
}

/** CPU ns of one refused send. */
const flood = (sender: string): number => (JSON.parse(sh('ip', 'netns', 'exec', NS, sender, String(PACKETS), '0')) as Flood).cpuNs;

async function cost(sender: string): Promise<void> {
  const bare: number[] = [];
  const added = new Map<string, number[]>();
  const twice = (): number => Math.min(flood(sender), flood(sender));
  let before = twice();
  for (let round = 0; round < ROUNDS; round++) {
    for (const watcher of WATCHERS) {
      const child = await armed(watcher);
      const during = twice();
      await ended(child);
      const after = twice();
      added.set(watcher.name, [...(added.get(watcher.name) ?? []), during - (before + after) / 2]);
      bare.push(after);
      before = after;
    }
  }
  const ns = (name: string): number => median(added.get(name) ?? []);
  const reference = ns('bpftrace count by location');
  console.log(`a refused send costs ${median(bare).toFixed(0)} ns of CPU bare (${ROUNDS} rounds, medians)`);
  for (const { name } of WATCHERS) console.log(`${name.padEnd(32)} +${ns(name).toFixed(0).padStart(5)} ns a drop   ${(ns(name) / reference).toFixed(2)} × bpftrace count   (${(added.get(name) ?? []).map((n) => n.toFixed(0)).join(' ')})`);
}

/** One sender of one flow; resolves with what it was refused. */
function send(sender: string, cpu: number, address: string, forSeconds: number): Promise<Flood> {
  const child = spawn('ip', ['netns', 'exec', NS, sender, '0', String(cpu), address, String(forSeconds)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  return new Promise((done) => child.once('exit', () => done(JSON.parse(out) as Flood)));
}

/** One IPv4 and one IPv6 flow on each CPU. */
function sendAll(sender: string, seconds: number): Promise<readonly Flood[]> {
  const cpus = Array.from({ length: availableParallelism() }, (_, cpu) => cpu);
  return Promise.all(cpus.flatMap((cpu) => ['127.0.0.1', '::1'].map((address) => send(sender, cpu, address, seconds))));
}

/** The live view in a terminal of its own: script(1) gives it one and throws away what is drawn. */
async function view(sender: string): Promise<void> {
  const terminal = spawn('script', ['-qec', `stty rows 40 cols 120; exec ${root}whydrop watch --netns ${NS}`, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  let drawn = 0;
  await new Promise<void>((done) => {
    terminal.stdout.on('data', (chunk: Buffer) => {
      drawn += chunk.length;
      if (drawn > 1_000) done();
    });
  });
  const pid = Number(sh('ps', '-o', 'pid=', '--ppid', String(terminal.pid)));
  await sleep(2_000);
  const drawnBefore = drawn, before = cpuSeconds(pid), began = performance.now();
  const made = (await sendAll(sender, SECONDS / 4)).reduce((sum, { refused }) => sum + refused, 0);
  const seconds = (performance.now() - began) / 1000;
  console.log(`the live view, ${Math.round(made / seconds).toLocaleString('en')} drops a second: whydrop used ${(((cpuSeconds(pid) - before) / seconds) * 100).toFixed(1)} % of a core and drew ${((drawn - drawnBefore) / 1000 / seconds).toFixed(1)} kB a second`);
  const exit = new Promise((done) => terminal.once('exit', done));
  process.kill(pid, 'SIGINT');
  await exit;
}

async function exactness(sender: string): Promise<void> {
  const watch = await watching('--netns', NS);
  await sleep(500);
  const pid = watch.child.pid ?? 0;
  const before = cpuSeconds(pid), began = performance.now();
  const floods = await sendAll(sender, SECONDS);
  const made = floods.reduce((sum, { refused }) => sum + refused, 0);
  const seconds = (performance.now() - began) / 1000, used = cpuSeconds(pid) - before;
  await sleep(500);
  const summary = await watch.stop();
  const counted = summary.incidents.filter((i) => i.cause.id === 'netfilter.rule-drop').reduce((sum, i) => sum + i.count, 0);
  console.log(`${floods.length} flows on ${availableParallelism()} CPUs for ${seconds.toFixed(0)} s, ${Math.round(made / seconds).toLocaleString('en')} drops a second: ${made} made, ${counted} counted`);
  for (const { source, count, text } of summary.loss) console.log(`  ${source}: ${count} ${text}`);
  console.log(`  whydrop used ${((used / seconds) * 100).toFixed(1)} % of a core`);
  if (made !== counted) throw new Error(`${made} drops made, ${counted} counted`);
}

const folder = mkdtempSync(join(tmpdir(), 'whydrop-bench-'));
const sender = join(folder, 'sender');
try {
  sh('gcc', '-O2', '-o', sender, `${root}bench/sender.c`);
  sh('ip', 'netns', 'add', NS);
  sh('ip', '-n', NS, 'link', 'set', 'lo', 'up');
  for (const tables of ['iptables', 'ip6tables']) sh('ip', 'netns', 'exec', NS, tables, '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
  if (ROUNDS > 0) await cost(sender);
  if (SECONDS > 0) await exactness(sender);
  if (SECONDS > 0) await view(sender);
} finally {
  spawnSync('ip', ['netns', 'del', NS]);
  rmSync(folder, { recursive: true });
}
