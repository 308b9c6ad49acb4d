/** CPU at rest and under a steady flood, memory, time to armed, time to the verdict. Run: npm run bench -- rest */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuSeconds, median, root, rssMb, sh, sleep, watching, withNetns } from './world.ts';

const NS = 'wdbench-rest';
const SECONDS = Number(process.env['SECONDS_EACH'] ?? 60);
/** A quiet host is not a dead one: a refused packet, a program and a connection now and then. */
const NOW_AND_THEN_MS = 10_000;

const spread = (all: readonly number[]): string => `${median(all).toFixed(0)} ms (median of ${all.length}, ${Math.min(...all).toFixed(0)} to ${Math.max(...all).toFixed(0)}: × ${(Math.max(...all) / Math.min(...all)).toFixed(1)})`;

await withNetns([NS], async () => {
  sh('ip', 'netns', 'exec', NS, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
  const folder = mkdtempSync(join(tmpdir(), 'whydrop-bench-'));
  const sender = join(folder, 'sender');
  sh('gcc', '-O2', '-o', sender, `${root}bench/sender.c`);
  try {
    await (await watching('--netns', NS)).stop(); // warm
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
    console.log(`start to armed                 ${spread(armed)}`);
    console.log(`first loss to right verdict    ${spread(verdict)}, the sender's own start included`);

    const rest = await watching('--netns', NS);
    const pid = rest.child.pid ?? 0;
    await sleep(2_000);
    const started = cpuSeconds(pid);
    const spent = async (): Promise<number> => {
      const from = cpuSeconds(pid);
      await sleep(SECONDS * 1000);
      return ((cpuSeconds(pid) - from) / SECONDS) * 100;
    };
    const atRest = await spent();
    console.log(`CPU of the start               ${(started * 1000).toFixed(0)} ms, once: all of the first 2 s`);
    console.log(`CPU at rest                    ${atRest.toFixed(2)} % of a core over ${SECONDS} s, ${rssMb(pid).toFixed(0)} MB resident`);
    const life = setInterval(() => spawn('ip', ['netns', 'exec', NS, sender, '1', '0'], { stdio: 'ignore' }), NOW_AND_THEN_MS);
    const quiet = await spent();
    clearInterval(life);
    console.log(`CPU on a quiet host            ${quiet.toFixed(2)} % of a core over ${SECONDS} s: a program that is refused a packet every ${NOW_AND_THEN_MS / 1000} s (× ${(quiet / atRest).toFixed(1)}), ${rssMb(pid).toFixed(0)} MB resident`);
    const flood = spawn('ip', ['netns', 'exec', NS, sender, '1000000000', '1']);
    await sleep(2_000);
    const busy = await spent();
    const rss = rssMb(pid);
    flood.kill('SIGKILL');
    const summary = await rest.stop();
    const drops = summary.incidents.reduce((n, i) => n + i.count, 0);
    console.log(`CPU under flood                ${busy.toFixed(1)} % of a core at ${Math.round(drops / (SECONDS + 2) / 1000)}k drops/s, ${rss.toFixed(0)} MB resident, peak ${(summary.cost.peakRss / 1e6).toFixed(0)} MB`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
