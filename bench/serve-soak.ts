/**
 * Whether `whydrop serve` and its page grow or slow down: 1,000 new incidents a minute (rules that nobody has seen
 * before, each met by some datagrams), followed by a real Chromium. Once a minute, after a collection of garbage, the
 * heaps of server and page, the server's memory, and the time that a whole state takes to come and a frame to be drawn.
 * Root, iptables, chromium. `node tools/run.mjs bench/serve-soak.ts [MINUTES]`; the last line is the verdict.
 */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { browser } from '../test/views/web-browser.ts';

const root = new URL('..', import.meta.url).pathname;
const whydrop = process.env['WHYDROP'] ?? `${root}dist/whydrop.js`;
const minutes = Number(process.argv[2] ?? 5);
const PER_MINUTE = 1_000;
const netns = `wdf${process.pid}`;
const run = (...args: readonly string[]): void => void execFileSync('ip', args);

/** Three datagrams to each of a minute's addresses, spread over it. */
const TRAFFIC = `
import socket,sys,time
for line in sys.stdin:
  minute=int(line)
  s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
  for i in range(${PER_MINUTE}):
    for n in range(3):
      try: s.sendto(b'x'*50,('127.%d.%d.%d'%(10+minute,i//250,i%250+1),1194))
      except OSError: pass
    time.sleep(${50 / PER_MINUTE})
  s.close()
`;

/** What a process with an inspector answers. */
async function inspector(port: number): Promise<{ call(method: string, params?: object): Promise<Record<string, unknown>>; close(): void }> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as { webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(target!.webSocketDebuggerUrl);
  await new Promise((done) => socket.addEventListener('open', done));
  let sent = 0;
  return {
    call: (method, params = {}) =>
      new Promise((done) => {
        const id = ++sent;
        const take = (event: MessageEvent): void => {
          const answer = JSON.parse(String(event.data)) as { id?: number; result: Record<string, unknown> };
          if (answer.id !== id) return;
          socket.removeEventListener('message', take);
          done(answer.result);
        };
        socket.addEventListener('message', take);
        socket.send(JSON.stringify({ id, method, params }));
      }),
    close: () => socket.close(),
  };
}

const freePort = (): Promise<number> =>
  new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });

interface Sample {
  readonly server: number;
  readonly page: number;
  readonly state: number;
  readonly frame: number;
  readonly cpu: number;
}

run('netns', 'add', netns);
try {
  run('-n', netns, 'link', 'set', 'lo', 'up');
  const port = await freePort();
  const child = spawn(process.execPath, [`--inspect=127.0.0.1:${port}`, whydrop, 'serve', '--netns', netns], { stdio: ['ignore', 'pipe', 'ignore'] });
  const link = await new Promise<string>((done) => {
    let text = '';
    child.stdout.on('data', (part: Buffer) => {
      text += part.toString();
      const found = /once\): (\S+)/.exec(text)?.[1];
      if (found !== undefined) done(found);
    });
  });
  const debug = await inspector(port);
  const chromium = await browser();
  const page = await chromium.newPage();
  await page.goto(link);
  await page.waitForSelector('main h1');
  const session = await chromium.newCDPSession(page);
  await session.send('Performance.enable');
  const traffic = spawn('ip', ['netns', 'exec', netns, 'python3', '-c', TRAFFIC], { stdio: ['pipe', 'ignore', 'inherit'] });

  const rss = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024;
  const cpuSeconds = (): number => {
    const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  };
  const samples: Sample[] = [];
  let before = cpuSeconds();
  for (let minute = 0; minute < minutes; minute++) {
    const end = performance.now() + 60_000;
    const rules = Array.from({ length: PER_MINUTE }, (_, i) => `-A OUTPUT -d 127.${10 + minute}.${Math.floor(i / 250)}.${(i % 250) + 1}/32 -p udp -j DROP`);
    execFileSync('ip', ['netns', 'exec', netns, 'iptables-restore'], { input: `*filter\n${rules.join('\n')}\nCOMMIT\n` });
    traffic.stdin.write(`${minute}\n`);
    await new Promise((done) => setTimeout(done, end - performance.now()));
    await debug.call('HeapProfiler.collectGarbage');
    await session.send('HeapProfiler.collectGarbage');
    const memory = (await debug.call('Runtime.evaluate', { expression: 'process.memoryUsage().heapUsed' }))['result'] as { value: number };
    const metrics = (await session.send('Performance.getMetrics')).metrics;
    const times = await page.evaluate<{ state: number; frame: number; incidents: number }>(`(async () => {
      const asked = performance.now();
      const state = await (await fetch('/api/state?source=live')).json();
      const came = performance.now();
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      return { state: came - asked, frame: performance.now() - came, incidents: state.incidents.length + state.unlisted };
    })()`);
    const cpu = cpuSeconds();
    samples.push({ server: memory.value / 1e6, page: (metrics.find((m) => m.name === 'JSHeapUsedSize')?.value ?? NaN) / 1e6, state: times.state, frame: times.frame, cpu: cpu - before });
    before = cpu;
    const s = samples.at(-1)!;
    console.log(`minute ${minute + 1}: server heap ${s.server.toFixed(1)} MB, RSS ${rss().toFixed(0)} MB; page heap ${s.page.toFixed(1)} MB, ${metrics.find((m) => m.name === 'Nodes')?.value} nodes; state in ${s.state.toFixed(0)} ms, frame ${s.frame.toFixed(0)} ms; ${times.incidents} incidents held; ${s.cpu.toFixed(1)} s of CPU`);
  }
  const mean = (of: readonly Sample[], key: keyof Sample): number => of.reduce((sum, s) => sum + s[key], 0) / of.length;
  const third = Math.max(1, Math.floor(samples.length / 3));
  const [second, last] = [samples.slice(third, 2 * third), samples.slice(-third)];
  const ratio = (key: keyof Sample): string => (mean(last, key) / mean(second, key)).toFixed(2);
  console.log(`${minutes} minutes, last third against second: server heap ×${ratio('server')}, page heap ×${ratio('page')}, state ×${ratio('state')}, frame ×${ratio('frame')}, CPU ×${ratio('cpu')}`);
  traffic.kill();
  debug.close();
  await chromium.finish();
  const began = performance.now();
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGINT');
  await ended;
  console.log(`ended ${(performance.now() - began).toFixed(0)} ms after SIGINT`);
} finally {
  run('netns', 'del', netns);
}
