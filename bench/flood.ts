/**
 * What watching costs per dropped packet: a flood of sends that a firewall rule refuses, bare and under each watcher, in
 * turn (so that drift of the machine hits all alike), several rounds; ns added per drop, medians, and the ratio to
 * bpftrace counting by location. Needs root, gcc, bpftrace, perf. Run: npm run bench -- flood
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const NS = 'wdbench-flood';
const PACKETS = 1_000_000;
const ROUNDS = Number(process.env['ROUNDS'] ?? 5);

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

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const sh = (...command: string[]): void => {
  const { status, stderr } = spawnSync(command[0] ?? '', command.slice(1), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
};

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

function flood(sender: string): { ns: number; refused: number; perSecond: number } {
  const { stdout } = spawnSync('ip', ['netns', 'exec', NS, sender, String(PACKETS), '0'], { encoding: 'utf8' });
  return JSON.parse(stdout) as { ns: number; refused: number; perSecond: number };
}

const folder = mkdtempSync(join(tmpdir(), 'whydrop-bench-'));
const sender = join(folder, 'sender');
try {
  sh('gcc', '-O2', '-o', sender, `${root}bench/sender.c`);
  sh('ip', 'netns', 'add', NS);
  sh('ip', '-n', NS, 'link', 'set', 'lo', 'up');
  sh('ip', 'netns', 'exec', NS, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
  const added = new Map<string, number[]>();
  const bare: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const watcher of WATCHERS) {
      const before = flood(sender).ns;
      const child = await armed(watcher);
      const during = flood(sender).ns;
      await ended(child);
      const after = flood(sender).ns;
      bare.push(before, after);
      added.set(watcher.name, [...(added.get(watcher.name) ?? []), during - (before + after) / 2]);
    }
  }
  const reference = median(added.get('bpftrace count by location') ?? []);
  console.log(`a refused send costs ${median(bare).toFixed(0)} ns bare (${PACKETS} sends, ${ROUNDS} rounds, medians)`);
  for (const { name } of WATCHERS) {
    const ns = median(added.get(name) ?? []);
    console.log(`${name.padEnd(32)} +${ns.toFixed(0).padStart(5)} ns a drop   ${(ns / reference).toFixed(2)} × bpftrace count`);
  }
} finally {
  spawnSync('ip', ['netns', 'del', NS]);
  rmSync(folder, { recursive: true });
}
