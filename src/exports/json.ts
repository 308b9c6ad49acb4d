import { COLUMNS, isoNs, rowOf, type Exported } from './exported.ts';

/**
 * One JSON object: `host`, `incidents` as the contract has them (docs/json-schema/incident.json), `losses`, and `events`
 * with what is known of each. ns are text (64 bit). Written in pieces: a recording may be large.
 */
export function* jsonOf(exported: Exported): Generator<string> {
  const { host, incidents, losses } = exported;
  yield `{"type":"export","version":1,"host":${json(host)},\n"incidents":[${incidents.map(json).join(',\n')}],\n"losses":${json(losses)},\n"events":[`;
  let first = true;
  for (const e of exported.events) {
    const row = rowOf(e, exported);
    const fields: Record<string, unknown> = { time: isoNs(row.time_ns) };
    for (const column of COLUMNS) {
      const value = row[column];
      if (value === undefined || column === 'stack') continue;
      fields[column] = typeof value === 'bigint' ? value.toString() : column === 'softirq' ? value === 1 : value;
    }
    if (e.event.kind === 'drop') {
      if (e.event.stack.length > 0) fields['stack'] = row.stack?.split(';');
      fields['packet'] = e.event.packet;
      if (e.captured !== undefined) fields['head'] = hex(e.captured.bytes);
      if (e.event.conntrack !== undefined) fields['conntrack'] = e.event.conntrack;
    }
    if (e.event.socket !== undefined) fields['socket'] = e.event.socket;
    yield `${first ? '\n' : ',\n'}${json(fields)}`;
    first = false;
  }
  yield ']}\n';
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/** No character that a terminal or a page of HTML would act on is left bare: a reader of JSON sees the same. */
function json(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? v.toString() : v))
    .replace(/[<>&\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
