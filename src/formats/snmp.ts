import type { Counters } from '../model/conntrack.ts';

/**
 * /proc/net/snmp and /proc/net/netstat (net/ipv4/proc.c): pairs of lines with one prefix, names and values. Keys are
 * `Udp InErrors`, `TcpExt ListenDrops`. Values are decimal and may be negative (`Tcp MaxConn`).
 */
export function decodeSnmp(text: string): Counters {
  const values = new Map<string, number>();
  let whole = true;
  let header: readonly string[] | undefined;
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 0) {
      if (line.trim() !== '') whole = false;
      continue;
    }
    const prefix = line.slice(0, colon).trim();
    const fields = line.slice(colon + 1).trim().split(/\s+/).filter((f) => f !== '');
    if (header === undefined || header[0] !== prefix) {
      if (header !== undefined) whole = false; // a header without its row
      header = [prefix, ...fields];
      continue;
    }
    if (fields.length !== header.length - 1) whole = false;
    fields.slice(0, header.length - 1).forEach((field, i) => {
      if (/^-?[0-9]+$/.test(field)) values.set(`${prefix} ${header![i + 1]}`, Number(field));
      else whole = false;
    });
    header = undefined;
  }
  return { values, status: whole && header === undefined ? 'complete' : 'partial' };
}
