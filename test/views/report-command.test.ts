import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { judged } from '../../src/app/judged.ts';
import { reportInput } from '../../src/app/report.ts';
import { readRecording } from '../../src/recording/file.ts';
import { renderReport } from '../../src/views/html/index.ts';

const root = new URL('../..', import.meta.url).pathname;
const ALL = { pid: [], protocol: [], port: [], address: [], cause: [] };
const of = (name: string) => reportInput(judged(readRecording(readFileSync(`${root}fixtures/recordings/${name}.whydrop`)).records, ALL));

test('a report of a recording: time line, counters, stacks, probes', () => {
  const input = of('rcvbuf-full');
  assert.equal(input.incidents[0]?.cause.id, 'socket.rcvbuf-full');
  const series = input.timeline?.series.find((s) => s.cause === 'socket.rcvbuf-full');
  assert.equal(series?.counts.reduce((a, b) => a + b, 0), input.incidents[0]?.count);
  assert.ok(input.counters !== undefined && input.stacks !== undefined);
  assert.ok(input.stacks.some((s) => s.cause === 'socket.rcvbuf-full' && s.frames[0] === 'udp_queue_rcv_one_skb' && s.count === 57));
  assert.ok(input.probes.length > 0 && input.probes.every((p) => p.state === 'armed'));
  assert.ok(Date.parse(input.to) > Date.parse(input.from));
});

test('a call that failed because of a drop is not counted beside its packet', () => {
  const input = of('rule-drop');
  const series = input.timeline?.series.find((s) => s.cause === 'netfilter.rule-drop');
  assert.equal(series?.counts.reduce((a, b) => a + b, 0), 40);
});

test('the page asks for nothing and runs nothing', () => {
  const page = renderReport(of('rule-drop'));
  assert.ok(page.includes('A firewall rule dropped it') && page.includes('nft delete rule inet filter output handle 2'));
  assert.ok(!/<script|https?:\/\/(?!www\.w3\.org)|<link|<img/i.test(page));
});
