/* What `record` leaves behind, however it ends: SIGKILL, a full disk, a size, a black box. Needs root, iptables, python3. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { judged } from '../../src/app/judged.ts';
import { readRecording } from '../../src/recording/file.ts';
import { lab, skip, type Lab } from './bpf-lab.ts';

const main = new URL('../../src/app/main.ts', import.meta.url).pathname;
const ALL = { pid: [], protocol: [], port: [], address: [], cause: [] };
const folder = mkdtempSync(join(tmpdir(), 'whydrop-record-'));
let ns: Lab;
before(() => {
  if (skip !== false) return;
  ns = lab('record');
  ns.run('iptables', '-A', 'OUTPUT', '-p', 'udp', '--dport', '9000', '-j', 'DROP');
});
after(() => {
  ns?.remove();
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  readonly said: () => string;
  until(what: RegExp): Promise<void>;
}

function run(command: string, ...args: string[]): Run {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (b: Buffer) => (said += b.toString()));
  const ended = new Promise<number | null>((done) => child.once('close', done));
  return {
    child, ended, said: () => said,
    until: async (what) => {
      for (const deadline = performance.now() + 20_000; !what.test(said); await sleep(20)) assert.ok(performance.now() < deadline && child.exitCode === null, `${what} never came: ${said}`);
    },
  };
}
const record = (...args: string[]): Run => run(process.execPath, main, 'record', '--json', '--netns', ns.name, ...args);

/** Refused datagrams, so many a time. */
const send = (times: number, each = 1, pause = 0): Promise<unknown> => ns.python(`
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(${times}):
  for j in range(${each}):
    try: s.sendto(b'x' * 30, ('127.0.0.1', 9000))
    except PermissionError: pass
  time.sleep(${pause})
`);

/** 300 flows of one packet each, none like the other: all are described. */
const flows = (): Promise<unknown> => ns.python(`
import os, socket, time
for flow in range(300):
  s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
  try: s.sendto(os.urandom(120), ('127.0.0.1', 9000))
  except PermissionError: pass
  s.close()
time.sleep(0.3)
`);

const read = (path: string): { readonly status: string; readonly count: number; readonly samples: number } => {
  const { records, status } = readRecording(readFileSync(path));
  const { exported } = judged(records, ALL);
  return { status, count: exported.incidents.find((i) => i.cause.id === 'netfilter.rule-drop')?.count ?? 0, samples: exported.events.filter((e) => e.event.kind === 'drop').length };
};

test('SIGKILL: everything up to the last second is there, with the same verdict', { skip, timeout: 60_000 }, async () => {
  const path = join(folder, 'killed');
  const r = record('-o', path);
  await r.until(/"armed"/);
  await send(30);
  await sleep(1_300);
  r.child.kill('SIGKILL');
  await r.ended;
  assert.deepEqual(read(path), { status: 'complete', count: 30, samples: 30 });
});

test('a replay writes the stream of the live run, byte for byte, but for what it cost', { skip, timeout: 60_000 }, async () => {
  const path = join(folder, 'stream');
  const r = record('-o', path);
  await r.until(/"armed"/);
  await send(10, 300, 0.05);
  await flows();
  await sleep(1_500);
  r.child.kill('SIGINT');
  assert.equal(await r.ended, 0, r.said());
  const { stdout, status } = spawnSync(process.execPath, [main, 'replay', '--json', path], { encoding: 'utf8' });
  assert.equal(status, 0);
  const verdicts = (text: string): readonly string[] => text.split('\n').filter((l) => /^\{"type":"(incident|summary)"/.test(l)).map((l) => l.replace(/,"cost":\{[^}]*\}\}$/, '}'));
  assert.ok(verdicts(r.said()).length >= 3);
  assert.deepEqual(verdicts(stdout), verdicts(r.said()));
});

