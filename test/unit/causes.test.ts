import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { causes } from '../../src/causes/index.ts';
import { explain } from '../../src/causes/explain.ts';
import { REASONS } from '../../src/causes/reasons.ts';

const root = new URL('../../', import.meta.url).pathname;

test('every cause file is listed once, and its id is its path', () => {
  const files = globSync('src/causes/*/*.ts', { cwd: root }).filter((f) => /export const cause\b/.test(readFileSync(root + f, 'utf8')));
  const fromFiles = files.map((f) => f.replace(/^src\/causes\/(.*)\.ts$/, '$1').replace('/', '.')).sort();
  assert.deepEqual(causes.map((c) => c.id).filter((id) => id !== 'unknown').sort(), fromFiles);
});

test('every cause explains itself', () => {
  for (const { id, title, knowledge } of causes) {
    assert.ok(title.length > 0 && !title.endsWith('.'), `${id}: a title is a noun phrase`);
    assert.ok(knowledge.what.length > 60, `${id}: what happens`);
    assert.ok(knowledge.signs.length > 0, `${id}: how one notices`);
    assert.ok(knowledge.fixes.length > 0, `${id}: what to do`);
  }
});

test('explain finds causes, reasons, symbols with offsets, errnos and their words', () => {
  assert.equal(explain('netfilter.rule-drop')?.about, 'cause');
  assert.equal(explain('NETFILTER_DROP')?.about, 'reason');
  assert.equal(explain('SKB_DROP_REASON_NETFILTER_DROP')?.about, 'reason');
  assert.equal(explain('nf_hook_slow+0x7d')?.about, 'symbol');
  assert.equal(explain('nf_hook_slow+0x7d/0x110')?.about, 'symbol');
  assert.equal(explain('write UDPv4 []: Operation not permitted (code=1)')?.about, 'errno');
  assert.ok(explain('Operation not permitted')?.causes.some((c) => c.id === 'netfilter.rule-drop'));
  assert.ok(explain('packets vanish when conntrack is flushed')?.causes.some((c) => c.id === 'conntrack.insert-race'));
  assert.equal(explain('xyzzy'), undefined);
});

test('reasons that a cause names are known', () => {
  for (const { id, knowledge } of causes) for (const reason of knowledge.reasons) assert.ok(REASONS[reason] !== undefined, `${id}: ${reason}`);
});

test('the pages in docs/causes are those of today', () => {
  for (const { id, knowledge } of causes) assert.ok(readFileSync(`${root}docs/causes/${id}.md`, 'utf8').includes(knowledge.what), `${id}: npm run docs`);
});
