/** Numbers and times as people say them. All pure: whoever knows what time it is passes it in. */

/** 1234567 → `1,234,567`. */
export function grouped(n: number): string {
  if (!Number.isFinite(n)) return String(n);
  return String(Math.round(n)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** 1 → `1 packet`, 1200 → `1,200 packets`. */
export function counted(n: number, one: string, many = `${one}s`): string {
  return `${grouped(n)} ${n === 1 ? one : many}`;
}

/** Bytes in powers of 1000, as link rates and `ip -h` have them. */
export function byteSize(bytes: number): string {
  if (bytes < 1000) return counted(bytes, 'byte');
  const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 'bytes';
  for (const next of units) {
    if (value < 999.5) break;
    value /= 1000;
    unit = next;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** Few characters for tables: 950, 1.2k, 34k, 5.6M. */
export function short(n: number): string {
  if (n < 1000) return n > 0 && n < 9.95 && !Number.isInteger(n) ? n.toFixed(1) : String(Math.round(n));
  let value = n;
  let unit = '';
  for (const next of ['k', 'M', 'G', 'T']) {
    if (value < 999.5) break;
    value /= 1000;
    unit = next;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}${unit}`;
}

/** Milliseconds → `0.4 s`, `12 s`, `3 min`, `2 h`, `5 d`. */
export function span(ms: number): string {
  if (!Number.isFinite(ms)) return 'an unknown time';
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** How long ago `iso` was at `now` (ms since 1970). */
export function age(iso: string, now: number): string {
  const then = Date.parse(iso);
  if (Number.isNaN(then)) return 'at an unknown time';
  const ms = now - then;
  return ms < 1500 ? 'just now' : `${span(Math.round(ms / 1000) * 1000)} ago`;
}

/** `2026-11-22T23:54:01.123Z` → `23:54:01.123`; anything else unchanged. */
export function clock(iso: string): string {
  return /^\d{4}-\d{2}-\d{2}T(\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?)\d*Z$/.exec(iso)?.[1] ?? iso;
}

/** First letter large, for the beginning of a line. */
export function sentence(text: string): string {
  return text === '' ? text : text[0]!.toUpperCase() + text.slice(1);
}
