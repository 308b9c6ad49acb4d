import type { Incident } from '../model/incident.ts';
import type { Unavailable } from '../model/unavailable.ts';
import { COLUMNS, type CountedRow, type Row } from './exported.ts';

/** What a query gave. Cells are what JSON can hold: 64-bit numbers and times are text. */
export interface Answered {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

export type Cell = string | number | boolean | null;

/**
 * An analytical database in memory: the tables `counted` (whose `count` sums up to what the kernel counted), `events` (of
 * it what was described, a row a drop or failed call) and `incidents`.
 */
export interface EventStore {
  load(rows: Iterable<CountedRow>, incidents: readonly Incident[]): Promise<void>;
  /** SQL of DuckDB; it can read no file and reach no network. */
  query(sql: string): Promise<Answered>;
  /** The answer of a query as a Parquet file. Nothing can be read or written any more but that file. */
  parquet(sql: string, path: string): Promise<void>;
  close(): void;
}

/** Columns with few values: kept as ENUM, so that grouping compares small numbers. */
const FEW = ['kind', 'incident', 'cause', 'netns_name', 'interface', 'reason', 'symbol', 'module', 'protocol', 'process', 'syscall', 'errno', 'probe', 'ethertype'] as const;

/** What a row of `counted` has more than one of `events`. */
export const COUNTED_COLUMNS = ['described', 'count', 'bytes'] as const satisfies readonly (keyof CountedRow)[];
const RAW_COLUMNS = [...COLUMNS, ...COUNTED_COLUMNS] as const;

const TYPES: Readonly<Record<keyof Row | (typeof COUNTED_COLUMNS)[number], string>> = {
  time_ns: 'BIGINT', kind: 'VARCHAR', incident: 'VARCHAR', cause: 'VARCHAR', netns: 'UINTEGER', netns_name: 'VARCHAR', interface: 'VARCHAR', reason: 'VARCHAR', symbol: 'VARCHAR', module: 'VARCHAR',
  protocol: 'VARCHAR', source: 'VARCHAR', source_port: 'USMALLINT', destination: 'VARCHAR', destination_port: 'USMALLINT', length: 'UINTEGER', mark: 'UINTEGER', cpu: 'UINTEGER', pid: 'UINTEGER', process: 'VARCHAR',
  uid: 'UINTEGER', softirq: 'UTINYINT', syscall: 'VARCHAR', errno: 'VARCHAR', probe: 'VARCHAR', stack: 'VARCHAR', ethertype: 'VARCHAR', described: 'UTINYINT', count: 'BIGINT', bytes: 'BIGINT',
};

/** Rows go in by so many: DuckDB's own vector size. */
const CHUNK = 2048;

/** Turns a table `raw` of {@link TYPES} into `counted` and `events`. The benchmark makes its own `raw`. */
export const TABLES_FROM_RAW: readonly string[] = [
  ...FEW.map((c) => `CREATE TYPE ${c}_t AS ENUM (SELECT DISTINCT ${c} FROM raw WHERE ${c} IS NOT NULL ORDER BY 1)`),
  `CREATE TABLE counted AS SELECT make_timestamp_ns(time_ns) AS time, ${RAW_COLUMNS.map((c) => ((FEW as readonly string[]).includes(c) ? `${c}::${c}_t AS ${c}` : c)).join(', ')} FROM raw`,
  `CREATE VIEW events AS SELECT time, ${COLUMNS.join(', ')} FROM counted WHERE described = 1`,
  'DROP TABLE raw',
];

export async function openStore(): Promise<EventStore | Unavailable> {
  let duckdb: typeof import('@duckdb/node-api');
  try {
    duckdb = await import('@duckdb/node-api');
  } catch (error) {
    return { unavailable: 'missing-program', what: 'loading @duckdb/node-api', why: (error as NodeJS.ErrnoException).code ?? String(error), fix: 'queries need the embedded database DuckDB, an optional package of 70 MB: npm install @duckdb/node-api (in the folder of whydrop); export --to csv or json needs nothing' };
  }
  const instance = await duckdb.DuckDBInstance.create(':memory:', { autoinstall_known_extensions: 'false', autoload_known_extensions: 'false' });
  const connection = await instance.connect();
  const types = RAW_COLUMNS.map((c) => ({ BIGINT: duckdb.BIGINT, VARCHAR: duckdb.VARCHAR, UINTEGER: duckdb.UINTEGER, USMALLINT: duckdb.USMALLINT, UTINYINT: duckdb.UTINYINT })[TYPES[c]] ?? duckdb.VARCHAR);
  let sealed = false;
  const seal = async (path?: string): Promise<void> => {
    if (sealed) return;
    sealed = true;
    if (path !== undefined) await connection.run(`SET allowed_paths = [${quoted(path)}]`);
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
  };
  return {
    load: async (rows, incidents) => {
      await connection.run(`CREATE TABLE raw (${RAW_COLUMNS.map((c) => `${c} ${TYPES[c]}`).join(', ')})`);
      const appender = await connection.createAppender('raw');
      let columns: (string | number | bigint | null)[][] = RAW_COLUMNS.map(() => []);
      const flush = (): void => {
        if (columns[0]?.length === 0) return;
        const chunk = duckdb.DuckDBDataChunk.create(types);
        chunk.setColumns(columns);
        appender.appendDataChunk(chunk);
        columns = RAW_COLUMNS.map(() => []);
      };
      for (const row of rows) {
        RAW_COLUMNS.forEach((c, i) => columns[i]!.push(row[c] ?? null));
        if (columns[0]!.length === CHUNK) flush();
      }
      flush();
      appender.closeSync();
      for (const sql of TABLES_FROM_RAW) await connection.run(sql);
      await connection.run('CREATE TABLE incidents (id VARCHAR, cause VARCHAR, title VARCHAR, severity VARCHAR, state VARCHAR, first VARCHAR, last VARCHAR, count BIGINT, bytes BIGINT, confidence DOUBLE, netns UINTEGER, culprit VARCHAR, explanation VARCHAR)');
      const into = await connection.createAppender('incidents');
      for (const i of incidents) {
        for (const text of [i.id, i.cause.id, i.cause.title, i.severity, i.state, i.first, i.last]) into.appendVarchar(text);
        into.appendBigInt(BigInt(Math.trunc(i.count)));
        into.appendBigInt(BigInt(Math.trunc(i.bytes)));
        into.appendDouble(i.confidence);
        into.appendUInteger(i.where.netns.inode);
        into.appendVarchar(i.culprit.text);
        into.appendVarchar(i.explanation);
        into.endRow();
      }
      into.closeSync();
    },
    query: async (sql) => {
      await seal();
      const reader = await connection.runAndReadAll(sql);
      return { columns: reader.columnNames(), rows: reader.getRowsJson().map((row) => row.map(cellOf)) };
    },
    parquet: async (sql, path) => {
      await seal(path);
      await connection.run(`COPY (${sql.trim().replace(/;\s*$/, '')}\n) TO ${quoted(path)} (FORMAT parquet, COMPRESSION zstd)`);
    },
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Lists and structs as JSON text. */
function cellOf(value: unknown): Cell {
  return value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : JSON.stringify(value);
}
