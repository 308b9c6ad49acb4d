import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { DEFAULT_PAGE_LAYOUT, parseHeaderPage, type PageLayout } from '../../src/formats/header-page.ts';
import { parseEventFormat, readBig, readNumber, type EventFormat } from '../../src/formats/event-format.ts';
import { readRingPage, type RingPage } from '../../src/formats/ring-page.ts';
import { fuzzBytes, fuzzText } from '../fuzz/fuzz.ts';

/*
 * Of three kernels. drops: a buffer read with long pauses between its events (time extends); lost: an 8 KiB buffer that was
 * overrun 691 times. `.pages` are trace_pipe_raw, `.trace` is the text that the kernel made of the same buffer.
 */
const folder = new URL('../../fixtures/tracefs/', import.meta.url);
const text = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
const pagesOf = (name: string): { cpu: number; bytes: Uint8Array }[] => text(name).trimEnd().split('\n').map((line) => {
  const [, cpu, hex] = line.split(' ');
  return { cpu: Number(cpu), bytes: Uint8Array.from(Buffer.from(hex!, 'hex')) };
});
const formatsOf = (version: string): Map<number, EventFormat> => new Map(['kfree_skb', 'kernel_stack', 'sys_exit_sendto'].map((name) => {
  const format = parseEventFormat(text(`${name}-${version}.format`));
  return [format.id, format] as const;
}));

interface Line { readonly name: string; readonly cpu: number; readonly micros: bigint; readonly tid: number; readonly rest: string; readonly frames: number }

/** The kernel's own text: one entry an event. */
function linesOf(trace: string): Line[] {
  const lines: { name: string; cpu: number; micros: bigint; tid: number; rest: string; frames: number }[] = [];
  for (const line of trace.split('\n')) {
    const m = /^ *\S+-(\d+) +\[(\d+)\] \S+ +(\d+)\.(\d{6}): (?:(kfree_skb|sys_sendto)(?::| ->) ?(.*)|<stack trace>)$/.exec(line);
    if (m !== null) lines.push({ tid: Number(m[1]), cpu: Number(m[2]), micros: BigInt(m[3]! + m[4]!), name: m[5] === undefined ? 'kernel_stack' : m[5] === 'sys_sendto' ? 'sys_exit_sendto' : m[5], rest: m[6] ?? '', frames: 0 });
    else if (line.startsWith(' => ')) lines.at(-1)!.frames++;
  }
  return lines;
}

for (const [name, version] of ['6.1', '6.12', '6.18'].flatMap((v) => [[`drops-${v}`, v], [`lost-${v}`, v]] as const)) {
  test(`${name}: each event of the pages is the line that the kernel printed`, () => {
    const lines = linesOf(text(`${name}.trace`));
    const formats = formatsOf(version);
    assert.ok(lines.length >= 20);
    let i = 0;
    for (const { cpu, bytes } of pagesOf(`${name}.pages`)) {
      const view = new DataView(bytes.buffer);
      const stamp = view.getBigUint64(0, true);
      const page = readRingPage(bytes, (at, length, delta) => {
        const line = lines[i++]!;
        const format = formats.get(view.getUint16(at, true));
        assert.equal(format?.name, line.name, `event ${i}`);
        assert.equal(cpu, line.cpu);
        const nanos = stamp + BigInt(delta);
        assert.equal((nanos + 500n) / 1000n, line.micros, `time of event ${i}`); // the kernel rounds
        assert.equal(view.getInt32(at + 4, true), line.tid);
        if (line.name === 'kfree_skb') {
          const reason = readNumber(view, at, length, format!.fields.get('reason'));
          assert.match(line.rest, new RegExp(`protocol=${readNumber(view, at, length, format!.fields.get('protocol'))} .*reason: ${format!.names.get('reason')!.get(reason!)}$`));
        } else if (line.name === 'sys_exit_sendto') assert.equal(readBig(view, at, length, format!.fields.get('ret')), -1n);
        else {
          assert.equal(readNumber(view, at, length, format!.fields.get('size')), line.frames);
          assert.equal(length, 16 + 8 * line.frames);
        }
      });
      assert.equal(page.status, 'ok');
      assert.equal(page.timestamp, stamp);
    }
    assert.equal(i, lines.length);
  });
}