test('--max-size: a flood stays below it, the count is exact', { skip, timeout: 90_000 }, async () => {
  const path = join(folder, 'small');
  const r = record('-o', path, '--max-size', '64k');
  await r.until(/"armed"/);
  let largest = 0;
  const timer = setInterval(() => (largest = existsSync(path) ? Math.max(largest, statSync(path).size) : 0), 50);
  for (let round = 0; round < 10; round++) await flows();
  await send(20, 150, 0.03);
  clearInterval(timer);
  r.child.kill('SIGINT');
  assert.equal(await r.ended, 0, r.said());
  const { records } = readRecording(readFileSync(path));
  assert.ok(records.some((x) => x.record === 'missed' && x.source === 'recording'), 'it was thinned, and says so');
  assert.equal(read(path).count, 10 * 300 + 20 * 150);
  assert.ok(largest < 128_000, `${largest} bytes`);
});

test('--ring: written when an incident forms, and on SIGUSR1; each time whole', { skip, timeout: 60_000 }, async () => {
  const path = join(folder, 'ring');
  const r = record('-o', path, '--ring', '10m');
  await r.until(/"armed"/);
  await sleep(500);
  assert.ok(!existsSync(path), 'nothing happened: nothing is written');
  r.child.kill('SIGUSR1');
  for (let i = 0; !existsSync(path); i++, await sleep(50)) assert.ok(i < 100, 'SIGUSR1 writes');
  assert.deepEqual([read(path).status, read(path).count], ['complete', 0]);
  await send(5);
  await r.until(/netfilter\.rule-drop/);
  await send(20);
  r.child.kill('SIGINT');
  assert.equal(await r.ended, 0, r.said());
  assert.deepEqual(read(path), { status: 'complete', count: 25, samples: 25 }, 'what came after the first words is in it, too');

  const formed = join(folder, 'formed');
  const again = record('-o', formed, '--ring', '10m');
  await again.until(/"armed"/);
  await send(5);
  for (let i = 0; !existsSync(formed); i++, await sleep(50)) assert.ok(i < 100, 'an incident writes');
  assert.ok(read(formed).count > 0);
  again.child.kill('SIGINT');
  await again.ended;
});

test('a full disk: the fact and the fix, exit 3, what was written is readable; watch --record goes on watching', { skip: skip !== false ? skip : existsSync('/usr/bin/unshare') ? false : 'needs unshare', timeout: 90_000 }, async () => {
  // a file system of 64 KiB, seen by this process alone; what is left is copied out of it
  const small = (name: string, command: string): Run => run('unshare', '--mount', '--propagation', 'private', 'sh', '-c', `mkdir -p "$0" && mount -t tmpfs -o size=64k none "$0" && ${command}; code=$?; cp "$0/a" "$0.copy"; exit $code`, join(folder, name));
  const endless = async (until: () => boolean): Promise<void> => {
    for (let i = 0; i < 40 && !until(); i++) await flows();
  };
  const r = small('disk', `'${process.execPath}' '${main}' record --json --netns ${ns.name} -o "$0/a"`);
  await r.until(/"armed"/);
  await endless(() => r.child.exitCode !== null);
  assert.equal(await r.ended, 3, r.said());
  assert.match(r.said(), /writing .*\/disk\/a: ENOSPC; what was recorded until then is in the file\n {2}fix: make room/);
  assert.doesNotMatch(r.said(), /bug of ours/);
  const left = read(join(folder, 'disk.copy'));
  assert.ok(left.status === 'complete' && left.count > 0, JSON.stringify(left));

  const w = small('watched', `'${process.execPath}' '${main}' watch --json --netns ${ns.name} --record "$0/a" --for 14s`);
  await w.until(/"armed"/);
  await endless(() => /ENOSPC/.test(w.said()) || w.child.exitCode !== null);
  assert.equal(await w.ended, 3, w.said());
  assert.match(w.said(), /ENOSPC/);
  assert.match(w.said().trim().split('\n').findLast((l) => l.startsWith('{')) ?? '', /"type":"summary".*netfilter\.rule-drop/, 'it watched to its end');
});

test('the outputs of recordings: a disk that is full is no bug', { skip }, () => {
  const fixture = new URL('../../fixtures/recordings/rule-drop.whydrop', import.meta.url).pathname;
  for (const args of [['export', fixture, '--to', 'csv', '-o', '/dev/full'], ['report', fixture, '-o', '/dev/full'], ['stats', fixture, '--to', 'csv', '-o', '/dev/full']]) {
    const { status, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
    assert.equal(status, 3, stderr);
    assert.match(stderr, /writing \/dev\/full: ENOSPC/);
  }
});
