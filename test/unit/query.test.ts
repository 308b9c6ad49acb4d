import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { judged } from '../../src/app/judged.ts';
import { storeOf } from '../../src/app/query.ts';
import { statsQuery } from '../../src/app/stats.ts';
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
