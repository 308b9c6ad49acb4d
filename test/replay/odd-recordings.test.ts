/* What every command that reads a recording says of one that is empty, cut, of counters alone, or not there. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeRecording } from '../../src/app/write-recording.ts';
import { readRecording } from '../../src/recording/file.ts';

const root = new URL('../..', import.meta.url).pathname;
const fixture = `${root}fixtures/recordings/shared-counter.whydrop`;
const folder = mkdtempSync(join(tmpdir(), 'whydrop-odd-'));
after(() => rmSync(folder, { recursive: true }));

const run = (...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } => spawnSync(process.execPath, [`${root}src/app/main.ts`, ...args], { encoding: 'utf8' });
const made = (name: string, bytes: Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};
const installed = await import('@duckdb/node-api').then(() => true, () => false);
const commands = (path: string): readonly (readonly string[])[] => [
  ['replay', path], ['replay', '--json', path], ['report', path, '-o', '-'], ['export', path, '--to', 'csv'], ['export', path, '--to', 'folded'],
  ...(installed ? [['stats', path], ['query', path, 'SELECT count(*) FROM counted']] : []),
];

const bytes = readFileSync(fixture);
for (const [name, content, words] of [
  ['empty', Buffer.alloc(0), /is empty$/m],
  ['header-only', bytes.subarray(0, 22), /holds no records/],
  ['cut-in-first-chunk', bytes.subarray(0, 60), /ends in the middle[^]*holds no records/],
  ['something-else', Buffer.from([0, 1, 2, 3]), /is not a recording/],
] as const) {
  test(`${name}: one line of words, exit 2`, () => {
    const path = made(name, content);
    for (const args of [['replay', path], ['report', path, '-o', '-'], ['export', path, '--to', 'csv'], ['stats', path]]) {
      const { status, stdout, stderr } = run(...args);
      assert.equal(status, 2, args.join(' '));
      assert.equal(stdout, '', args.join(' '));
      assert.match(stderr, words, args.join(' '));
    }
  });
}

test('counters alone: nothing is called nothing, all is counted, exit 0', () => {
  const { records } = readRecording(bytes);
  const path = join(folder, 'counters');
  writeRecording(path, records.filter((r) => ['host', 'symbols', 'drop-counts', 'call-counts', 'tick', 'probe'].includes(r.record)));
  const all = commands(path).map((args) => run(...args));
  for (const { status, stderr } of all) assert.equal(status, 0, stderr);
  const [plain, json, page] = all;
  assert.match(plain!.stdout, /^8,000 packets dropped and only counted: why is not known/);
  assert.equal((JSON.parse(json!.stdout) as { loss: { count: number }[] }).loss[0]?.count, 8000);
  assert.match(page!.stdout, /<h1>8,000 packets dropped and only counted/);
  if (!installed) return;
  assert.match(run('stats', path).stdout, /^not described +8000 +0 +544000 /m);
  assert.match(run('stats', path, '--by', 'reason', '--to', 'json').stdout, /"reason":"NETFILTER_DROP","drops":"8000"/);
});

test('a host and nothing else: nothing was lost, exit 0', () => {
  const path = join(folder, 'host');
  writeRecording(path, readRecording(bytes).records.filter((r) => r.record === 'host'));
  for (const args of commands(path)) assert.equal(run(...args).status, 0, args.join(' '));
  assert.match(run('replay', path).stdout, /^Nothing was lost that matters/);
});

test('cut in the middle: what is whole is used, and it is said, exit 0', () => {
  const path = join(folder, 'whole');
  const { records } = readRecording(bytes);
  writeRecording(path, [...records.slice(0, -1), ...records.slice(0, 400).flatMap((r) => (r.record === 'answer' ? [r] : [])), ...records.slice(-1)]);
  const whole = readFileSync(path);
  const cut = made('cut', whole.subarray(0, whole.length - 200));
  for (const args of commands(cut)) {
    const { status, stderr } = run(...args);
    assert.match(stderr, /ends in the middle: what is whole is used/, args.join(' '));
    assert.equal(status, 0, args.join(' '));
  }
  assert.match(run('replay', cut).stdout, /A firewall rule dropped it/);
});
