import type { Stamp } from './evidence-record.ts';

const MONTHS: Readonly<Record<string, number>> = { jan: 1, feb: 2, mar: 3, apr: 4, may: 5, jun: 6, jul: 7, aug: 8, sep: 9, oct: 10, nov: 11, dec: 12 };
/** Hours east of Greenwich of zone names with one meaning. CST has several: China's only next to a Chinese date. */
const ZONES: Readonly<Record<string, number>> = { UTC: 0, GMT: 0, Z: 0, WET: 0, CET: 1, MEZ: 1, CEST: 2, MESZ: 2, EET: 2, EEST: 3, MSK: 3, JST: 9, KST: 9, EST: -5, EDT: -4, PST: -8, PDT: -7 };

const EPOCH = /^\[?(\d{10})(?:\.(\d{1,9}))?\]?(?=[\s:]|$)/;
const CHINESE = /^(\d{4})年\s*(\d{1,2})月\s*(\d{1,2})日\s*(?:(?:星期|周|週)[一二三四五六日天])?\s*(上午|下午)?\s*(\d{1,2})[:时](\d\d)[:分](\d\d)秒?(?:\s+([A-Z]{1,5}|[+-]\d\d:?\d\d))?/;
const DATE = /^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +)?(?:([A-Z][a-z]{2}) +(\d{1,2})|(\d{1,2}) +([A-Z][a-z]{2})(?: +(\d{4}))?) +(\d{1,2}):(\d\d):(\d\d)(?:\.(\d{1,9}))?( [AP]M)?(?: +([A-Z]{1,5}|[+-]\d\d:?\d\d))?(?: +(\d{4}))?(?= |:|$)/;
const ISO = /^\[?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\s?(Z|[A-Z]{3,4}(?=\s|$)|[+-]\d\d:?\d\d)?\]?(?: us=(\d{1,6}))?(?=[\s:]|$)/;

/** A wall time at the beginning of a text, in the shapes of date(1) (C and Chinese locales), syslog, ISO 8601, OpenVPN and epoch seconds. `rest` follows it. */
export function wallTime(text: string): { readonly stamp: Stamp; readonly rest: string } | undefined {
  const made = (all: string, ns: bigint | undefined, zone: boolean, step: bigint): { stamp: Stamp; rest: string } | undefined =>
    ns === undefined ? undefined : { stamp: { ns, zone, step, text: all.trim() }, rest: text.slice(all.length) };
  let m = EPOCH.exec(text);
  if (m !== null) return made(m[0], BigInt(m[1]!) * SECOND + fraction(m[2]), true, stepOf(m[2]));
  m = CHINESE.exec(text);
  if (m !== null) {
    const hour = Number(m[5]) % (m[4] === undefined ? 24 : 12) + (m[4] === '下午' ? 12 : 0);
    return made(m[0], utc(m[1], m[2], m[3], hour, m[6], m[7], zoneHours(m[8], true)), zoneHours(m[8], true) !== undefined, SECOND);
  }
  m = ISO.exec(text);
  if (m !== null) {
    const digits = m[9] === undefined ? m[7] : m[9].padStart(6, '0');
    const base = utc(m[1], m[2], m[3], m[4], m[5], m[6], zoneHours(m[8], false));
    return made(m[0], base === undefined ? undefined : base + fraction(digits), zoneHours(m[8], false) !== undefined, stepOf(digits));
  }
  m = DATE.exec(text);
  if (m !== null) {
    const month = MONTHS[(m[1] ?? m[4] ?? '').toLowerCase()];
    const year = m[12] ?? m[5];
    if (month === undefined || year === undefined) return undefined; // syslog's stamps lack the year: they order, but do not date
    const hour = m[10] === undefined ? Number(m[6]) : (Number(m[6]) % 12) + (m[10] === ' PM' ? 12 : 0);
    const base = utc(year, month, m[2] ?? m[3], hour, m[7], m[8], zoneHours(m[11], false));
    return made(m[0], base === undefined ? undefined : base + fraction(m[9]), zoneHours(m[11], false) !== undefined, stepOf(m[9]));
  }
  return undefined;
}

const SECOND = 1_000_000_000n;
const fraction = (digits: string | undefined): bigint => (digits === undefined ? 0n : BigInt(digits.padEnd(9, '0').slice(0, 9)));
const stepOf = (digits: string | undefined): bigint => (digits === undefined ? SECOND : 10n ** BigInt(9 - Math.min(9, digits.length)));

function zoneHours(zone: string | undefined, chinese: boolean): number | undefined {
  if (zone === undefined) return undefined;
  if (zone === 'CST') return chinese ? 8 : undefined;
  const m = /^([+-])(\d\d):?(\d\d)$/.exec(zone);
  if (m !== null) return (m[1] === '-' ? -1 : 1) * (Number(m[2]) + Number(m[3]) / 60);
  return ZONES[zone];
}

function utc(y: unknown, mo: unknown, d: unknown, h: unknown, mi: unknown, s: unknown, zone: number | undefined): bigint | undefined {
  const ms = Date.UTC(Number(y), Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s)) - (zone ?? 0) * 3_600_000;
  return Number.isFinite(ms) ? BigInt(Math.round(ms)) * 1_000_000n : undefined;
}
