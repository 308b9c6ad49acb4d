import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decodeConntrackStat, totalOf } from '../../src/formats/nf-conntrack-stat.ts';

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/counters/${name}`, import.meta.url), 'utf8');

test('columns of 6.1 are found by name, numbers are hexadecimal, entries is not summed', () => {
  const { cpus, status } = decodeConntrackStat(fixture('6.1-stat-nf_conntrack.after.txt'));
  assert.equal(status, 'complete');
  assert.equal(cpus.length, 4);
  const total = totalOf(cpus);
  assert.equal(total.get('insert_failed'), 1);
  assert.equal(total.get('drop'), 1);
  assert.equal(total.get('clash_resolve'), 3);
  assert.equal(total.get('entries'), cpus[0]!.values.get('entries'));
  assert.equal(cpus[3]!.values.get('insert_failed'), 1);
});

test('the columns of before 5.10, whose second is searched and whose eighth is delete_list', () => {
  const text = 'entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n'
    + '0000002a  00000010 00000020 00000030 00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008 00000009  0000000a 0000000b 0000000c 0000000d\n';
  const { cpus, status } = decodeConntrackStat(text);
  assert.equal(status, 'complete');
  const row = cpus[0]!.values;
  assert.deepEqual([row.get('entries'), row.get('searched'), row.get('delete_list'), row.get('insert_failed'), row.get('drop'), row.get('search_restart')], [42, 16, 4, 6, 7, 13]);
  assert.equal(row.get('clash_resolve'), undefined);
  assert.equal(row.get('chaintoolong'), undefined);
});

test('the columns of before 2.6.35 have no search_restart', () => {
  const { cpus, status } = decodeConntrackStat('entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete\n00000001 0 0 0 0 0 0 0 0 2 3 0 0 0 0 0\n');
  assert.equal(status, 'complete');
  assert.equal(cpus[0]!.values.get('drop'), 3);
  assert.equal(cpus[0]!.values.get('search_restart'), undefined);
});

test('rows that do not fit their header are kept as far as they go, and said to be partial', () => {
  const header = 'entries clashres found insert_failed drop\n';
  const short = decodeConntrackStat(`${header}1 2 3\n`);
  assert.deepEqual([short.status, short.cpus[0]!.values.get('clash_resolve'), short.cpus[0]!.values.get('drop')], ['partial', 2, undefined]);
  assert.equal(decodeConntrackStat(`${header}1 2 3 4 5 6\n`).status, 'partial');
  assert.equal(decodeConntrackStat(`${header}1 2 3 zz 5\n`).cpus[0]!.values.get('drop'), 5);
  assert.equal(decodeConntrackStat('nonsense\n1\n').status, 'partial');
  assert.deepEqual(decodeConntrackStat(''), { cpus: [], status: 'complete' });
});
