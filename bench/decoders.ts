/**
 * Records per second on one core, against the tools that print them: drops with kernel stacks in ring-buffer pages, against
 * `trace-cmd report` of the same file and `perf script` of the same flood; and the BPF tier's samples, which hold more.
 *
 * Alike: time, CPU, task, place, reason, protocol and the stack with its symbols, ready to use (perf and trace-cmd: as text,
 * which is all they give; whydrop: as the event that is diagnosed; a sample also has its packet decoded, socket, conntrack
 * entry). CPU time, user and system, of the whole job: a program's start and its reading of symbols are in its figure, for
 * whydrop they are told beside. Best of several, taken in turn, so that a busy machine hits all alike.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { RawRecord } from '../src/model/record.ts';
import { readRecording } from '../src/recording/file.ts';
import { recogniseForeign } from '../src/app/foreign.ts';
import { symbolsOnce } from '../src/app/symbols.ts';
import { CALL, DROP } from '../src/bpf/layout.ts';
import { checksum } from '../src/formats/checksum.ts';
import { readRingPage } from '../src/formats/ring-page.ts';
import { createTimeline } from '../src/timeline/index.ts';
import { decodeCall, decodeDrop, type Names } from '../src/timeline/sample.ts';
import { symbolsOf, type Symbols } from '../src/timeline/symbols.ts';
import { traceDat } from './trace-dat.ts';
import { root, sh, sleep, withNetns } from './world.ts';

const INSIDE = 'WHYDROP_BENCH_MOUNTED';
if (process.env[INSIDE] === undefined) {
  // tracefs is mounted for perf and trace-cmd where nobody else sees it
  const { status } = spawnSync('unshare', ['-m', 'sh', '-c', 'mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null; exec "$@"', 'sh', process.execPath, new URL(import.meta.url).pathname], { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  process.exit(status ?? 1);
}

const ROUNDS = 7;
const PACKETS = 100_000;
const cpuNow = (): number => { const u = process.cpuUsage(); return (u.user + u.system) / 1e6; };
const rate = (n: number, seconds: number): string => `${Math.round(n / seconds).toLocaleString('en')} a second (${((seconds / n) * 1e6).toFixed(2)} µs each)`;

type Job = () => number;
/** Least CPU seconds of each job, the jobs in turn. */
function best<const J extends Readonly<Record<string, Job>>>(jobs: J): { readonly [N in keyof J]: number } {
  const least: Record<string, number> = {};
  for (let i = 0; i < ROUNDS; i++) for (const [name, job] of Object.entries(jobs)) least[name] = Math.min(least[name] ?? Infinity, job());
  return least as { readonly [N in keyof J]: number };
}
const inside = (work: () => void): Job => () => {
  const before = cpuNow();
  work();
  return cpuNow() - before;
};
/** User and system time of a program, by the shell's own measure. */
const program = (command: string): Job => () => {
  const { stderr, status } = spawnSync('bash', ['-c', `TIMEFORMAT='%U %S'; time ${command} > /dev/null 2>&1`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stderr.trim().split(' ').map(Number).reduce((a, b) => a + b, 0);
};
const lines = (command: string, pattern: string): number => Number(spawnSync('sh', ['-c', `${command} 2>/dev/null | grep -c ${pattern}`], { encoding: 'utf8' }).stdout);

/** Real records, as a busy host has them: 1,000 flows of 20 processes, no two packets alike. */
function varied(text: string, at: { readonly time: number; readonly task: number; readonly sk: number; readonly head?: number }): Uint8Array[] {
  return Array.from({ length: 1000 }, (_, i) => {
    const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
    const v = new DataView(bytes.buffer);
    v.setBigUint64(at.time, BigInt(i) * 1_234_567n, true);
    v.setUint32(at.task + 4, 1000 + (i % 20), true);
    if (v.getBigUint64(at.sk, true) !== 0n) v.setUint32(at.sk, i, true);
    if (at.head !== undefined) {
      v.setUint32(DROP.skb, i * 256, true);
      const ip = at.head + v.getUint16(DROP.network, true) - v.getUint16(DROP.window, true);
      v.setUint16(ip + 4, i); // id
      v.setUint16(ip + 14, i); // half of the source address
      v.setUint16(ip + 10, checksum(bytes, ip, ip + 20, ip + 10));
    }
    return bytes;
  });
}

function samples(symbols: Symbols): Readonly<Record<'drops' | 'calls', Job>> {
  const file = JSON.parse(readFileSync(`${root}fixtures/bpf/records-6.18.json`, 'utf8')) as { drops: string[]; call: string };
  const names: Names = { symbols: () => symbols, reason: (number) => ({ number, name: '' }), syscall: () => 'sendto' };
  const drops = varied(file.drops[0]!, { time: DROP.time, task: DROP.pidTgid, sk: DROP.sk, head: DROP.head });
  const calls = varied(file.call, { time: CALL.time, task: CALL.pidTgid, sk: CALL.sk });
  return {
    drops: inside(() => { for (let i = 0; i < PACKETS; i++) if (decodeDrop(drops[i % 1000]!, names) === undefined) throw new Error('not decoded'); }),
    calls: inside(() => { for (let i = 0; i < PACKETS; i++) if (decodeCall(calls[i % 1000]!, names) === undefined) throw new Error('not decoded'); }),
  };
}

type Page = Extract<RawRecord, { record: 'trace-page' }>;
const pagesOf = (records: readonly RawRecord[]): readonly Page[] => records.filter((r): r is Page => r.record === 'trace-page');

/** All drops of a recording with places and stacks named; every drop must have its stack. */
function decodePages(records: readonly RawRecord[], symbols: Symbols): number {
  const host = records.find((r) => r.record === 'host');
  if (host === undefined) throw new Error('the recording has no host');
  const timeline = createTimeline({ ...host, netns: [] }, () => symbols); // of every namespace, as perf prints them
  let drops = 0, stacks = 0;
  const take = (events: ReturnType<typeof timeline.decode>): void => {
    for (const event of events) {
      if (event.kind !== 'drop') continue;
      drops += 1;
      if (event.stack.length > 3) stacks += 1;
    }
  };
  for (const record of pagesOf(records)) take(timeline.decode(record));
  take(timeline.flush());
  if (stacks < drops * 0.99) throw new Error(`${stacks} stacks of ${drops} drops`);
  return drops;
}

const NS = `wdbench-${process.pid}`;
const FLOOD = ['nsenter', `--net=/run/netns/${NS}`, '/usr/bin/python3', '-c', `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${PACKETS}):
    try: s.sendto(b'x', ('127.0.0.1', 9000))
    except OSError: pass`];

/** One flood, seen by whydrop's tracefs probe and by perf at once. */
async function perfAndUs(dir: string): Promise<void> {
  const recording = `${dir}/a.whydrop`;
  const watch = spawn(`${root}whydrop`, ['watch', '--json', '--probe', 'tracefs', '--netns', NS, '--record', recording], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = new Promise((done) => watch.once('exit', done));
  await new Promise<void>((done) => watch.stdout.on('data', (chunk: Buffer) => { if (chunk.includes('"armed"')) done(); }));
  const data = `${dir}/p.data`;
  if (existsSync('/usr/bin/perf')) spawnSync('perf', ['record', '-q', '-m', '8M', '-g', '-a', '-e', 'skb:kfree_skb', '-o', data, '--', ...FLOOD], { stdio: 'ignore' });
  else sh(...FLOOD);
  await sleep(300);
  watch.kill('SIGINT');
  await exit;
  const { records } = readRecording(readFileSync(recording));
  const pages = pagesOf(records);
  const symbols = symbolsOnce();
  let visited = 0, drops = 0;
  const command = `perf script -i ${data}`;
  const least = best({
    ...samples(symbols),
    visit: inside(() => { visited = 0; for (const page of pages) visited += readRingPage(page.bytes, () => {}).events; }),
    pages: inside(() => { drops = decodePages(records, symbols); }),
    perf: existsSync(data) ? program(command) : () => 0,
  });
  if (drops < PACKETS / 2) throw new Error(`only ${drops} drops of ${PACKETS} in the pages`);
  const perf = existsSync(data) ? least.perf / lines(command, 'skb:kfree_skb:') : undefined;
  const times = (each: number): string => (perf === undefined ? '' : `; ${(perf / each).toFixed(1)} × perf script`);
  console.log(`perf script${perf === undefined ? ': not here' : ` of a flood of ${PACKETS.toLocaleString('en')}: ${rate(1, perf)}`}`);
  console.log(`tracefs drops with stacks, of the same flood: ${rate(drops, least.pages)}${times(least.pages / drops)}`);
  console.log(`BPF drop samples (with packet, socket): ${rate(PACKETS, least.drops)}${times(least.drops / PACKETS)}`);
  console.log(`BPF failed calls: ${rate(PACKETS, least.calls)}`);
  console.log(`ring pages, events visited: ${rate(visited, least.visit)}`);
}

/** One file, read by trace-cmd and by us. */
async function traceCmdAndUs(): Promise<void> {
  const dat = await traceDat();
  if ('why' in dat) return console.log(`trace-cmd report: ${dat.why}`);
  const foreign = recogniseForeign(readFileSync(dat.path));
  const text = foreign?.records.find((r) => r.record === 'symbols');
  if (foreign === undefined || text?.record !== 'symbols') throw new Error(`${dat.path}: no trace.dat with symbols`);
  const symbols = symbolsOf(text.text);
  let drops = 0;
  const command = `trace-cmd report -i ${dat.path}`;
  const least = best({
    unpack: inside(() => void recogniseForeign(readFileSync(dat.path))),
    symbols: inside(() => void symbolsOf(text.text)),
    pages: inside(() => { drops = decodePages(foreign.records, symbols); }),
    traceCmd: program(command),
  });
  const printed = lines(command, 'kfree_skb:');
  if (printed !== drops) throw new Error(`trace-cmd prints ${printed} drops, whydrop has ${drops}`);
  console.log(`trace-cmd report, ${drops.toLocaleString('en')} drops with stacks: ${rate(drops, least.traceCmd)}`);
  console.log(`the same pages: ${rate(drops, least.pages)}; ${(least.traceCmd / least.pages).toFixed(1)} × trace-cmd report`);
  const whole = least.unpack + least.symbols + least.pages;
  console.log(`the same file whole (unpacked, ${symbols.count().toLocaleString('en')} symbols read): ${rate(drops, whole)}; ${(least.traceCmd / whole).toFixed(1)} ×`);
}

async function perf(): Promise<void> {
  const dir = mkdtempSync('/tmp/whydrop-bench-');
  try {
    await withNetns([NS], async () => {
      sh('ip', 'netns', 'exec', NS, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
      await perfAndUs(dir);
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

// each in a process of its own, as perf and trace-cmd are: code that has met one kind of input only is faster
const PARTS = { perf, 'trace-cmd': traceCmdAndUs } as const;
const part = process.argv[2];
if (part === 'perf' || part === 'trace-cmd') await PARTS[part]();
else for (const name of Object.keys(PARTS)) if (spawnSync(process.execPath, [new URL(import.meta.url).pathname, name], { stdio: 'inherit' }).status !== 0) process.exitCode = 1;
