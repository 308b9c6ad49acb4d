/**
 * An hour's worth of a mixed load in two minutes: losses of several causes that come and go, rules and routes that change,
 * programs, connections. Prints resident memory as it goes. Run: npm run bench -- hour
 */
import { spawn, spawnSync } from 'node:child_process';
import { rssMb, sh, sleep, watching, withNetns } from './world.ts';

const A = 'wdbench-ha', B = 'wdbench-hb';
const ROUNDS = Number(process.env['ROUNDS'] ?? 60);
const ROUND_MS = 2_000;

/** One minute of an ordinary bad day: each round other ports, destinations and rules. */
const script = (round: number): string => `
import socket, time
def udp(): return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def send(s, to):
    try: s.sendto(b'x' * 100, to)
    except OSError: pass
full = udp(); full.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304); full.bind(('127.0.0.1', 0))
for i in range(40):
    s = udp()
    send(s, ('10.77.0.2', ${9_000 + (round % 40)}))
    send(s, ('10.77.0.2', ${20_000 + round * 40} + i))
    send(s, ('203.0.113.%d' % (i + 1), ${1_000 + round}))
    send(s, ('10.77.0.99', 53))
    for _ in range(5): send(s, full.getsockname())
    try: socket.create_connection(('10.77.0.2', ${30_000 + round}), 0.02)
    except OSError: pass
    time.sleep(0.02)`;

await withNetns([A, B], async () => {
  sh('ip', 'link', 'add', 'eth0', 'netns', A, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', B);
  for (const [name, address] of [[A, '10.77.0.1/24'], [B, '10.77.0.2/24']] as const) {
    sh('ip', '-n', name, 'addr', 'add', address, 'dev', 'eth0');
    sh('ip', '-n', name, 'link', 'set', 'eth0', 'up');
    sh('ip', 'netns', 'exec', name, 'iptables', '-A', 'INPUT', '-m', 'conntrack', '--ctstate', 'INVALID', '-j', 'DROP');
  }
  spawnSync('ip', ['netns', 'exec', A, 'iptables-restore', '--noflush'], { input: `*filter\n${Array.from({ length: 1_000 }, (_, i) => `-A OUTPUT -d 203.0.113.${i % 250}/32 -p tcp --dport ${1 + i} -j ACCEPT`).join('\n')}\nCOMMIT\n` });
  const w = await watching('--netns', A, '--netns', B);
  const pid = w.child.pid ?? 0;
  const resident: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const until = performance.now() + ROUND_MS;
    const port = String(9_000 + (round % 40));
    sh('ip', 'netns', 'exec', A, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', port, '-j', 'DROP');
    if (round % 2 === 0) sh('ip', '-n', A, 'route', 'add', 'prohibit', `203.0.113.${(round % 40) + 1}/32`);
    await new Promise<void>((done) => spawn('ip', ['netns', 'exec', A, '/usr/bin/python3', '-c', script(round)], { stdio: ['ignore', 'ignore', 'inherit'] }).once('exit', () => done()));
    sh('ip', 'netns', 'exec', A, 'iptables', '-D', 'OUTPUT', '-p', 'udp', '--dport', port, '-j', 'DROP');
    if (round % 2 === 0) sh('ip', '-n', A, 'route', 'del', 'prohibit', `203.0.113.${(round % 40) + 1}/32`);
    await sleep(Math.max(0, until - performance.now()));
    resident.push(rssMb(pid));
    if ((round + 1) % 10 === 0) console.log(`after ${String(round + 1).padStart(3)} rounds   ${rssMb(pid).toFixed(0)} MB resident`);
  }
  const { incidents, cost } = await w.stop();
  const quarter = Math.floor(resident.length / 4);
  const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length;
  console.log(`${incidents.length} incidents of ${new Set(incidents.map((i) => i.cause.id)).size} causes, ${incidents.reduce((n, i) => n + i.count, 0)} losses, ${cost.cpuSeconds.toFixed(1)} s CPU, peak ${(cost.peakRss / 1e6).toFixed(0)} MB; last quarter to second: × ${(mean(resident.slice(-quarter)) / mean(resident.slice(quarter, 2 * quarter))).toFixed(2)}`);
});
