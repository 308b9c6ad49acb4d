/**
 * Whether `whydrop serve` grows: a firewall drops 2,000 packets a second from ever new ports, two browsers follow.
 * Root. `node tools/run.mjs bench/serve-soak.ts [SECONDS]`; prints the memory each tenth of the time, and the growth of the second half.
 */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const root = new URL('..', import.meta.url).pathname;
const seconds = Number(process.argv[2] ?? 120);
const netns = `wdw${process.pid}`;
const run = (...args: readonly string[]): void => void execFileSync('ip', args);
const TRAFFIC = `
import socket,time
end=time.time()+${seconds}
while time.time()<end:
  s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
  for i in range(100):
    try: s.sendto(b'x'*50,('127.0.0.1',1194 if i%2 else 1000+int(time.time()*10)%30000))
    except OSError: pass
  s.close()
  time.sleep(0.05)
`;

run('netns', 'add', netns);
const streams = new AbortController();
try {
  run('-n', netns, 'link', 'set', 'lo', 'up');
  run('netns', 'exec', netns, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '-j', 'DROP');
  const child = spawn(process.execPath, [`${root}dist/whydrop.js`, 'serve', '--netns', netns], { stdio: ['ignore', 'pipe', 'inherit'] });
  const link = await new Promise<string>((done) => {
    let text = '';
    child.stdout.on('data', (part: Buffer) => {
      text += part.toString();
      const found = /once\): (\S+)/.exec(text)?.[1];
      if (found !== undefined) done(found);
    });
  });
  const login = await fetch(link, { redirect: 'manual' });
  const cookie = login.headers.get('set-cookie')!.split(';')[0]!;
  const traffic = spawn('ip', ['netns', 'exec', netns, 'python3', '-c', TRAFFIC], { stdio: 'ignore' });
  let received = 0;
  let largest = 0;
  const follow = async (): Promise<void> => {
    const response = await fetch(`${new URL(link).origin}/api/events?source=live`, { headers: { cookie }, signal: streams.signal });
    for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
      received += part.length;
      largest = Math.max(largest, part.length);
    }
  };
  const followers = [follow(), follow()].map((f) => f.catch(() => undefined));
  const rss = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024;
  const samples: number[] = [];
  for (let i = 0; i <= 10; i++) {
    samples.push(rss());
    console.log(`${Math.round((i * seconds) / 10)} s: ${samples.at(-1)!.toFixed(0)} MB, ${(received / 1e6).toFixed(1)} MB sent`);
    if (i < 10) await new Promise((done) => setTimeout(done, seconds * 100));
  }
  const state = (await (await fetch(`${new URL(link).origin}/api/state?source=live`, { headers: { cookie } })).text());
  const parsed = JSON.parse(state) as { incidents: { count: number }[]; cost: { cpuSeconds: number } };
  console.log(`growth of the second half: ${(samples.at(-1)! - samples[5]!).toFixed(1)} MB; state ${(state.length / 1000).toFixed(0)} kB; ${parsed.incidents.reduce((n, i) => n + i.count, 0)} packets in ${parsed.incidents.length} incidents; ${parsed.cost.cpuSeconds} s of CPU`);
  streams.abort();
  await Promise.all(followers);
  traffic.kill();
  const began = performance.now();
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGINT');
  await ended;
  console.log(`ended ${(performance.now() - began).toFixed(0)} ms after SIGINT`);
} finally {
  run('netns', 'del', netns);
}
