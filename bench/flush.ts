/**
 * A connection table of 1,000,000 entries flushed at once while whydrop follows: events lost or stated, peak memory, the
 * author's name. Then what watching counters costs. Raises net.netfilter.nf_conntrack_max (one number for the host) for
 * the while and puts it back. Run: npm run bench -- flush
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withAtLeast } from './host-sysctl.ts';
import { root, sh, sleep, watching, withNetns } from './world.ts';

const NS = 'wdbench-flush';
const ENTRIES = Number(process.env['ENTRIES'] ?? 1_000_000);
const SECONDS = Number(process.env['SECONDS_EACH'] ?? 60);
/** The runtime compiles and collects for the first seconds. */
const SETTLE_MS = 20_000;
const MAX = '/proc/sys/net/netfilter/nf_conntrack_max';
const within = (...command: string[]): string => sh('ip', 'netns', 'exec', NS, ...command);

/** The command of the flush is started by a shell, as an operator's script would; its pid is on its first line. */
function flush(): Promise<{ pid: number; ms: number }> {
  const started = performance.now();
  const child = spawn('ip', ['netns', 'exec', NS, 'sh', '-c', 'conntrack -F 2>/dev/null & echo $!; wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (d: Buffer) => (text += d.toString()));
  return new Promise((done) => child.once('exit', () => done({ pid: Number(text), ms: performance.now() - started })));
}

/** A TCP connection in the namespace that sends a byte for each line it is given. */
const CONNECTION = `
import socket, sys
listener = socket.create_server(('127.0.0.1', 7000))
client = socket.create_connection(('127.0.0.1', 7000))
server = listener.accept()[0]
client.send(b'x'); server.recv(1)
print('connected', flush=True)
for line in sys.stdin: client.send(b'x')
`;

/** What the flush costs somebody: a connection that a firewall then takes for INVALID, so that there is a loss to explain. */
async function connected(): Promise<{ send(): void; end(): void }> {
  within('sysctl', '-qw', 'net.netfilter.nf_conntrack_tcp_loose=0');
  within('nft', 'table inet f { chain i { type filter hook input priority 0; ct state invalid counter drop; }; }');
  const child = spawn('ip', ['netns', 'exec', NS, '/usr/bin/python3', '-c', CONNECTION], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((done) => child.stdout.once('data', done));
  return { send: () => child.stdin.write('\n'), end: () => child.kill('SIGKILL') };
}

async function followed(fill: string, whileWatching: boolean): Promise<void> {
  await withNetns([NS], async () => {
    within('sysctl', '-qw', 'net.netfilter.nf_conntrack_events=1');
    const connection = await connected();
    try {
      if (!whileWatching) within(fill, String(ENTRIES));
      const w = await watching('--netns', NS);
      if (whileWatching) within(fill, String(ENTRIES));
      const held = Number(within('sysctl', '-n', 'net.netfilter.nf_conntrack_count'));
      const flushing = flush();
      const { pid, ms } = await flushing;
      connection.send();
      const since = performance.now();
      const named = (): boolean => w.lines.some(({ line }) => line.type === 'incident' && String(line['explanation']).includes(`conntrack -F (pid ${pid})`));
      while (!named() && performance.now() - since < 15_000) await sleep(20);
      const after = performance.now() - since;
      await sleep(1_000);
      const { loss, cost } = await w.stop();
      const lost = loss.filter((l) => l.source === 'conntrack-events');
      const author = named() ? `its author, pid ${pid}, named ${after.toFixed(0)} ms after a connection broke` : `its author, pid ${pid}, NOT NAMED`;
      console.log(`${held} entries${whileWatching ? ', made while it watched' : ''}: flushed in ${ms.toFixed(0)} ms; ${lost.length === 0 ? 'no event lost' : lost.map((l) => l.text).join('; ')}; ${author}; ${cost.cpuSeconds.toFixed(1)} s CPU, peak ${(cost.peakRss / 1e6).toFixed(0)} MB`);
      if (!named()) process.exitCode = 1;
    } finally {
      connection.end();
    }
  });
}

/** ns of CPU that a process and its threads have used (the scheduler's own account; /proc/PID/stat counts ticks of 10 ms). */
function cpuNs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, tid) => sum + Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]), 0);
}

/** Counters alone are the whole program without probes: what reading them costs is less than that. */
async function counters(): Promise<void> {
  const share = async (...args: string[]): Promise<number> => {
    const w = await watching('--netns', NS, ...args);
    await sleep(SETTLE_MS);
    const pid = w.child.pid ?? 0, from = cpuNs(pid), began = process.hrtime.bigint();
    await sleep(SECONDS * 1_000);
    const used = (cpuNs(pid) - from) / Number(process.hrtime.bigint() - began);
    await w.stop();
    return used * 100;
  };
  await withNetns([NS], async () => {
    for (const [name, ...args] of [['all probes'], ['counters alone', '--probe', 'counters']]) console.log(`steady state, ${name}: ${(await share(...args)).toFixed(3)} % of a CPU over ${SECONDS} s, after ${SETTLE_MS / 1000} s`);
  });
}

const folder = mkdtempSync(join(tmpdir(), 'whydrop-bench-'));
const fill = join(folder, 'fill');
try {
  sh('gcc', '-O2', '-o', fill, `${root}bench/conntrack-fill.c`);
  await withAtLeast(MAX, ENTRIES + 100_000, async () => {
    await followed(fill, false);
    await followed(fill, true);
  });
  await counters();
} finally {
  rmSync(folder, { recursive: true });
}
