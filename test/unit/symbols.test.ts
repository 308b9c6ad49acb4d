import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { address } from '../../src/base/brand.ts';
import { placeText, plainName } from '../../src/base/symbol.ts';
import { searchKallsyms } from '../../src/formats/kallsyms-search.ts';
import { symbolLines, symbolsOf } from '../../src/timeline/symbols.ts';

const real61 = readFileSync(new URL('../../fixtures/tracefs/kallsyms-6.1.txt', import.meta.url), 'utf8');
const TEXT = `ffffffff81000000 T _stext
ffffffff81000000 T first
ffffffff81000000 T first_alias
ffffffff81000100 t helper.part.0
ffffffff81000140 T kernel_fpu_end
ffffffff81000180 T last
ffffffff81000200 T _etext
ffffffff82000000 R some_data
ffffffffc0001000 t mod_function	[mod]
ffffffffc0002000 t bpf_prog_0123456789abcdef_drop	[bpf]
ffffffffc0001400 t mod_function.cold	[mod]
`;
const at = (hex: string): string => placeText(symbolsOf(TEXT).find(address(BigInt(hex))));

test('an address has the name of the function that it lies in', () => {
  assert.equal(at('0xffffffff81000000'), 'first+0x0', 'not the section\'s mark, and of aliases the first');
  assert.equal(at('0xffffffff810000ff'), 'first+0xff');
  assert.equal(at('0xffffffff81000104'), 'helper.part.0+0x4');
  assert.equal(at('0xffffffff81000150'), 'kernel_fpu_end+0x10', 'a function, for all its name');
  assert.equal(at('0xffffffff810001ff'), 'last+0x7f');
  assert.equal(at('0xffffffffc0001010'), 'mod_function+0x10 [mod]');
  assert.equal(at('0xffffffffc0001404'), 'mod_function.cold+0x4 [mod]', 'modules are not sorted');
});

test('outside of every function there is no name', () => {
  for (const hex of ['0x0', '0x401000', '0xffffffff80ffffff', '0xffffffff81000200', '0xffffffff81300000', '0xffffffff82000010', '0xffffffffc0000fff', '0xffffffffc0010000', '0xffffffffffffffff', '0xffff888100000000']) {
    assert.equal(symbolsOf(TEXT).find(address(BigInt(hex))).name, undefined, hex);
  }
  assert.deepEqual(symbolsOf('').find(address(5n)), { address: 5n });
  assert.equal(symbolsOf('0000000000000000 T a\n').status, 'restricted');
});

test('a return address right behind a function is that function\'s', () => {
  const s = symbolsOf(TEXT);
  assert.equal(placeText(s.findReturn(address(0xffffffff81000100n))), 'first+0x100');
  assert.equal(placeText(s.findReturn(address(0xffffffff81000104n))), 'helper.part.0+0x4');
  assert.equal(placeText(s.findReturn(address(0xffffffff81000200n))), 'last+0x80');
});

test('an excerpt names its addresses as the whole does, and no others', () => {
  const whole = symbolsOf(TEXT);
  const addresses = [0xffffffff81000110n, 0xffffffffc0001010n, 0xffffffffc0001404n, 0xffffffff81000200n, 0x1234n].map(address);
  const excerpt = symbolLines(whole, addresses);
  assert.match(excerpt, /^ffffffff81000100 0x40 t helper\.part\.0$/m);
  const part = symbolsOf(excerpt);
  for (const a of addresses) {
    assert.deepEqual(part.find(a), whole.find(a));
    assert.deepEqual(part.findReturn(a), whole.findReturn(a));
  }
  assert.equal(part.find(address(0xffffffff81000150n)).name, undefined);
  assert.equal(symbolLines(part, addresses), excerpt, 'an excerpt of an excerpt');
  assert.equal(symbolsOf(symbolLines(symbolsOf('0000000000000000 T a\n'), addresses)).status, 'restricted');
});

