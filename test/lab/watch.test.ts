import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';

const root = new URL('../../', import.meta.url).pathname;
const WHYDROP = `${root}whydrop`;
const NS = `wdlab-${process.pid}`;
const PYTHON = '/usr/bin/python3';

const notHere = process.getuid?.() !== 0 ? 'needs root' : !existsSync('/usr/sbin/iptables') ? 'needs iptables' : false;
const sh = (...command: string[]): string => {
  const { status, stdout, stderr } = spawnSync(command[0] ?? '', command.slice(1), { encoding: 'utf8' });
  assert.equal(status, 0, `${command.join(' ')}: ${stderr}`);
  return stdout;
};
const inside = (...command: string[]): readonly string[] => ['ip', 'netns', 'exec', NS, ...command];
/** N sends to a port of loopback, refused ones counted. */
const sends = (n: number, port: number): number =>
  Number(sh(...inside(PYTHON, '-c', `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
refused = 0
for i in range(${n}):
    try: s.sendto(b'whydrop', ('127.0.0.1', ${port}))
    except PermissionError: refused += 1
    except OSError: pass
print(refused)`)));

interface Run {
  readonly child: ChildProcess;
  readonly lines: { type: string; [field: string]: unknown }[];
  /** Resolves when a line fits. */
  until(what: string, fits: (line: { type: string; [field: string]: unknown }) => boolean): Promise<{ type: string; [field: string]: unknown }>;
  readonly ended: Promise<number | null>;
}

function start(...args: string[]): Run {
  const child = spawn(WHYDROP, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: Run['lines'] = [];
  const waiting = new Set<() => void>();
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    rest += chunk.toString();
    const whole = rest.split('\n');
    rest = whole.pop() ?? '';
    for (const line of whole) lines.push(JSON.parse(line) as Run['lines'][number]);
    for (const look of waiting) look();
  });
  const ended = new Promise<number | null>((done) => child.once('exit', (code) => done(code)));
  const until: Run['until'] = (what, fits) =>
    new Promise((done, fail) => {
      const look = (): void => {
        const found = lines.find(fits);
        if (found === undefined) return;
        waiting.delete(look);
        clearTimeout(timer);
        done(found);
      };
      const timer = setTimeout(() => fail(new Error(`${what} did not come; got ${lines.map((l) => l.type).join(', ')}`)), 15_000);
      waiting.add(look);
      look();
    });
  return { child, lines, until, ended };
}

type Incident = { type: 'incident'; cause: { id: string }; count: number; culprit: { text: string; [f: string]: unknown }; victims: { process?: { pid: number; comm: string }; errno?: string; syscall?: string; count: number }[]; where: { stack?: string[]; hook?: string; symbol?: string }; ruledOut: { cause: string; because: string }[]; remedies: { command?: string }[] };
const incidentsOf = (line: { type: string; [field: string]: unknown }): Incident[] => line['incidents'] as Incident[];

before(() => {
  if (notHere !== false) return;
  spawnSync(WHYDROP, ['--version']); // bundled before anything is timed
  sh('ip', 'netns', 'add', NS);
  sh('ip', '-n', NS, 'link', 'set', 'lo', 'up');
  sh(...inside('iptables', '-A', 'OUTPUT', '-d', '192.0.2.1', '-j', 'DROP'));
  sh(...inside('iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP'));
});
after(() => {
  if (notHere === false) spawnSync('ip', ['netns', 'del', NS]);
});

test('a refused send: the rule, the victim, the counters and a remedy that works, within two seconds', { skip: notHere }, async () => {
  const run = start('watch', '--json', '--netns', NS);
  await run.until('armed', (l) => l.type === 'armed');
  const began = performance.now();
  assert.equal(sends(25, 9000), 25);
  const first = (await run.until('an incident', (l) => l.type === 'incident')) as unknown as Incident;
  assert.ok(performance.now() - began < 2_000);
  assert.equal(first.cause.id, 'netfilter.rule-drop');
  run.child.kill('SIGINT');
  const summary = await run.until('the summary', (l) => l.type === 'summary');
  assert.equal(await run.ended, 0);
  const [incident] = incidentsOf(summary);
  assert.ok(incident !== undefined);
  assert.equal(incident.count, 25);
  assert.equal(incident.culprit['table'], 'filter');
  assert.equal(incident.culprit['chain'], 'OUTPUT');
  assert.equal(incident.culprit['position'], 2);
  assert.match(incident.culprit.text, /--dport 9000 -j DROP/);
  assert.deepEqual([incident.victims[0]?.errno, incident.victims[0]?.syscall, incident.victims[0]?.count], ['EPERM', 'sendto', 25]);
  assert.match(incident.victims[0]?.process?.comm ?? '', /^python3/);
  assert.ok(incident.where.stack?.some((f) => f.startsWith('__ip_local_out')));
  assert.equal(incident.where.hook, 'OUTPUT');
  assert.ok(incident.ruledOut.length > 0);
  const command = incident.remedies[0]?.command ?? '';
  sh('bash', '-c', command);
  assert.equal(sends(5, 9000), 0, `after ${command}`);
  sh(...inside('iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP'));
});

