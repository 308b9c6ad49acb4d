import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { judged } from '../../src/app/judged.ts';
import { storeOf } from '../../src/app/query.ts';
import { NOT_DESCRIBED, statsQuery } from '../../src/app/stats.ts';
import { readRecording } from '../../src/recording/file.ts';

const root = new URL('../..', import.meta.url).pathname;
const ALL = { pid: [], protocol: [], port: [], address: [], cause: [] };
const open = (name: string) => judged(readRecording(readFileSync(`${root}fixtures/recordings/${name}.whydrop`)).records, ALL);
const installed = await import('@duckdb/node-api').then(() => true, () => false);
const skip = installed ? false : 'the optional @duckdb/node-api is not installed';

test('what is grouped in SQL is what was seen', { skip }, async () => {
  const recording = open('rcvbuf-full');
  const store = await storeOf(recording);
  try {
    const { columns, rows } = await store.query(statsQuery(['cause', 'interface', 'netns']));
    assert.deepEqual(columns.slice(0, 5), ['cause', 'interface', 'netns', 'drops', 'failed_calls']);
    const row = rows.find((r) => r[0] === 'socket.rcvbuf-full');
    assert.deepEqual(row?.slice(0, 3), ['socket.rcvbuf-full', 'v0', 'wdxb']);
    const drops = recording.exported.events.filter((e) => e.event.kind === 'drop' && e.incident?.cause === 'socket.rcvbuf-full');
    assert.equal(Number(row?.[3]), drops.length);
    assert.equal(Number(row?.[5]), drops.reduce((n, e) => n + (e.event.kind === 'drop' ? e.event.length : 0), 0));
    const times = await store.query('SELECT time_ns FROM events ORDER BY time_ns LIMIT 1');
    assert.equal(times.rows[0]?.[0], String(recording.exported.events[0]!.event.time + recording.exported.realtimeOffset), '64 bits are whole');
    const joined = await store.query("SELECT i.title, count(*) FROM events e JOIN incidents i ON e.incident = i.id WHERE i.severity <> 'info' GROUP BY ALL");
    assert.equal(joined.rows.length, 1);
  } finally {
    store.close();
  }
});

test('a query reads and writes no file', { skip }, async () => {
  const store = await storeOf(open('no-listener'));
  try {
    for (const sql of ["SELECT * FROM read_text('/etc/hostname')", "COPY events TO '/tmp/whydrop-query-test.csv'", 'INSTALL httpfs', 'SET enable_external_access = true']) await assert.rejects(store.query(sql), sql);
    assert.equal((await store.query('SELECT count(*) FROM events')).rows.length, 1, 'and goes on');
  } finally {
    store.close();
  }
});

test('an unknown column is told with the nearest', () => {
  assert.throws(() => statsQuery(['caus']), /did you mean cause/);
});

/** 8,000 packets of one counter, refused by two rules; sendto failed 8,000 times. Described: 199 packets, 108 calls. */
const COUNTED = { drops: 8000, calls: 8000, described: { drops: 199, calls: 108 } };

test('whatever is grouped by, the sums are what the kernel counted, and what is of no known group is named', { skip }, async () => {
  const store = await storeOf(open('shared-counter'));
  try {
    for (const by of [[], ['cause'], ['incident'], ['reason', 'symbol', 'netns'], ['interface', 'ethertype'], ['syscall', 'errno', 'process'], ['second', 'cause'], ['protocol'], ['source'], ['destination_port'], ['pid', 'cpu'], ['stack']]) {
      for (const typed of [false, true]) {
        const { columns, rows } = await store.query(statsQuery(by, typed));
        const sum = (name: string): number => rows.reduce((n, row) => n + Number(row[columns.indexOf(name)]), 0);
        assert.deepEqual([sum('drops'), sum('failed_calls'), sum('bytes'), sum('described')], [COUNTED.drops, COUNTED.calls, COUNTED.drops * 68, COUNTED.described.drops + COUNTED.described.calls], by.join());
      }
    }
    const by = async (word: string): Promise<ReadonlyMap<unknown, readonly number[]>> => new Map((await store.query(statsQuery([word]))).rows.map((r) => [r[0], r.slice(1, 3).map(Number)]));
    assert.deepEqual((await by('protocol')).get(NOT_DESCRIBED), [COUNTED.drops - COUNTED.described.drops, COUNTED.calls - COUNTED.described.calls]);
    assert.deepEqual((await by('reason')).get('NETFILTER_DROP'), [COUNTED.drops, 0]);
    assert.deepEqual((await by('errno')).get('EPERM'), [0, COUNTED.calls]);
    assert.ok(![...(await by('reason')).keys(), ...(await by('errno')).keys(), ...(await by('cause')).keys(), ...(await by('second')).keys()].includes(NOT_DESCRIBED), 'the counters tell these');
    const ports = await store.query(statsQuery(['destination_port'], true));
    assert.deepEqual(ports.rows.map((r) => r[0]), [null, 1194, 53], 'numbers stay numbers in JSON');
  } finally {
    store.close();
  }
});

test('in SQL: counted is exact, events is what was described, incidents have their shares', { skip }, async () => {
  const recording = open('shared-counter');
  const store = await storeOf(recording);
  try {
    const one = async (sql: string): Promise<readonly unknown[]> => (await store.query(sql)).rows[0] ?? [];
    assert.deepEqual(await one("SELECT sum(count)::INT, sum(bytes)::INT FROM counted WHERE kind = 'drop'"), [COUNTED.drops, COUNTED.drops * 68]);
    assert.deepEqual(await one('SELECT count(*)::INT FROM events'), [COUNTED.described.drops + COUNTED.described.calls]);
    assert.deepEqual(await one('SELECT count(*)::INT FROM counted WHERE described = 1 AND count <> 1'), [0]);
    const shares = await store.query("SELECT incident, sum(count)::INT FROM counted WHERE kind = 'drop' GROUP BY ALL");
    assert.equal(shares.rows.length, 2);
    for (const [id, count] of shares.rows) assert.ok(Math.abs(Number(count) - recording.exported.incidents.find((i) => i.id === id)!.count) <= 1, String(id));
  } finally {
    store.close();
  }
});

test('--cause shows the share of that cause alone; a filter of flows has samples alone', () => {
  const records = readRecording(readFileSync(`${root}fixtures/recordings/shared-counter.whydrop`)).records;
  const rest = (options: Partial<typeof ALL> | { readonly port: readonly number[] } | { readonly cause: readonly string[] }): number => judged(records, { ...ALL, ...options }).undescribed().reduce((n, u) => n + u.count, 0);
  assert.equal(rest({}), COUNTED.drops + COUNTED.calls - COUNTED.described.drops - COUNTED.described.calls);
  assert.equal(rest({ cause: ['netfilter.rule-drop'] }), rest({}));
  assert.equal(rest({ cause: ['socket'] }), 0);
  assert.equal(rest({ port: [53] }), 0);
});
