/**
 * Records per second on one core: the decoders of the BPF tier (real records of 6.18, decoded again and again) and of the
 * tracefs tier (ring pages of a flood), against perf script and trace-cmd report over the same flood, with kernel stacks.
 * Compared is CPU time (user and system), best of three; perf and trace-cmd print text, which is their only output.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { RawRecord } from '../src/model/record.ts';
import { readRecording } from '../src/recording/file.ts';
import { symbolsOnce } from '../src/app/symbols.ts';
import { readRingPage } from '../src/formats/ring-page.ts';
import { createTimeline } from '../src/timeline/index.ts';
import { decodeCall, decodeDrop, type Names } from '../src/timeline/sample.ts';
import { root, sh, sleep, withNetns } from './world.ts';

const INSIDE = 'WHYDROP_BENCH_MOUNTED';
if (process.env[INSIDE] === undefined) {
  // tracefs is mounted for perf and trace-cmd where nobody else sees it
  const { status } = spawnSync('unshare', ['-m', 'sh', '-c', 'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; exec "$@"', 'sh', process.execPath, new URL(import.meta.url).pathname], { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  process.exit(status ?? 1);
}

const ROUNDS = 3;
const PACKETS = 20_000;
const cpuNow = (): number => { const u = process.cpuUsage(); return (u.user + u.system) / 1e6; };
const rate = (n: number, seconds: number): string => `${Math.round(n / seconds).toLocaleString('en')} a second (${((seconds / n) * 1e6).toFixed(2)} µs each)`;

/** Best CPU seconds of a piece of work. */
function best(work: () => void): number {
  let least = Infinity;
  for (let i = 0; i < ROUNDS; i++) {
    const before = cpuNow();
    work();
    least = Math.min(least, cpuNow() - before);
  }
  return least;
}
/** The same for a program: user and system time, by the shell's own measure. */
function bestOf(command: string): number | undefined {
  let least = Infinity;
  for (let i = 0; i < ROUNDS; i++) {
    const { stderr, status } = spawnSync('bash', ['-c', `TIMEFORMAT='%U %S'; time ${command} > /dev/null 2>&1`], { encoding: 'utf8' });
    if (status !== 0) return undefined;
    least = Math.min(least, stderr.trim().split(' ').map(Number).reduce((a, b) => a + b, 0));
  }
  return least;
}

function samples(): void {
  const file = JSON.parse(readFileSync(`${root}fixtures/bpf/records-6.18.json`, 'utf8')) as { drops: string[]; call: string };
  const symbols = symbolsOnce();
  const names: Names = { symbols: () => symbols, reason: (number) => ({ number, name: '' }), syscall: () => 'sendto' };
  const drops = file.drops.map((d) => Uint8Array.from(Buffer.from(d, 'base64')));
  const call = Uint8Array.from(Buffer.from(file.call, 'base64'));
  const N = 40_000;
  console.log(`BPF drop samples (packet, stack, socket, conntrack): ${rate(N, best(() => { for (let i = 0; i < N; i++) if (decodeDrop(drops[i % drops.length]!, names) === undefined) throw new Error('not decoded'); }))}`);
  console.log(`BPF failed calls: ${rate(N, best(() => { for (let i = 0; i < N; i++) if (decodeCall(call, names) === undefined) throw new Error('not decoded'); }))}`);
}

const NS = `wdbench-${process.pid}`;
const FLOOD = ['nsenter', `--net=/run/netns/${NS}`, '/usr/bin/python3', '-c', `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${PACKETS}):
    try: s.sendto(b'x', ('127.0.0.1', 9000))
    except OSError: pass`];

async function pages(dir: string): Promise<void> {
  // one flood, seen by all at once
  const recording = `${dir}/a.whydrop`;
  const watch = spawn(`${root}whydrop`, ['watch', '--json', '--probe', 'tracefs', '--netns', NS, '--record', recording], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = new Promise((done) => watch.once('exit', done));
  await new Promise<void>((done) => watch.stdout.on('data', (chunk: Buffer) => { if (chunk.includes('"armed"')) done(); }));
  const perf = existsSync('/usr/bin/perf');
  const traceCmd = existsSync('/usr/bin/trace-cmd');
  if (perf) spawnSync('perf', ['record', '-q', '-g', '-a', '-e', 'skb:kfree_skb', '-o', `${dir}/p.data`, '--', ...FLOOD], { stdio: 'ignore' });
  else sh(...FLOOD);
  await sleep(300);
  watch.kill('SIGINT');
  await exit;
  if (traceCmd) spawnSync('trace-cmd', ['record', '-T', '-e', 'skb:kfree_skb', '-o', `${dir}/t.dat`, ...FLOOD], { stdio: 'ignore', cwd: dir });

  const { records } = readRecording(readFileSync(recording));
  const host = records.find((r) => r.record === 'host');
  if (host === undefined) throw new Error('the recording has no host');
  const pageRecords = records.filter((r): r is Extract<RawRecord, { record: 'trace-page' }> => r.record === 'trace-page');
  const symbols = symbolsOnce();
  let ringEvents = 0, events = 0;
  const visit = best(() => {
    ringEvents = 0;
    for (const record of pageRecords) ringEvents += readRingPage(record.bytes, () => {}).events;
  });
  const decode = best(() => {
    events = 0;
    const timeline = createTimeline(host, () => symbols);
    for (const record of pageRecords) for (const event of timeline.decode(record)) if (event.kind === 'drop') events += 1;
    for (const event of timeline.flush()) if (event.kind === 'drop') events += 1;
  });
  console.log(`tracefs ring pages, events visited: ${rate(ringEvents, visit)}; ${pageRecords.length} pages`);
  console.log(`tracefs drops with stacks and names: ${rate(events, decode)}`);
  if (events < PACKETS / 2) throw new Error(`only ${events} drops of ${PACKETS} in the pages`);
  const ours = decode / events;
  for (const [name, file, command, pattern] of [
    ['perf script', `${dir}/p.data`, `perf script -i ${dir}/p.data`, 'skb:kfree_skb:'],
    ['trace-cmd report', `${dir}/t.dat`, `trace-cmd report -i ${dir}/t.dat`, 'kfree_skb:'],
  ] as const) {
    if (!existsSync(file)) {
      console.log(`${name}: not here, or this kernel allows no recording with it`);
      continue;
    }
    const seconds = bestOf(command);
    const lines = Number(spawnSync('sh', ['-c', `${command} 2>/dev/null | grep -c ${pattern}`], { encoding: 'utf8' }).stdout);
    if (seconds === undefined || !(lines > 0)) console.log(`${name}: reads nothing of its recording`);
    else console.log(`${name}: ${rate(lines, seconds)}; whydrop's decoder takes ${(seconds / lines / ours).toFixed(1)} times less CPU an event`);
  }
}

samples();
const dir = mkdtempSync('/tmp/whydrop-bench-');
try {
  await withNetns([NS], async () => {
    sh('ip', 'netns', 'exec', NS, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
    await pages(dir);
  });
} finally {
  rmSync(dir, { recursive: true });
}
