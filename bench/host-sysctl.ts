/** One sysctl of the whole host that a benchmark has to raise, and that is put back whatever happens to the benchmark. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

/** At least `wish` while `work` runs. What puts it back is another process that waits for this one's end: Ctrl-C, a failure, SIGKILL. */
export async function withAtLeast(path: string, wish: number, work: () => Promise<void>): Promise<void> {
  const before = readFileSync(path, 'utf8').trim();
  if (Number(before) >= wish) return work();
  const guard = spawn('sh', ['-c', 'cat > /dev/null; [ "$(cat "$1")" != "$3" ] || echo "$2" > "$1"', 'sh', path, before, String(wish)], { stdio: ['pipe', 'ignore', 'inherit'], detached: true });
  await new Promise((done, failed) => guard.once('spawn', done).once('error', failed));
  const restored = new Promise((done) => guard.once('exit', done));
  try {
    writeFileSync(path, String(wish));
    await work();
  } finally {
    guard.stdin.end();
    await restored;
  }
}
