import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { functionRanges, parseKallsyms } from '../../src/formats/kallsyms.ts';
import { fuzzText } from '../fuzz/fuzz.ts';

const text = (name: string): string => readFileSync(new URL(`../../fixtures/tracefs/${name}`, import.meta.url), 'utf8');

test('real excerpts: every line, sorted, with its module', () => {
  for (const file of ['kallsyms-6.1.txt', 'kallsyms-6.1-drops.txt', 'kallsyms-6.12-drops.txt', 'kallsyms-6.18-drops.txt']) {
    const lines = text(file).trimEnd().split('\n').map((l) => l.split(/[ \t]+/));
    const table = parseKallsyms(text(file));
    assert.deepEqual([table.status, table.skipped, table.count], ['ok', 0, lines.length]);
    const found = Array.from({ length: table.count }, (_, i) => `${(BigInt(table.high) << 53n | BigInt(table.addresses[i]!)).toString(16)} ${table.name(i)} ${table.modules[table.module[i]!] || ''}`.trim());
    assert.deepEqual(found, lines.map(([a, , n, m]) => `${a} ${n} ${m?.slice(1, -1) ?? ''}`.trim()).sort());
    assert.ok(table.addresses.every((a, i) => i === 0 || a >= table.addresses[i - 1]!));
  }
});

test('hidden addresses are a state of their own', () => {
  assert.equal(parseKallsyms('0000000000000000 T _stext\n0000000000000000 t foo\t[bar]\n').status, 'restricted');
  assert.equal(parseKallsyms('').status, 'empty');
  assert.equal(parseKallsyms('garbage\n').status, 'empty');
});

test('absolute and per-CPU symbols are no functions; what is no line is counted; the last line may lack its end', () => {
  const table = parseKallsyms('0000000000001000 A irq_stack\n0000000000000000 A zero\nffffffff81000000 T one\nnonsense\nffffffff81000010 D data\nffffffff81000020 x\nffffffff81000030 W weak');
  assert.deepEqual([table.status, table.count, table.skipped], ['ok', 3, 2]);
  assert.deepEqual([...table.text], [1, 0, 1]);
  assert.equal(table.name(2), 'weak');
  assert.equal(table.name(3), '');
});

test('32-bit addresses; many modules; sizes of excerpts', () => {
  const narrow = parseKallsyms('c0008000 T stext\nc0008100 0x40 t sized\n');
  assert.deepEqual([narrow.high, [...narrow.addresses], [...narrow.sizes]], [0, [0xc0008000, 0xc0008100], [0, 64]]);
  const modules = parseKallsyms(Array.from({ length: 300 }, (_, i) => `ffffffffc0${(i * 16).toString(16).padStart(6, '0')} t f${i}\t[m${i % 7}]`).join('\n'));
  assert.deepEqual(modules.modules, ['', 'm0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6']);
  assert.deepEqual(functionRanges(modules, new Set(['f5'])), [], 'the next symbol is another module\'s: no end is known');
  assert.deepEqual(functionRanges(parseKallsyms(text('kallsyms-6.18-drops.txt')), new Set(['nf_hook_slow'])).map((r) => r.to - r.from), [0x110n]);
});

test('any text', () => {
  fuzzText({
    seeds: [text('kallsyms-6.1.txt'), text('kallsyms-6.18-drops.txt').slice(0, 600), 'c0008100 0x40 t sized\t[m]\n'], rounds: 2000,
    decode: (t) => {
      const k = parseKallsyms(t);
      return [k.status, k.skipped, [...k.addresses], [...k.sizes], [...k.text], [...k.module], k.modules, Array.from({ length: k.count }, (_, i) => k.name(i))];
    },
  });
});

test('a whole kernel, 120,000 lines, in a few hundredths of a second', () => {
  const one = text('kallsyms-6.18-drops.txt').split('\n').filter((l) => l !== '');
  const lines = Array.from({ length: 122_000 }, (_, i) => `ffffffff8${(0x1000000 + i * 64).toString(16).padStart(7, '0')} T ${one[i % one.length]!.split(' ')[2]}_${i}`);
  const bytes = new TextEncoder().encode(lines.join('\n'));
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 8; i++) {
    const start = performance.now();
    assert.equal(parseKallsyms(bytes).count, 122_000);
    best = Math.min(best, performance.now() - start);
  }
  assert.ok(best < 150, `${best.toFixed(1)} ms`); // 9 ms alone on this machine; it may be busy
});