test('events overwritten before a page are counted on it', () => {
  for (const version of ['6.1', '6.12', '6.18']) {
    const pages = pagesOf(`lost-${version}.pages`).map(({ bytes }) => readRingPage(bytes, () => undefined));
    assert.deepEqual(pages.map((p) => p.lost), [691, 0, 0], version);
    assert.equal(pages.reduce((sum, p) => sum + p.events, 0), 109, version);
  }
  const [first] = pagesOf('lost-6.18.pages');
  const cut = first!.bytes.subarray(0, first!.bytes.length - 8);
  assert.equal(readRingPage(cut, () => undefined).lost, 'unknown', 'flagged as stored, but not there');
});

/** A page of 32-bit words as little endian writes them. */
function page(layout: PageLayout, timestamp: bigint, words: readonly number[], commit = words.length * 4): Uint8Array {
  const bytes = new Uint8Array(layout.data + words.length * 4);
  const view = new DataView(bytes.buffer);
  const le = layout.littleEndian;
  view.setBigUint64(0, timestamp, le);
  if (layout.commitSize === 8) view.setBigUint64(8, BigInt(commit), le);
  else view.setUint32(8, commit, le);
  words.forEach((w, i) => view.setUint32(layout.data + i * 4, w >>> 0, le));
  return bytes;
}

const head = (type: number, delta: number): number => type + delta * 32;

function events(bytes: Uint8Array, layout = DEFAULT_PAGE_LAYOUT): { page: RingPage; seen: string[] } {
  const seen: string[] = [];
  const result = readRingPage(bytes, (at, length, delta) => void seen.push(`${at - layout.data}+${length}@${delta}`), layout);
  return { page: result, seen };
}

test('every kind of event header', () => {
  const l = DEFAULT_PAGE_LAYOUT;
  const day = 86_400_000_000_000;
  const cases: readonly (readonly [what: string, words: readonly number[], seen: readonly string[], status: RingPage['status']])[] = [
    ['small data', [head(2, 5), 1, 2, head(1, 7), 3], ['4+8@5', '16+4@12'], 'ok'],
    ['large data (type_len 0), rounded up to words', [head(0, 1), 4 + 6, 1, 2, head(1, 1), 9], ['8+6@1', '20+4@2'], 'ok'],
    ['8-byte alignment: type_len 0 also for small data', [head(0, 1), 12, 1, 2, head(0, 2), 12, 3, 4], ['8+8@1', '24+8@3'], 'ok'],
    ['time extend', [head(30, 3), 2, head(1, 1), 0], [`12+4@${2 * 2 ** 27 + 4}`], 'ok'],
    ['padding to the end', [head(1, 1), 0, head(29, 0), 0xdeadbeef], ['4+4@1'], 'ok'],
    ['a discarded event: its time counts', [head(29, 9), 8, 0, head(1, 1), 0], ['16+4@10'], 'ok'],
    ['nothing', [], [], 'ok'],
    ['cut payload', [head(4, 1), 0], [], 'cut-event'],
    ['cut header', [head(1, 1), 7, head(0, 1)], ['4+4@1'], 'cut-event'],
    ['length below its own field', [head(0, 1), 3, 0], [], 'bad-length'],
    ['discarded, impossible length', [head(29, 1), 0, 0], [], 'bad-length'],
    ['zeros to the end', [head(1, 1), 7, 0, 0, 0, 0], ['4+4@1'], 'zero-tail'],
  ];
  for (const [what, words, seen, status] of cases) {
    const r = events(page(l, 1000n, words));
    assert.deepEqual([r.seen, r.page.status], [seen, status], what);
    assert.equal(r.page.events, seen.length, what);
  }
  // absolute: 59 bits of the stamp are in the event, the top five are the page's
  const stamp = (5n << 59n) + 1_000_000n;
  const low = 1_000_000 + day;
  const absolute = events(page(l, stamp, [head(31, low % 2 ** 27), Math.floor(low / 2 ** 27), head(1, 4), 0]));
  assert.deepEqual(absolute.seen, [`12+4@${day + 4}`]);
  // and the low 59 bits may have wrapped since the page began
  const wrapped = events(page(l, (6n << 59n) - 10n, [head(31, 20), 0, head(1, 0), 0]));
  assert.deepEqual(wrapped.seen, ['12+4@30']);
});

