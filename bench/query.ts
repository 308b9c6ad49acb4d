/** Grouping ten million rows, samples and counters: the query of `stats --by …` on synthetic rows with the recording's own tables. Goal: below a second. */
import { statsQuery } from '../src/app/stats.ts';
import { COLUMNS } from '../src/exports/index.ts';
import { COUNTED_COLUMNS, TABLES_FROM_RAW } from '../src/exports/store.ts';
import { median } from './world.ts';

const ROWS = 10_000_000;
const { DuckDBInstance } = await import('@duckdb/node-api');
const instance = await DuckDBInstance.create(':memory:');
const connection = await instance.connect();
const pick = (name: string, n: number): string => `'${name}' || (hash(i * 31 + ${n}) % ${n})`;
const columns = [...COLUMNS, ...COUNTED_COLUMNS];
const made: Partial<Record<(typeof columns)[number], string>> = {
  time_ns: '1795399122884391027 + i * 36000', kind: "CASE WHEN i % 10 = 0 THEN 'call' ELSE 'drop' END", incident: pick('inc', 40), cause: pick('area.cause', 30), netns: '(4026531840 + i % 12)::UINTEGER', netns_name: pick('ns', 12),
  interface: pick('eth', 20), reason: pick('REASON_', 60), symbol: pick('function_', 80), protocol: pick('p', 4), source: "'10.0.' || (hash(i) % 256) || '.' || (hash(i + 7) % 256)", source_port: '(32768 + i % 28000)::USMALLINT',
  destination: "'10.1.0.' || (hash(i + 3) % 256)", destination_port: '(hash(i + 5) % 1000)::USMALLINT', length: '(60 + i % 1440)::UINTEGER', cpu: '(i % 16)::UINTEGER', pid: '(i % 400)::UINTEGER', process: pick('process', 400), softirq: '(i % 2)::UTINYINT',
  ethertype: pick('type', 3), described: '(i % 1000 <> 0)::UTINYINT', count: 'CASE WHEN i % 1000 = 0 THEN 5000::BIGINT ELSE 1::BIGINT END', bytes: '(60 + i % 1440)::BIGINT',
};
let started = performance.now();
await connection.run(`CREATE TABLE raw AS SELECT ${columns.map((c) => `${made[c] ?? 'NULL::VARCHAR'} AS ${c}`).join(', ')} FROM range(${ROWS}) t(i)`);
console.log(`made ${ROWS} rows in ${((performance.now() - started) / 1000).toFixed(1)} s`);
started = performance.now();
for (const sql of TABLES_FROM_RAW) await connection.run(sql);
console.log(`tables made in ${((performance.now() - started) / 1000).toFixed(1)} s`);

let slow = false;
for (const by of [['cause'], ['cause', 'interface', 'process'], ['reason', 'symbol', 'netns'], ['second', 'cause'], ['source']]) {
  const times: number[] = [];
  let rows = 0;
  for (let i = 0; i < 5; i++) {
    const from = performance.now();
    rows = (await connection.runAndReadAll(`SELECT * FROM (${statsQuery(by)}) LIMIT 1000`)).currentRowCount;
    times.push(performance.now() - from);
  }
  const ms = median(times);
  if (ms > 1000) slow = true;
  console.log(`stats --by ${by.join(',')}: ${ms.toFixed(0)} ms (median of ${times.length}; ${rows} rows shown)`);
}
console.log(`memory: ${(process.memoryUsage().rss / 1e6).toFixed(0)} MB`);
connection.closeSync();
process.exitCode = slow ? 1 : 0;
