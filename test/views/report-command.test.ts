import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { judged } from '../../src/app/judged.ts';
import { reportInput, timelineOf } from '../../src/app/report.ts';
import type { Exported, ExportedEvent } from '../../src/exports/index.ts';
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

test('what is drawn adds up to what the verdicts say, sampled or not, and only losses are drawn', () => {
  for (const name of ['rule-drop', 'rcvbuf-full', 'no-listener', 'insert-race-flood']) {
    const input = of(name);
    for (const { cause, counts } of input.timeline!.series) {
      const told = input.incidents.filter((i) => i.cause.id === cause).reduce((n, i) => n + i.count, 0);
      assert.equal(counts.reduce((a, b) => a + b, 0), told, `${name} ${cause}`);
    }
  }
  // a call that failed beside a loss, and is no loss of its own
  const event = (kind: string, ms: number, incident?: { id: string; cause: string }) => ({ event: { kind, netns: 1, time: BigInt(ms) * 1_000_000n }, ...(incident === undefined ? {} : { incident }) }) as unknown as ExportedEvent;
  const race = { id: 'a', cause: 'conntrack.insert-race' };
  const incidents = [{ id: 'a', cause: { id: race.cause }, where: { netns: { inode: 1 } }, count: 10 }] as unknown as Exported['incidents'];
  const drawn = timelineOf({ events: [event('drop', 1, race), event('call', 1, race), event('call', 2), event('drop', 900, race), event('drop', 950, race)], incidents }, 0n, 1_000_000_000n);
  assert.deepEqual(drawn?.series.map((s) => [s.cause, s.counts.filter((n) => n > 0)]), [['conntrack.insert-race', [3, 4, 3]]]);
});

test('a flood of races is drawn, though its events were told two seconds late', () => {
  const input = of('insert-race-flood');
  const diagram = input.diagrams?.get(input.incidents[0]!.id);
  assert.ok(diagram !== undefined);
  assert.ok(diagram.messages.some((x) => /^inserts udp 192\.168\.77\.11:\d+ . 192\.168\.77\.20:5355 first$/.test(x.text) && x.time === undefined));
  assert.ok(diagram.messages.some((x) => x.kind === 'lost' && x.text === 'same translated tuple: taken'));
});

test('the page asks for nothing and runs nothing', () => {
  const page = renderReport(of('rule-drop'));
  assert.ok(page.includes('A firewall rule dropped it') && page.includes('nft delete rule inet filter output handle 2'));
  assert.ok(!/<script|https?:\/\/(?!www\.w3\.org)|<link|<img/i.test(page));
});
