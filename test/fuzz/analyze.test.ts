import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { analyse } from '../../src/app/analyze/judge.ts';
import { recogniseEvidence } from '../../src/formats/evidence-file.ts';

const root = new URL('../../fixtures/analyze/', import.meta.url).pathname;
const TEXTS = readdirSync(root, { recursive: true, withFileTypes: true }).filter((f) => f.isFile()).map((f) => readFileSync(`${f.parentPath}/${f.name}`, 'utf8'));
const LINES = [...new Set(TEXTS.flatMap((t) => t.split('\n')))];

/** A text made of real lines, cut, doubled, spliced, with single characters changed. */
const text = fc.array(
  fc.oneof(
    fc.constantFrom(...LINES),
    fc.tuple(fc.constantFrom(...LINES), fc.constantFrom(...LINES), fc.nat(200), fc.nat(200)).map(([a, b, i, j]) => a.slice(0, i) + b.slice(j)),
    fc.tuple(fc.constantFrom(...LINES), fc.nat(120), fc.string({ minLength: 1, maxLength: 3 })).map(([a, i, s]) => a.slice(0, i) + s + a.slice(i + 1)),
    fc.string({ maxLength: 60 }),
  ),
  { maxLength: 60 },
).map((lines) => lines.join('\n'));

test('text of any kind is read to its end: nothing throws, each line belongs to one reader at most', () => {
  fc.assert(
    fc.property(text, (t) => {
      const file = recogniseEvidence('fuzz.txt', t);
      assert.ok(file.unread >= 0 && file.unread <= file.lines);
      for (const part of file.parts) for (const record of part.records) assert.ok(record.line >= 1 && record.line <= t.split('\n').length);
    }),
    { numRuns: 3000 },
  );
});

test('whole analyses of damaged evidence end with verdicts that are in order', () => {
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), (files) => {
      const { incidents } = analyse(files.map((t, i) => recogniseEvidence(`f${i}.txt`, t)));
      for (const incident of incidents) {
        assert.ok(incident.confidence >= 0 && incident.confidence <= 1);
        assert.ok(incident.count >= 0 && !Number.isNaN(Date.parse(incident.first)) && incident.first <= incident.last, `${incident.first} ${incident.last}`);
      }
    }),
    { numRuns: 1500 },
  );
});

test('a whole incident with lines lost, doubled and moved', () => {
  const whole = readdirSync(`${root}openvpn-6.1`).map((name) => [name, readFileSync(`${root}openvpn-6.1/${name}`, 'utf8').split('\n')] as const);
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 60 }), (seed, percent) => {
      let state = seed;
      const random = (): number => ((state = (Math.imul(state, 1_103_515_245) + 12_345) | 0) >>> 1) / 2 ** 31;
      const damaged = whole.filter(() => random() > 0.2).map(([name, lines]) => recogniseEvidence(name, lines.flatMap((l) => (random() * 100 > percent ? [l] : random() < 0.3 ? [l, l] : random() < 0.5 ? [l.slice(0, random() * l.length)] : [])).join('\n')));
      for (const incident of analyse(damaged).incidents) assert.ok(incident.count > 0 && incident.first <= incident.last);
    }),
    { numRuns: 40 },
  );
});

test('long and hostile lines take no time to speak of', () => {
  const hostile = [
    '-'.repeat(200_000), `${'a'.repeat(4000)}-1 [000] 1.1:`, ' '.repeat(100_000), `[NEW]${' '.repeat(4000)}[NEW]`, `udp 17 ${'src='.repeat(1000)}`, `${'=> '.repeat(2000)}`,
    `location!=0x${'f'.repeat(16)} ${'&& location!=0xffffffffffffffff '.repeat(1500)}`, `Ip: ${'1 '.repeat(2000)}`, `${'(((('.repeat(1000)}kernel:`, `${'2013年 07月 '.repeat(300)}`, '{"nftables": [' + '{'.repeat(20_000), 'table ip x {\n'.repeat(2000),
  ].join('\n');
  // more records than arguments fit on a stack
  assert.equal(recogniseEvidence('many', 'udp 17 30 src=1.2.3.4 dst=1.2.3.5 sport=1 dport=2 src=1.2.3.5 dst=1.2.3.4 sport=2 dport=1\n-- 1795387753.2 x\n'.repeat(100_000)).unread, 0);
  const began = performance.now();
  recogniseEvidence('hostile', hostile.repeat(5));
  assert.ok(performance.now() - began < 3000, `${performance.now() - began} ms`);
});