test('every line of the stream is what the published schema says', { skip: notHere }, async () => {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  const schema = (name: string): Record<string, unknown> => JSON.parse(readFileSync(`${root}docs/json-schema/${name}.json`, 'utf8')) as Record<string, unknown>;
  for (const name of ['armed', 'incident', 'loss', 'summary']) ajv.addSchema(schema(name));
  const validate = ajv.compile(schema('stream'));
  const run = start('watch', '--json', '--netns', NS, '--for', '2s');
  await run.until('armed', (l) => l.type === 'armed');
  sends(10, 9000);
  sends(3, 9999);
  assert.equal(await run.ended, 0);
  assert.equal(run.lines[0]?.type, 'armed');
  assert.equal(run.lines.filter((l) => l.type === 'armed').length, 1);
  assert.equal(run.lines.at(-1)?.type, 'summary');
  assert.ok(run.lines.some((l) => l.type === 'incident'));
  for (const line of run.lines) assert.ok(validate(line), JSON.stringify(validate.errors, undefined, 1));
});

test('a flood on every CPU is counted to the last packet', { skip: notHere }, async () => {
  const N = 150_000;
  const run = start('watch', '--json', '--netns', NS);
  await run.until('armed', (l) => l.type === 'armed');
  const senders = [0, 1].map(
    () =>
      new Promise<number>((done) => {
        const child = spawn('ip', ['netns', 'exec', NS, PYTHON, '-c', `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.1', 9000))
n = 0
for i in range(${N}):
    try: s.send(b'x')
    except PermissionError: n += 1
print(n)`]);
        let out = '';
        child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
        child.once('exit', () => done(Number(out)));
      }),
  );
  const made = (await Promise.all(senders)).reduce((a, b) => a + b, 0);
  assert.equal(made, 2 * N);
  run.child.kill('SIGINT');
  const summary = await run.until('the summary', (l) => l.type === 'summary');
  const counted = incidentsOf(summary).filter((i) => i.cause.id === 'netfilter.rule-drop').reduce((n, i) => n + i.count, 0);
  assert.equal(counted, made);
});

test('rules that share a kernel counter: each has its own packets, floods on two CPUs and a few after them', { skip: notHere }, async () => {
  const rules = [9001, 9002].map((port) => ['OUTPUT', '-p', 'udp', '--dport', String(port), '-j', 'DROP']);
  for (const rule of rules) sh(...inside('iptables', '-A', ...rule));
  const file = `/tmp/whydrop-shared-${process.pid}.whydrop`;
  try {
    const run = start('record', '-o', file, '--json', '--netns', NS);
    await run.until('armed', (l) => l.type === 'armed');
    const send = (cpu: number, port: number, times: number, n: number): Promise<number> =>
      new Promise((done) => {
        const child = spawn('ip', ['netns', 'exec', NS, PYTHON, '-c', `
import os, socket, time
os.sched_setaffinity(0, {${cpu}})
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.1', ${port}))
n = 0
for t in range(${times}):
    for i in range(${n}):
        try: s.send(b'x' * (${port} - 8999))
        except PermissionError: n += 1
    time.sleep(0.1)
print(n)`]);
        let out = '';
        child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
        child.once('exit', () => done(Number(out)));
      });
    const [a, c] = await Promise.all([send(0, 9000, 1, 60_000), send(1, 9002, 1, 45_000)]);
    const b = await send(0, 9001, 4, 25);
    run.child.kill('SIGINT');
    const found = incidentsOf(await run.until('the summary', (l) => l.type === 'summary')).filter((i) => i.cause.id === 'netfilter.rule-drop');
    await run.ended;
    const of = (port: number): number => found.filter((i) => i.culprit.text.includes(`--dport ${port} `)).reduce((n, i) => n + i.count, 0);
    const all = `${of(9000)} of ${a}, ${of(9001)} of ${b}, ${of(9002)} of ${c}`;
    assert.deepEqual([a, b, c], [60_000, 100, 45_000]);
    assert.equal(of(9000) + of(9001) + of(9002), a + b + c, all);
    for (const [port, made] of [[9000, a], [9001, b], [9002, c]] as const) assert.ok(Math.abs(of(port) - made) <= (a + b + c) / 500, all); // whose the last few ms were is reckoned
    // who suffered: each flood's one sender everything, once; the few are not lost in it
    for (const port of [9000, 9002]) assert.deepEqual(found.filter((i) => i.culprit.text.includes(`--dport ${port} `)).flatMap((i) => i.victims.map((v) => [v.errno, v.count])), [['EPERM', of(port)]], all);
    const { stdout } = spawnSync(WHYDROP, ['stats', file, '--by', 'kind,destination_port', '--to', 'json'], { encoding: 'utf8' });
    if (stdout === '') return; // without the optional database
    const rows = stdout.trim().split('\n').map((line) => JSON.parse(line) as { kind: string; drops: string; failed_calls: string; bytes: string; described: string });
    assert.equal(rows.reduce((n, r) => n + Number(r.drops), 0), a + b + c);
    assert.equal(rows.reduce((n, r) => n + Number(r.failed_calls), 0), a + b + c);
    assert.equal(rows.reduce((n, r) => n + Number(r.bytes), 0), a * 29 + b * 30 + c * 31);
    assert.ok(rows.reduce((n, r) => n + Number(r.described), 0) < 5_000);
  } finally {
    for (const rule of rules) sh(...inside('iptables', '-D', ...rule));
    spawnSync('rm', ['-f', file]);
  }
});

