/**
 * Ten times as many flows, rules, namespaces, sockets: how many times the time, the CPU and the memory? Run: npm run bench --
 * scale [flows namespaces sockets]
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { median, rssMb, sh, sleep, watching, withNetns, type Watching } from './world.ts';

const NS = 'wdbench-scale';
const PYTHON = '/usr/bin/python3';
const RUNS = Number(process.env['RUNS'] ?? 3);

interface Figures {
  readonly size: number;
  readonly what: string;
  readonly right: boolean;
  /** From the start of the program that loses to the last verdict, ms. */
  readonly verdictMs: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
  readonly restMb: number;
}

const rules = (n: number): string => `*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n${Array.from({ length: n }, (_, i) => `-A OUTPUT -d 203.0.113.${i % 250}/32 -p tcp --dport ${1 + i} -j ACCEPT`).join('\n')}\n-A OUTPUT -p udp --dport 10000:65535 -j DROP\nCOMMIT\n`;
const python = (netns: string, script: string): Promise<void> => new Promise((done) => spawn('ip', ['netns', 'exec', netns, PYTHON, '-c', script], { stdio: 'inherit' }).once('exit', () => done()));

/** The incidents of a cause that are on the stream, by namespace. */
const named = (w: Watching, cause: string): number =>
  new Set(w.lines.filter(({ line }) => line.type === 'incident' && (line['cause'] as { id: string }).id === cause).map(({ line }) => (line['where'] as { netns: { inode: number } }).netns.inode)).size;

/** Watches while something is lost; waits until the cause is named in that many namespaces. */
async function measured(size: number, what: string, args: readonly string[], cause: string, wanted: number, lose: () => Promise<void>): Promise<Figures> {
  const w = await watching(...args);
  const began = performance.now();
  let ended: number | undefined;
  const losing = lose().then(() => (ended = performance.now()));
  while (named(w, cause) < wanted && (ended === undefined || performance.now() - ended < 30_000)) await sleep(5);
  const verdictMs = performance.now() - began;
  await losing;
  await sleep(1_500);
  const restMb = rssMb(w.child.pid ?? 0);
  const { incidents, cost } = await w.stop();
  return { size, what, right: incidents.filter((i) => i.cause.id === cause).length >= wanted, verdictMs, cpuSeconds: cost.cpuSeconds, peakMb: cost.peakRss / 1e6, restMb };
}

/** One datagram to each of n ports. */
const flows = (n: number, listed: number): Promise<Figures> =>
  within([NS], async () => {
    spawnSync('ip', ['netns', 'exec', NS, 'iptables-restore'], { input: rules(listed) });
    return measured(n * listed, `${n} flows × ${listed} rules`, ['--netns', NS], 'netfilter.rule-drop', 1, () => python(NS, `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${n}):
    try: s.sendto(b'x', ('127.0.0.1', 10000 + i))
    except OSError: pass
    if i % 50 == 49: time.sleep(0.005)`));
  });

/** A rule and a loss in each of n namespaces, one after the other as fast as programs start. */
const namespaces = (n: number): Promise<Figures> => {
  const names = Array.from({ length: n }, (_, i) => `wdbench-n${i}`);
  return within(names, async () => {
    for (const name of names) sh('ip', 'netns', 'exec', name, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
    return measured(n, `${n} namespaces, a rule each`, ['--all-netns'], 'netfilter.rule-drop', n, async () => {
      for (const name of names) await python(name, "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntry: s.sendto(b'x', ('127.0.0.1', 9000))\nexcept OSError: pass");
    });
  });
};

/** n bound sockets, by processes of 4,000 each, and datagrams for a port that none of them has. */
const sockets = (n: number): Promise<Figures> =>
  within([NS], async () => {
    const holders: ChildProcess[] = [];
    try {
      for (let from = 0; from < n; from += 4_000) {
        const holder = spawn('ip', ['netns', 'exec', NS, PYTHON, '-c', `
import resource, socket, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for i in range(${from}, ${Math.min(n, from + 4_000)}):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((f'127.0.{1 + i // 20000}.1', 10000 + i % 20000))
    held.append(s)
print('ready', flush=True)
time.sleep(600)`], { stdio: ['ignore', 'pipe', 'inherit'] });
        holders.push(holder);
        await new Promise((ready) => holder.stdout?.once('data', ready));
      }
      return await measured(n, `${n} sockets`, ['--netns', NS], 'socket.no-listener', 1, () => python(NS, `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(20):
    s.sendto(b'x', ('127.0.0.1', 9))
    time.sleep(0.02)`));
    } finally {
      for (const holder of holders) holder.kill('SIGKILL');
      await sleep(500);
    }
  });

async function within(names: readonly string[], work: () => Promise<Figures>): Promise<Figures> {
  let figures: Figures | undefined;
  await withNetns(names, async () => void (figures = await work()));
  return figures as Figures;
}

/** The middle of several runs. */
async function middle(run: () => Promise<Figures>): Promise<Figures> {
  const all: Figures[] = [];
  for (let i = 0; i < RUNS; i++) all.push(await run());
  const of = (pick: (f: Figures) => number): number => median(all.map(pick));
  return { ...(all[0] as Figures), right: all.every((f) => f.right), verdictMs: of((f) => f.verdictMs), cpuSeconds: of((f) => f.cpuSeconds), peakMb: of((f) => f.peakMb), restMb: of((f) => f.restMb) };
}

async function series(title: string, runs: readonly (() => Promise<Figures>)[]): Promise<void> {
  console.log(`${title} (median of ${RUNS})`);
  let before: Figures | undefined;
  for (const run of runs) {
    const f = await middle(run);
    const times = (now: number, then: number): string => (now / then).toFixed(1);
    const growth = before === undefined ? '' : `   ×${times(f.size, before.size)} size: ×${times(f.verdictMs, before.verdictMs)} time, ×${times(f.cpuSeconds, before.cpuSeconds)} CPU, ×${times(f.peakMb, before.peakMb)} memory`;
    console.log(`  ${f.what.padEnd(27)} ${f.right ? 'named' : 'NOT NAMED'} ${f.verdictMs.toFixed(0).padStart(5)} ms to the last verdict, ${f.cpuSeconds.toFixed(2)} s CPU, peak ${f.peakMb.toFixed(0)} MB, ${f.restMb.toFixed(0)} MB after${growth}`);
    before = f;
  }
}

const ALL: Readonly<Record<string, () => Promise<void>>> = {
  flows: () => series('flows by rules', ([[100, 10], [1_000, 10], [1_000, 100], [1_000, 1_000], [10_000, 1_000]] as const).map(([n, listed]) => () => flows(n, listed))),
  namespaces: () => series('namespaces that all lose', [2, 20, 200].map((n) => () => namespaces(n))),
  sockets: () => series('sockets', [1_000, 10_000, 100_000].map((n) => () => sockets(n))),
};
for (const [name, run] of Object.entries(ALL)) if (process.argv.length <= 2 || process.argv.includes(name)) await run();
