/** What the benchmarks share: commands, namespaces that go away, medians, and a whydrop to measure. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

export const root = new URL('..', import.meta.url).pathname;

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

export function sh(...command: string[]): string {
  const { status, stdout, stderr } = spawnSync(command[0] ?? '', command.slice(1), { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
  return stdout;
}

/** Runs a piece of work with namespaces that are removed afterwards. */
export async function withNetns(names: readonly string[], work: () => Promise<void>): Promise<void> {
  try {
    for (const name of names) {
      sh('ip', 'netns', 'add', name);
      sh('ip', '-n', name, 'link', 'set', 'lo', 'up');
    }
    await work();
  } finally {
    for (const name of names) spawnSync('ip', ['netns', 'del', name]);
  }
}

export interface Watching {
  readonly child: ChildProcess;
  /** From start to the armed line, ms. */
  readonly armedMs: number;
  /** Lines so far, with when they came (ms since start). */
  readonly lines: readonly { readonly at: number; readonly line: { readonly type: string; readonly [f: string]: unknown } }[];
  /** SIGINT; gives the summary. */
  stop(): Promise<{ readonly incidents: readonly { cause: { id: string }; count: number }[]; readonly loss: readonly { readonly source: string; readonly count: number; readonly text: string }[]; readonly cost: { cpuSeconds: number; peakRss: number } }>;
}

/** A whydrop that is armed. */
export async function watching(...args: string[]): Promise<Watching> {
  const started = performance.now();
  const child = spawn(`${root}whydrop`, ['watch', '--json', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: { at: number; line: { type: string; [f: string]: unknown } }[] = [];
  let rest = '';
  let armed!: () => void;
  const isArmed = new Promise<void>((done) => (armed = done));
  child.stdout.on('data', (chunk: Buffer) => {
    rest += chunk.toString();
    const whole = rest.split('\n');
    rest = whole.pop() ?? '';
    for (const text of whole) {
      const line = JSON.parse(text) as { type: string };
      lines.push({ at: performance.now() - started, line });
      if (line.type === 'armed') armed();
    }
  });
  const exit = new Promise<void>((done) => child.once('exit', () => done()));
  await Promise.race([isArmed, exit]);
  const armedMs = performance.now() - started;
  return {
    child,
    armedMs,
    lines,
    stop: async () => {
      child.kill('SIGINT');
      await exit;
      return lines.find((l) => l.line.type === 'summary')?.line as unknown as Awaited<ReturnType<Watching['stop']>>;
    },
  };
}

/** CPU seconds that a process has used, from /proc/PID/stat (fields 14 and 15, in ticks of 10 ms). */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export const rssMb = (pid: number): number => Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
