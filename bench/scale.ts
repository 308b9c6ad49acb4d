/** Many flows, rules, namespaces and sockets: verdict time and memory. Run: npm run bench -- scale */
import { spawnSync } from 'node:child_process';
import { sh, sleep, watching, withNetns } from './world.ts';

const NS = 'wdbench-scale';
const PYTHON = '/usr/bin/python3';

/** Sends one datagram to each of n ports, and says what the watch made of it. */
async function flows(n: number, rules: number): Promise<void> {
  await withNetns([NS], async () => {
    const lines = Array.from({ length: rules }, (_, i) => `-A OUTPUT -d 203.0.113.${i % 250}/32 -p tcp --dport ${1 + i} -j ACCEPT`);
    spawnSync('ip', ['netns', 'exec', NS, 'iptables-restore'], { input: `*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n${lines.join('\n')}\n-A OUTPUT -p udp --dport 10000:65535 -j DROP\nCOMMIT\n` });
    const w = await watching('--netns', NS);
    sh('ip', 'netns', 'exec', NS, PYTHON, '-c', `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${n}):
    try: s.sendto(b'x', ('127.0.0.1', 10000 + i))
    except OSError: pass
    if i % 50 == 49: time.sleep(0.005)`);
    await sleep(500);
    const stopped = performance.now();
    const { incidents, cost } = await w.stop();
    const counted = incidents.reduce((sum, i) => sum + i.count, 0);
    console.log(`${String(n).padStart(6)} flows × ${String(rules).padStart(4)} rules   ${counted} counted in ${incidents.length} incidents, ${cost.cpuSeconds.toFixed(2)} s CPU, peak ${(cost.peakRss / 1e6).toFixed(0)} MB, end in ${(performance.now() - stopped).toFixed(0)} ms`);
  });
}

async function namespaces(n: number): Promise<void> {
  const names = Array.from({ length: n }, (_, i) => `wdbench-n${i}`);
  await withNetns(names, async () => {
    for (const name of names) sh('ip', 'netns', 'exec', name, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
    const w = await watching('--all-netns');
    for (const name of names) spawnSync('ip', ['netns', 'exec', name, PYTHON, '-c', "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntry: s.sendto(b'x', ('127.0.0.1', 9000))\nexcept OSError: pass"]);
    await sleep(1_000);
    const { incidents, cost } = await w.stop();
    const right = incidents.filter((i) => i.cause.id === 'netfilter.rule-drop').length;
    console.log(`${String(n).padStart(6)} namespaces, a rule each   ${right} named, armed in ${w.armedMs.toFixed(0)} ms, ${cost.cpuSeconds.toFixed(2)} s CPU, peak ${(cost.peakRss / 1e6).toFixed(0)} MB`);
  });
}

for (const [n, rules] of [[100, 10], [1_000, 10], [1_000, 1_000], [10_000, 1_000]] as const) await flows(n, rules);
for (const n of [10, 50, 200]) await namespaces(n);
