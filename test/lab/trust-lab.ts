import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { after, before } from 'node:test';

/* For the tests of what docs/trust.md promises: whydrop as a process, a namespace of this file's own with a rule that refuses udp to port 9000. */

const root = new URL('../../', import.meta.url).pathname;
export const WHYDROP = `${root}whydrop`;
export const NODE = process.execPath;
export const BUNDLE = `${root}dist/whydrop.js`;
export const NS = `wdtrust-${process.pid}`;
export const PYTHON = '/usr/bin/python3';
export const skip = process.getuid?.() !== 0 ? 'needs root' : !existsSync('/usr/sbin/iptables') ? 'needs iptables' : false;
export const skipWithout = (file: string): string | false => skip || (existsSync(file) ? false : `needs ${file}`);
export const pause = (ms: number): Promise<void> => new Promise((go) => setTimeout(go, ms));

export const sh = (...command: string[]): string => {
  const { status, stdout, stderr } = spawnSync(command[0] ?? '', command.slice(1), { encoding: 'utf8', maxBuffer: 1 << 27 });
  assert.equal(status, 0, `${command.join(' ')}: ${stderr}`);
  return stdout;
};
export const python = (netns: string, code: string): string => sh('ip', 'netns', 'exec', netns, PYTHON, '-c', code);

export type Line = { type: string; [field: string]: unknown };
export interface Run {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly lines: Line[];
  text: string;
  until(what: string, fits: (line: Line) => boolean, ms?: number): Promise<Line>;
  readonly ended: Promise<number | null>;
}

export const started = new Set<ChildProcess>();

/** Straight into Node: the pid is whydrop's own. */
export function start(args: readonly string[], wrapper: readonly string[] = []): Run {
  const [program, ...rest] = [...wrapper, NODE, BUNDLE, ...args];
  const child = spawn(program ?? NODE, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  started.add(child);
  const run: { -readonly [K in keyof Run]: Run[K] } = {
    child, pid: child.pid ?? 0, lines: [], text: '',
    ended: new Promise((done) => child.once('exit', done)),
    until: async (what, fits, ms = 15_000) => {
      for (const deadline = performance.now() + ms; performance.now() < deadline; await pause(10)) {
        const found = run.lines.find(fits);
        if (found !== undefined) return found;
      }
      throw new Error(`${what} did not come; got ${run.lines.map((l) => l.type).join(', ')}; ${run.text.slice(-500)}`);
    },
  };
  let left = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    left += chunk.toString();
    const whole = left.split('\n');
    left = whole.pop() ?? '';
    if (args.includes('--json')) for (const line of whole) run.lines.push(JSON.parse(line) as Line);
    else run.text += whole.map((l) => `${l}\n`).join('');
  });
  child.stderr?.on('data', (chunk: Buffer) => (run.text += chunk.toString()));
  return run;
}
export const armed = async (args: readonly string[], wrapper: readonly string[] = []): Promise<Run> => {
  const run = start(args, wrapper);
  await run.until('armed', (l) => l.type === 'armed');
  return run;
};
export type Incident = { cause: { id: string }; count: number; [f: string]: unknown };
export const summaryOf = async (run: Run): Promise<{ incidents: Incident[]; loss: { source: string; count: number; text: string }[] }> => {
  run.child.kill('SIGINT');
  const line = await run.until('the summary', (l) => l.type === 'summary');
  await run.ended;
  return line as never;
};
export const countOf = (incidents: readonly Incident[], cause: string): number => incidents.filter((i) => i.cause.id === cause).reduce((n, i) => n + i.count, 0);

/** Sends that a rule refuses; gives how many the kernel refused. */
export const refusedSends = (netns: string, n: number, port = 9000): number => Number(python(netns, `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); n = 0
for i in range(${n}):
    try: s.sendto(b'x', ('127.0.0.1', ${port}))
    except PermissionError: n += 1
print(n)`));

/** Once in each file that imports this. */
before(() => {
  if (skip !== false) return;
  spawnSync(WHYDROP, ['--version']); // bundled before anything is timed
  makeNetns(NS);
});
after(() => {
  for (const child of started) if (child.exitCode === null) child.kill('SIGKILL'); // of tests that failed
  if (skip === false) spawnSync('ip', ['netns', 'del', NS]);
});
export function makeNetns(name: string): void {
  sh('ip', 'netns', 'add', name);
  sh('ip', '-n', name, 'link', 'set', 'lo', 'up');
  sh('ip', 'netns', 'exec', name, 'iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
}