test('a whole kernel is searched where it stands, and says what reading all of it says', () => {
  const line = (at: number, kind: string, name: string, module = ''): string => `${(0xffffffff_00000000n + BigInt(at)).toString(16)} ${kind} ${name}${module}`;
  const own: string[] = [];
  for (let i = 0; i < 20_000; i++) {
    const at = 0x81000000 + i * 48;
    own.push(line(at, i % 7 === 3 ? 'd' : 't', `f${i}${i % 50 === 1 ? '.part.0' : ''}`));
    if (i % 11 === 0) own.push(line(at, 'T', `alias${i}`));
    if (i % 997 === 0) own.push(line(at, 'T', `__part${i}text_end`));
    if (i % 40 === 0) own.push(line(at + 16, 'A', `absolute${i}`));
  }
  const absolute = Array.from({ length: 400 }, (_, i) => `${i.toString(16).padStart(16, '0')} A cpu${i}`);
  const modules = Array.from({ length: 600 }, (_, i) => line(0xc0100000 - (i % 3) * 0x20000 + i * 64, 't', `m${i}`, `\t[mod${i % 3}]`));
  const bytes = new TextEncoder().encode([...absolute, ...own, ...modules].join('\n'));
  assert.ok(searchKallsyms(bytes) !== undefined);
  const searched = symbolsOf(bytes);
  // in another order, aliases as they were: no search, all is read
  const turned = [...own.slice(10_000), ...own.slice(0, 10_000), ...modules].join('\n');
  assert.equal(searchKallsyms(new TextEncoder().encode(turned)), undefined);
  const read = symbolsOf(turned);
  assert.equal(searched.count(), read.count());
  let named = 0;
  const same = (at: bigint): void => {
    const a = address(at);
    assert.deepEqual(searched.find(a), read.find(a));
    assert.deepEqual(searched.findReturn(a), read.findReturn(a));
    assert.equal(searched.line(a), read.line(a));
    if (read.find(a).name !== undefined) named++;
  };
  for (let at = 0xffffffff81000000n - 100n; at < 0xffffffff81000000n + 20_000n * 48n + 0x5000n; at += 331n) same(at);
  for (let at = 0xffffffffc00bf000n; at < 0xffffffffc0110000n; at += 93n) same(at);
  for (const at of [0n, 1n, 0xffffffffffffffffn, 0xffff888100000000n]) same(at);
  assert.ok(named > 2000);
  // hidden addresses, and a module amid the kernel: all is read
  assert.equal(searchKallsyms(new TextEncoder().encode(own.join('\n').replaceAll(/^[0-9a-f]{16}/gm, '0'.repeat(16)))), undefined);
  assert.equal(searchKallsyms(new TextEncoder().encode([...own, line(0x81000400, 't', 'odd', '\t[mod]')].join('\n'))), undefined);
});

test('plain names', () => {
  const names = { 'nf_hook_slow+0x7d': 'nf_hook_slow', 'udp_sendmsg.cold': 'udp_sendmsg', 'do_softirq.part.0': 'do_softirq', 'f.constprop.0.isra.3': 'f', 'f.llvm.123': 'f', __nf_conntrack_confirm: '__nf_conntrack_confirm', 'f+0x1 [m]': 'f', '.hidden': '.hidden' };
  for (const [from, to] of Object.entries(names)) assert.equal(plainName(from), to);
});

test('the sites of the first incident on 6.1', () => {
  const s = symbolsOf(real61);
  assert.equal(placeText(s.find(address(0xffffffff97839ee0n + 0xa6n))), 'nf_hook_slow+0xa6');
  assert.equal(placeText(s.find(address(0xffffffffc0356020n + 0x1c0n))), '__nf_conntrack_confirm+0x1c0 [nf_conntrack]');
});

test('this very kernel: every function is found at its start', { skip: existsSync('/proc/kallsyms') ? false : 'no /proc/kallsyms' }, (t) => {
  const text = readFileSync('/proc/kallsyms', 'utf8');
  const s = symbolsOf(text);
  if (s.status !== 'ok') return t.skip(`kallsyms: ${s.status}`);
  const first = new Map<bigint, Set<string>>();
  for (const line of text.split('\n')) {
    const [a, type, name] = line.split(/[ \t]/);
    if (name === undefined || !/^[tTwW]$/.test(type!)) continue;
    const key = BigInt(`0x${a}`);
    first.set(key, (first.get(key) ?? new Set()).add(name));
  }
  let unnamed = 0;
  for (const [a, names] of first) {
    const place = s.find(address(a));
    if (place.name === undefined) unnamed++;
    else assert.ok(names.has(place.name) && place.offset === 0, `${a.toString(16)}: ${place.name}`);
  }
  assert.ok(unnamed < first.size / 1000, `${unnamed} of ${first.size} without a name`);
  return undefined;
});
