import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { judged } from '../../src/app/judged.ts';
import { chromeTraceOf, csvCell, csvOf, foldedOf, jsonOf, pcapngOf, type Exported } from '../../src/exports/index.ts';
import { readRecording } from '../../src/recording/file.ts';

const root = new URL('../..', import.meta.url).pathname;
const ALL = { pid: [], protocol: [], port: [], address: [], cause: [] };
const open = (name: string): Exported => judged(readRecording(readFileSync(`${root}fixtures/recordings/${name}.whydrop`)).records, ALL, true).exported;
const text = (pieces: Iterable<string>): string => [...pieces].join('');
/** A packet whose names were made up by somebody who means harm. */
const hostile = (exported: Exported): Exported => ({
  ...exported,
  host: { ...exported.host, hostname: '=HYPERLINK("http://x")\u001b[2J' },
  events: exported.events.slice(0, 1).map((e) => ({ ...e, event: { ...e.event, task: { ...e.event.task, comm: '=cmd|\'/c x\';\n"\u202e' }, ...(e.event.kind === 'drop' ? { interface: '</script> ;9', stack: [{ ...e.event.place, name: 'a b;c\n' }] } : {}) } as typeof e.event })),
});

test('pcapng: tshark reads every packet with its stamp, length, comment and interface', (t) => {
  if (spawnSync('tshark', ['-v']).status !== 0) return t.skip('tshark is not installed');
  const dir = mkdtempSync(join(tmpdir(), 'whydrop-export-'));
  try {
    for (const [name, ethernet] of [['no-listener', true], ['rule-drop', false]] as const) {
      const exported = open(name);
      const path = join(dir, `${name}.pcapng`);
      writeFileSync(path, Buffer.concat([...pcapngOf(exported)]));
      const out = execFileSync('tshark', ['-r', path, '-T', 'fields', '-E', 'separator=|', '-e', 'frame.time_epoch', '-e', 'frame.len', '-e', 'frame.interface_name', '-e', 'ip.src', '-e', 'udp.dstport', '-e', 'frame.comment', '-e', 'frame.protocols'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      const lines = out.trim().split('\n').map((l) => l.split('|'));
      const drops = exported.events.filter((e) => e.event.kind === 'drop');
      assert.equal(lines.length, drops.length);
      lines.forEach((fields, i) => {
        const { event, captured } = drops[i]!;
        assert.ok(event.kind === 'drop' && captured !== undefined);
        const wall = event.time + exported.realtimeOffset;
        assert.equal(fields[0], `${wall / 1_000_000_000n}.${String(wall % 1_000_000_000n).padStart(9, '0')}`);
        assert.equal(Number(fields[1]), captured.originalLength + (captured.begins === 'ethernet' ? 0 : 20));
        assert.match(fields[2]!, /^wdxb\//);
        if (event.packet.ip?.version === 4) {
          assert.equal(fields[3], event.packet.ip.source);
          assert.equal(Number(fields[4]), event.packet.transport?.kind === 'udp' ? event.packet.transport.destinationPort : -1);
          assert.match(fields[6]!, ethernet ? /^eth:/ : /^sll:/);
        }
        assert.match(fields[5]!, new RegExp(`reason ${event.reason.name} in .*cause `));
      });
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('csv: one line an event, and nothing that a spreadsheet would run', () => {
  const lines = text(csvOf(open('rule-drop'))).split('\r\n');
  assert.equal(lines.length, open('rule-drop').events.length + 2);
  assert.match(lines[1]!, /^2026-\d\d-\d\dT[\d:]{8}\.\d{9}Z,\d{19},drop,\w+,netfilter\.rule-drop,/);
  for (const start of ['=', '+', '-', '@', '|', ' =', '\uff1d']) assert.match(csvCell(`${start}1+1`), /^"?'/, start);
  assert.equal(csvCell('a"b,c'), '"a""b,c"');
  assert.equal(csvCell('\t=1'), '\\x09=1');
  assert.equal(csvCell(-5), '-5');
  const made = text(csvOf(hostile(open('rule-drop'))));
  assert.equal(made.split('\r\n').length, 3);
  assert.ok(!/[\u0000-\u0008\u000b-\u001f\u202e]/.test(made.replaceAll('\r\n', '')));
  assert.ok(made.includes(`"'=cmd|`));
});

test('json: the incidents of the contract and every event', () => {
  const exported = open('rcvbuf-full');
  const whole = JSON.parse(text(jsonOf(exported))) as { incidents: unknown; events: readonly { kind: string; head?: string; cause?: string; time_ns: string; packet?: { ip?: unknown } }[] };
  assert.deepEqual(whole.incidents, JSON.parse(JSON.stringify(exported.incidents)));
  assert.equal(whole.events.length, exported.events.length);
  assert.ok(whole.events.every((e) => e.kind !== 'drop' || (e.head !== undefined && /^([0-9a-f]{2})+$/.test(e.head))));
  assert.ok(whole.events.some((e) => e.cause === 'socket.rcvbuf-full'));
  assert.ok(!/[\u001b\u202e<]/.test(text(jsonOf(hostile(exported)))));
});

test('folded: a stack a line, callers first, the count last', () => {
  const exported = open('rule-drop');
  const lines = text(foldedOf(exported)).trim().split('\n');
  assert.match(lines[0]!, /^netfilter\.rule-drop;entry_SYSCALL_64_after_hwframe;.*;nf_hook_slow;.*nft_do_chain 40$/);
  assert.equal(lines.reduce((n, l) => n + Number(l.slice(l.lastIndexOf(' ') + 1)), 0), exported.events.filter((e) => e.event.kind === 'drop').length);
  const made = text(foldedOf(hostile(exported))).trim();
  assert.match(made, /^[^\s;]+;a_b_c\\x0a 1$/);
});

test('perfetto: every event is of the Trace Event Format', () => {
  for (const exported of [open('rule-drop'), hostile(open('no-listener'))]) {
    const trace = JSON.parse(text(chromeTraceOf(exported))) as { traceEvents: readonly Record<string, unknown>[]; displayTimeUnit: string };
    assert.equal(trace.displayTimeUnit, 'ns');
    for (const e of trace.traceEvents) {
      assert.equal(typeof e['pid'], 'number');
      assert.equal(typeof e['name'], 'string');
      switch (e['ph']) {
        case 'M': assert.equal(typeof (e['args'] as { name: unknown }).name, 'string'); break;
        case 'i': assert.ok(e['s'] === 't' && typeof e['ts'] === 'number' && typeof e['tid'] === 'number' && typeof e['cat'] === 'string'); break;
        case 'X': assert.ok(typeof e['ts'] === 'number' && typeof e['dur'] === 'number' && e['dur'] >= 0); break;
        case 'C': assert.ok(Object.values(e['args'] as object).every((v) => typeof v === 'number')); break;
        default: assert.fail(`phase ${String(e['ph'])}`);
      }
    }
    assert.equal(trace.traceEvents.filter((e) => e['ph'] === 'i').length, exported.events.length);
  }
  const exported = open('rule-drop');
  const text0 = text(chromeTraceOf(exported));
  const first = exported.events[0]!.event.time;
  assert.ok(text0.includes(`"ts":${first / 1000n}.${String(first % 1000n).padStart(3, '0')}`), 'to the nanosecond');
});