test('pages of other machines: 32-bit, big-endian, 64 KiB', () => {
  const narrow = parseHeaderPage('\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\tfield: local_t commit;\toffset:8;\tsize:4;\tsigned:1;\n\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\tfield: char data;\toffset:12;\tsize:4084;\tsigned:1;\n');
  assert.equal(narrow.status, 'ok');
  assert.deepEqual(events(page(narrow.layout, 1n, [head(1, 5), 0]), narrow.layout).seen, ['4+4@5']);
  const big: PageLayout = { ...DEFAULT_PAGE_LAYOUT, littleEndian: false };
  assert.deepEqual(events(page(big, 1n, [(1 * 2 ** 27) + 5, 0, 2 ** 27 * 30 + 3, 2, 2 ** 27 + 1, 7]), big).seen, ['4+4@5', `20+4@${5 + 2 * 2 ** 27 + 3 + 1}`]);
  const large = parseHeaderPage(text('header_page-6.18').replace('size:4080', 'size:65520')).layout;
  const words = Array.from({ length: 16000 }, (_, i) => i % 2 === 0 ? head(1, 1) : i);
  assert.equal(events(page(large, 0n, words), large).page.events, 8000);
});

test('the real header_page and header_event; nonsense gives the default and says so', () => {
  for (const v of ['6.1', '6.12', '6.18']) assert.deepEqual(parseHeaderPage(text(`header_page-${v}`), text(`header_event-${v}`)), { layout: DEFAULT_PAGE_LAYOUT, status: 'ok' });
  for (const bad of ['', 'field: u64 timestamp; offset:0; size:8;', text('header_page-6.18').replace('offset:16', 'offset:4'), text('header_page-6.18').replace('size:4080', 'size:0')]) {
    assert.deepEqual(parseHeaderPage(bad), { layout: DEFAULT_PAGE_LAYOUT, status: 'incomplete' }, bad);
  }
  fuzzText({ seeds: [text('header_page-6.18')], rounds: 500, decode: (t) => parseHeaderPage(t, t) });
});

test('any bytes: ends, stays within the page, says the same twice', () => {
  const seeds = [...pagesOf('drops-6.18.pages'), ...pagesOf('lost-6.18.pages')].map((p) => p.bytes);
  fuzzBytes({
    seeds, rounds: 3000,
    decode: (bytes) => {
      const seen: number[] = [];
      const result = readRingPage(bytes, (at, length, delta) => {
        assert.ok(at >= 16 && length >= 0 && at + length <= bytes.length, `${at}+${length} of ${bytes.length}`);
        seen.push(at, length, delta);
      });
      assert.ok(result.events <= bytes.length / 4);
      return [result, seen];
    },
  });
});

test('fast enough for any flood: more than five million events a second on a quiet machine, half a million on a busy one', () => {
  const bytes = pagesOf('lost-6.18.pages')[0]!.bytes;
  let count = 0;
  let best = 0;
  for (let round = 0; round < 20; round++) {
    const start = performance.now();
    count = 0;
    for (let i = 0; i < 2000; i++) readRingPage(bytes, () => { count++; });
    best = Math.max(best, count / (performance.now() - start) * 1000);
  }
  assert.ok(best > 500_000, `${Math.round(best)} events a second`);
});
