import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeNftJson } from '../../src/formats/nft-json.ts';

const rich = readFileSync(new URL('../../fixtures/rules/nft-rich.json', import.meta.url), 'utf8');
const ruleOf = (family: string, table: string, chain: string, position: number) => decodeNftJson(rich).tables.find((t) => t.family === family && t.name === table)?.chains.get(chain)?.rules[position - 1];

test('tables, chains, hooks and policies of nft 1.0.6', () => {
  const { tables, status } = decodeNftJson(rich);
  assert.equal(status, 'ok');
  assert.deepEqual(tables.map((t) => `${t.family} ${t.name}`), ['ip edge', 'inet fw', 'bridge br', 'arp a', 'netdev nd', 'bridge filter', 'bridge nat', 'arp filter']);
  const edge = tables[0];
  assert.deepEqual(edge?.chains.get('in')?.base, { type: 'filter', hook: 'input', priority: 5, policy: 'drop' });
  assert.equal(edge?.chains.get('sub')?.base, undefined);
  assert.deepEqual(edge?.sets.get('blocklist')?.elements.map((e) => e.text), ['10.0.0.1', '192.0.2.0/24', '198.51.100.7-198.51.100.9']);
  assert.equal(edge?.sets.get('tmo')?.dynamic, true);
  assert.deepEqual(edge?.sets.get('ipairs')?.elements[0]?.parts, [{ low: 0x0a000000, high: 0x0a0000ff }, { low: 80, high: 90 }]);
});

test('a rule keeps its handle, counter, comment, and can be written again', () => {
  const rule = ruleOf('ip', 'edge', 'in', 4);
  assert.equal(rule?.text, 'ip saddr @blocklist counter drop comment "block list"');
  assert.deepEqual(rule?.counter, { packets: 5, bytes: 300 });
  assert.equal(rule?.comment, 'block list');
  assert.deepEqual(rule?.action, { do: 'drop' });
  assert.deepEqual(rule?.matches, [{ kind: 'lookup', keys: [{ key: 'ip.saddr' }], set: 'blocklist', negate: false, text: 'ip saddr @blocklist' }]);
});

test('bit fields, masks, comparisons and verdict maps', () => {
  assert.deepEqual(ruleOf('ip', 'edge', 'in', 11)?.matches[0], { kind: 'lookup', keys: [{ key: 'ct.state', mask: 6 }], set: [{ parts: [{ low: 0, high: 0 }], text: '0' }], negate: true, text: 'ct state established,related' });
  const masked = ruleOf('ip', 'edge', 'in', 26)?.matches[0];
  assert.ok(masked?.kind === 'lookup' && masked.keys[0]?.mask === 23 && typeof masked.set !== 'string' && masked.set[0]?.parts[0]?.low === 2);
  const above = ruleOf('ip', 'edge', 'in', 31)?.matches[0];
  assert.ok(above?.kind === 'lookup' && typeof above.set !== 'string' && above.set[0]?.parts[0]?.low === 101);
  const map = ruleOf('ip', 'edge', 'in', 9)?.action;
  assert.ok(map?.do === 'map' && typeof map.set !== 'string');
  assert.deepEqual(map.set.map((e) => e.action), [{ do: 'drop' }, { do: 'goto', chain: 'sub' }]);
});

test('what depends on earlier packets is stateful, what is not understood is kept as text', () => {
  assert.deepEqual(ruleOf('ip', 'edge', 'in', 48)?.matches, [{ kind: 'stateful', what: 'limit', text: 'limit rate 5/second burst 3 packets' }]);
  assert.deepEqual(ruleOf('ip', 'edge', 'in', 57)?.matches, [{ kind: 'opaque', what: 'fib', text: 'fib saddr . iif oif missing' }]);
  assert.equal(ruleOf('ip', 'edge', 'in', 65)?.effects[0]?.kind, 'payload');
  assert.equal(ruleOf('ip', 'edge', 'in', 36)?.effects[0]?.kind, 'ttl');
});

test('flags of newer nft: lists and bars', () => {
  const of = (right: unknown, op = '=='): unknown => {
    const text = JSON.stringify({ nftables: [{ table: { family: 'ip', name: 't', handle: 1 } }, { chain: { family: 'ip', table: 't', name: 'c', handle: 1 } }, { rule: { family: 'ip', table: 't', chain: 'c', handle: 2, expr: [{ match: { op, left: { '&': [{ payload: { protocol: 'tcp', field: 'flags' } }, { '|': [{ '|': ['fin', 'syn'] }, 'rst'] }] }, right } }] } }] });
    return decodeNftJson(text).tables[0]?.chains.get('c')?.rules[0]?.matches[0];
  };
  const match = of({ '|': ['syn', 'rst'] }) as { keys: { mask: number }[]; set: { parts: { low: number }[] }[] };
  assert.equal(match.keys[0]?.mask, 7);
  assert.equal(match.set[0]?.parts[0]?.low, 6);
});

test('never throws: any text, any JSON, the listing cut anywhere or with a value replaced', () => {
  for (let i = 0; i < rich.length; i += 997) assert.equal(decodeNftJson(rich.slice(0, i)).status, i === 0 ? 'ok' : 'not-json');
  fc.assert(fc.property(fc.string(), (s) => void decodeNftJson(s)));
  fc.assert(fc.property(fc.json(), (s) => void decodeNftJson(`{"nftables": [{"table": {"family": "ip", "name": "t"}}, {"chain": {"family":"ip","table":"t","name":"c","hook":"input","prio":0}}, {"rule": {"family":"ip","table":"t","chain":"c","handle":1,"expr": ${s}}}, {"set": {"family":"ip","table":"t","name":"s","type":${s},"elem":${s}}}]}`)));
  const parts = rich.split('"');
  fc.assert(fc.property(fc.nat(parts.length - 1), fc.constantFrom('0', 'null', '', 'drop', '-1', '{}'), (at, value) => void decodeNftJson(parts.map((p, i) => (i === at ? value : p)).join('"'))), { numRuns: 300 });
  fc.assert(fc.property(fc.constantFrom('match', 'vmap', 'queue', 'limit', 'set', 'mangle', 'xt', 'reject', 'dnat', 'counter', 'ct count'), fc.jsonValue(), (name, value) => void decodeNftJson(JSON.stringify({ nftables: [{ table: { family: 'ip', name: 't' } }, { chain: { family: 'ip', table: 't', name: 'c' } }, { rule: { family: 'ip', table: 't', chain: 'c', expr: [{ [name]: value }] } }] }))));
});
