import type { RawRecord } from '../model/record.ts';

type Check = (value: unknown) => boolean;

const text: Check = (v) => typeof v === 'string';
const whole: Check = (v) => Number.isSafeInteger(v);
/** ns; 146 years on either side of 1970: a date can be made of it. */
const offset: Check = (v) => typeof v === 'bigint' && v > -(1n << 62n) && v < 1n << 62n;
const bytes: Check = (v) => v instanceof Uint8Array;
const object = (v: unknown): v is Readonly<Record<string, unknown>> => typeof v === 'object' && v !== null && !Array.isArray(v) && !(v instanceof Uint8Array);
const maybe = (check: Check): Check => (v) => v === undefined || check(v);
const list = (check: Check): Check => (v) => Array.isArray(v) && v.every(check);
const pair = (a: Check, b: Check): Check => (v) => Array.isArray(v) && v.length === 2 && a(v[0]) && b(v[1]);
const shape = (fields: Readonly<Record<string, Check>>): Check => (v) => object(v) && Object.entries(fields).every(([name, check]) => check(v[name]));
const either = (...checks: readonly Check[]): Check => (v) => checks.some((check) => check(v));

const unavailable = shape({ unavailable: text, what: text, why: text, fix: maybe(text) });
const netns = list(shape({ inode: whole, name: maybe(text) }));

/** What each kind must hold, beside `time`. A recording is a file that anybody may have written. */
const SHAPES: Readonly<Record<RawRecord['record'], Check>> = {
  host: shape({
    kernel: text, machine: text, hostname: text, cpus: whole, bootId: text, realtimeOffset: offset, dropReasons: list(pair(whole, text)), syscalls: list(pair(whole, text)),
    formats: (v) => object(v) && Object.values(v).every(text), netns, namespaces: whole, home: whole, netnsNames: list(pair(whole, text)),
  }),
  symbols: shape({ text }),
  'drop-sample': shape({ bytes }),
  'drop-counts': shape({ bytes }),
  'trace-page': shape({ cpu: whole, bytes, tasks: maybe(text) }),
  call: shape({ bytes }),
  'call-counts': shape({ bytes }),
  exec: shape({ bytes }),
  netlink: shape({ netns: whole, group: text, bytes }),
  answer: shape({ question: shape({ topic: text, netns: maybe(whole), argument: maybe(text) }), body: either(text, bytes, unavailable) }),
  missed: shape({ source: text, count: whole, text }),
  probe: shape({ id: text, unavailable: maybe(unavailable) }),
  tick: shape({ last: maybe((v) => v === true) }),
};

/** Whether a value is a record, all its fields of the right types. `time` is of 64 bits and not negative. */
export function isRecord(value: unknown): value is RawRecord {
  if (!object(value) || typeof value['record'] !== 'string' || !Object.hasOwn(SHAPES, value['record'])) return false;
  const time = value['time'];
  return typeof time === 'bigint' && time >= 0n && time < 1n << 63n && SHAPES[value['record'] as RawRecord['record']](value);
}
