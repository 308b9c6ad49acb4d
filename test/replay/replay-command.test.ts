import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { replay } from '../../src/app/replay.ts';
import { within, type Span } from '../../src/app/within.ts';
import type { Incident } from '../../src/model/incident.ts';
import { readRecording } from '../../src/recording/file.ts';

const root = new URL('../..', import.meta.url).pathname;
const file = `${root}fixtures/recordings/shared-counter.whydrop`;
const { records } = readRecording(readFileSync(file));
const NOTHING = { pids: [], protocols: [], ports: [], addresses: [] };
const part = (span: Span): readonly Incident[] => replay(within(records, span), { filter: NOTHING, onlyCauses: [] })!.incidents;
const lost = (span: Span): number => part(span).reduce((n, i) => n + i.count, 0);

test('--from and --to: parts add up to the whole, exact counts too', () => {
  const whole = lost({});
  assert.equal(whole, 8000);
  const host = records[0]!.time;
  // between two readings a packet that is described belongs to the part that it was sent in, one that was counted to that of the reading
  const readings = records.filter((r) => r.record === 'drop-counts').map((r) => Number(r.time - host) / 1e6);
  for (const cut of [readings[2]!, readings[5]!, readings[9]!]) {
    const [before, after] = [lost({ to: cut }), lost({ from: cut + 1e-3 })];
    assert.ok(before > 0 && after > 0 && Math.abs(before + after - whole) <= 3, `${before} + ${after} at ${cut} ms`);
  }
  assert.equal(lost({ from: 60_000 }), 0);
  assert.deepEqual(part({ from: 0, to: 60_000 }), part({}));
});

const run = (...args: string[]): { readonly lines: readonly Record<string, unknown>[]; readonly ms: number } => {
  const from = performance.now();
  const { stdout, status, stderr } = spawnSync(process.execPath, [`${root}src/app/main.ts`, 'replay', '--json', file, ...args], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return { lines: stdout.trim().split('\n').map((l) => JSON.parse(l) as Record<string, unknown>), ms: performance.now() - from };
};
/** All but what the replay itself cost. */
const said = (lines: readonly Record<string, unknown>[]): readonly unknown[] => lines.map(({ cost: _, ...line }) => line);

test('--speed: the same lines, as they came', () => {
  const atOnce = run();
  const slowly = run('--speed', '2');
  assert.deepEqual(said(slowly.lines), said(atOnce.lines));
  assert.ok(atOnce.lines.length >= 4 && atOnce.lines.at(-1)?.['type'] === 'summary');
  // the last verdict came some four seconds after the recording began
  assert.ok(slowly.ms > 1_500, `${slowly.ms} ms`);
});

test('filters are those of watch: samples of the flow, incidents of the cause', () => {
  const incidents = (...args: string[]): readonly Incident[] => (run(...args).lines.at(-1) as unknown as { incidents: readonly Incident[] }).incidents;
  assert.deepEqual(incidents('--port', '53').map((i) => [i.cause.id, i.count]), [['netfilter.rule-drop', 38]]);
  assert.deepEqual(incidents('--cause', 'socket'), []);
  assert.equal(incidents('--cause', 'netfilter').length, 2);
});