test('failed calls without a packet are counted exactly', { skip: notHere }, async () => {
  const run = start('watch', '--json', '--netns', NS);
  await run.until('armed', (l) => l.type === 'armed');
  sh(...inside(PYTHON, '-c', `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(3000):
    try: s.sendto(b'x', ('198.51.100.7', 9))
    except OSError: pass`));
  await run.until('the incident', (l) => l.type === 'incident');
  run.child.kill('SIGINT');
  const summary = await run.until('the summary', (l) => l.type === 'summary');
  assert.deepEqual(incidentsOf(summary).map((i) => [i.cause.id, i.count]), [['route.no-route', 3000]]);
});

test('a reader that goes away ends the run quietly', { skip: notHere }, () => {
  const { status, stderr } = spawnSync('bash', ['-c', `"${WHYDROP}" watch --json --netns ${NS} --for 3s | head -1 > /dev/null; exit \${PIPESTATUS[0]}`], { encoding: 'utf8', timeout: 20_000 });
  assert.equal(status, 0);
  assert.equal(stderr, '');
});

test('why ends with the exit status of the program and explains its refused sends', { skip: notHere }, () => {
  const { status, stderr } = spawnSync(WHYDROP, ['why', '--json', '--', ...inside(PYTHON, '-c', `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(4):
    try: s.sendto(b'x', ('127.0.0.1', 9000))
    except OSError: pass
sys.exit(7)`)], { encoding: 'utf8', timeout: 30_000 });
  assert.equal(status, 7);
  const summary = JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as { incidents: Incident[] };
  assert.deepEqual(summary.incidents.map((i) => [i.cause.id, i.count]), [['netfilter.rule-drop', 4]]);
});

test('a recording replays to the same verdicts, byte for byte', { skip: notHere }, async () => {
  const file = `/tmp/whydrop-test-${process.pid}.whydrop`;
  const run = start('record', '-o', file, '--json', '--netns', NS);
  await run.until('armed', (l) => l.type === 'armed');
  sends(500, 9000);
  sends(5, 9999);
  run.child.kill('SIGINT');
  const live = await run.until('the summary', (l) => l.type === 'summary');
  await run.ended;
  const { stdout, status } = spawnSync(WHYDROP, ['replay', '--json', file], { encoding: 'utf8' });
  assert.equal(status, 0);
  const again = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { incidents: unknown };
  assert.deepEqual(again.incidents, live['incidents']);
  sh('rm', file);
});

test('without privileges: what is missing, how to get it, exit 3', { skip: notHere }, () => {
  // the test's own files may lie where another user cannot read: the runtime and the bundle are handed over
  const { status, stderr } = spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, `${root}dist/whydrop.js`, 'watch', '--for', '1s'], { encoding: 'utf8', cwd: '/' });
  assert.equal(status, 3, stderr);
  assert.match(stderr, /fix: .*root/);
});

test('a wrong argument: one line that names it and the nearest right one, exit 2', () => {
  for (const [args, line] of [
    [['watch', '--netn', 'x'], /--netn.*--netns/s],
    [['wach'], /wach.*watch/s],
    [['watch', '--protocol', 'tpc', '--netns', NS], /tpc; did you mean tcp/],
    [['watch', '--netns', 'no-such-namespace'], /no-such-namespace/],
    [['watch', '--cause', 'netfilter.rule-dorp'], /did you mean netfilter.rule-drop/],
  ] as const) {
    const { status, stderr } = spawnSync(WHYDROP, args, { encoding: 'utf8' });
    assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
    assert.match(stderr, line);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  }
});
