/** CPU at rest and under a steady flood, memory, time to armed, time to the verdict. Run: npm run bench -- rest */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuSeconds, median, root, rssMb, sh, sleep, watching, withNetns } from './world.ts';

const NS = 'wdbench-rest';
const SECONDS = Number(process.env['SECONDS_EACH'] ?? 20);

await withNetns([NS], async () => {
  sh('ip', 'netns', 'exec', NS, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
  const folder = mkdtempSync(join(tmpdir(), 'whydrop-bench-'));
  const sender = join(folder, 'sender');
  sh('gcc', '-O2', '-o', sender, `${root}bench/sender.c`);
  try {
    const armed: number[] = [];
    const verdict: number[] = [];
    for (let i = 0; i < 7; i++) {
      const w = await watching('--netns', NS);
      armed.push(w.armedMs);
      const sent = performance.now();
      spawnSync('ip', ['netns', 'exec', NS, sender, '1', '0']);
      while (!w.lines.some((l) => l.line.type === 'incident') && performance.now() - sent < 5_000) await sleep(2);
      verdict.push(performance.now() - sent);
      await w.stop();
    }
    console.log(`start to armed                 ${median(armed).toFixed(0)} ms (median of ${armed.length})`);
    console.log(`first loss to right verdict    ${median(verdict).toFixed(0)} ms, the sender's own start included`);

    const rest = await watching('--netns', NS);
    await sleep(2_000);
    const pid = rest.child.pid ?? 0;
    const from = cpuSeconds(pid);
    await sleep(SECONDS * 1000);
    console.log(`CPU at rest                    ${(((cpuSeconds(pid) - from) / SECONDS) * 100).toFixed(2)} % of a core over ${SECONDS} s, ${rssMb(pid).toFixed(0)} MB resident`);
    const flood = spawn('ip', ['netns', 'exec', NS, sender, '1000000000', '1']);
    await sleep(2_000);
    const busyFrom = cpuSeconds(pid);
    await sleep(SECONDS * 1000);
    const busy = ((cpuSeconds(pid) - busyFrom) / SECONDS) * 100;
    const rss = rssMb(pid);
    flood.kill('SIGKILL');
    const summary = await rest.stop();
    const drops = summary.incidents.reduce((n, i) => n + i.count, 0);
    console.log(`CPU under flood                ${busy.toFixed(1)} % of a core at ${Math.round(drops / (SECONDS + 2) / 1000)}k drops/s, ${rss.toFixed(0)} MB resident, peak ${(summary.cost.peakRss / 1e6).toFixed(0)} MB`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
