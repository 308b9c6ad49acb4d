import { parseInet } from '../base/inet.ts';
import type { Tuple } from '../model/event.ts';
import { flagsOf, frameOf, isConsumed, processOf, toolDrop, tupleOf } from './drop-tools.ts';
import type { EvidenceRecord, Frame, Reading, TraceRecord } from './evidence-record.ts';
import { isObject, number, object, text, type Json } from './json-fields.ts';

/**
 * One JSON object a line, as retis (`retis collect -o`, sections of v1.0 to v1.6) and pwru (`--output-json`) write them.
 * Only what was dropped is taken: their steps on the way say where a packet was, not that it was lost.
 */
export function readDropJson(lines: readonly string[]): Reading {
  const records: EvidenceRecord[] = [];
  const taken: number[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    if (!line.startsWith('{') || line.length > LONGEST) continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      continue; // another format may know it
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) continue;
    const event = value as Json;
    const read = retis(event, i) ?? pwru(event, i);
    if (read === undefined) continue;
    taken.push(i);
    records.push(...read);
  }
  return { records, taken };
}

const LONGEST = 262_144;
const MOST_FRAMES = 128;
/** Bytes of a packet that are looked at. */
const HEAD = 512;

function retis(event: Json, i: number): readonly EvidenceRecord[] | undefined {
  const common = object(event, 'common');
  const startup = object(event, isObject(event['startup']) ? 'startup' : 'md');
  if (isObject(startup['clock_monotonic_offset'])) {
    const offset = object(startup, 'clock_monotonic_offset');
    const ns = BigInt(Math.trunc(number(offset, 'sec') ?? 0)) * 1_000_000_000n + BigInt(Math.trunc(number(offset, 'nsec') ?? 0));
    return [{ kind: 'clocks', line: i + 1, wall: ns, mono: 0n, named: true }];
  }
  if (!isObject(event['common']) || !(isObject(event['kernel']) || isObject(event['userspace']) || isObject(event['startup']))) return undefined;
  const kernel = object(event, 'kernel');
  const drop = object(event, 'skb-drop');
  if (!isObject(event['skb-drop']) || isConsumed(text(drop, 'drop_reason'))) return [];
  const task = object(common, 'task');
  const skb = object(event, 'skb');
  const dev = isObject(event['dev']) ? object(event, 'dev') : isObject(skb['dev']) ? object(skb, 'dev') : { name: skb['dev_name'] };
  // a section of its own since v1.5
  const packet = isObject(event['packet']) ? object(event, 'packet') : object(skb, 'packet');
  const head = base64(text(packet, 'data') ?? text(packet, 'packet'));
  const length = number(packet, 'len') ?? number(object(skb, 'meta'), 'len');
  const pid = number(task, 'tgid') ?? number(task, 'pid');
  const subsystem = text(drop, 'subsys');
  const reason = text(drop, 'drop_reason');
  const tuple = head === undefined ? headersOf(skb) : undefined;
  return [toolDrop('retis', {
    line: i + 1, time: BigInt(Math.trunc(number(common, 'timestamp') ?? i)), text: `${text(kernel, 'symbol') ?? 'skb:kfree_skb'} ${reason ?? ''} (line ${i + 1})`, cpu: number(common, 'smp_id') ?? 0,
    stack: stackOf(kernel['stack_trace']), ...(reason === undefined ? {} : { reason: subsystem === undefined ? reason : `${subsystem}/${reason}` }),
    ...(text(task, 'comm') === undefined ? {} : { comm: text(task, 'comm')! }), ...(pid === undefined ? {} : { tid: pid }),
    told: { ...(head === undefined ? {} : { head }), ...(tuple === undefined ? {} : { tuple }), ...(length === undefined ? {} : { length }), ...(text(dev, 'name') === undefined || text(dev, 'name') === '' ? {} : { interface: text(dev, 'name')! }) },
  })];
}

/** Before the packet's bytes were kept: its headers, flat in `skb` (before 1.0) or in sections of it. */
function headersOf(skb: Json): Tuple | undefined {
  const ip = isObject(skb['ip']) ? object(skb, 'ip') : skb;
  const source = text(ip, 'saddr'), destination = text(ip, 'daddr'), protocol = number(ip, 'protocol');
  if (source === undefined || destination === undefined || protocol === undefined || parseInet(source) === undefined || parseInet(destination) === undefined) return undefined;
  const section = protocol === 6 ? 'tcp' : 'udp';
  const ports = isObject(skb[section]) ? object(skb, section) : skb;
  return tupleOf(protocol, end(source, number(ports, 'sport')), end(destination, number(ports, 'dport')));
}

const FREED = /^(?:kfree_skb_reason|sk_skb_reason_drop|kfree_skb_list_reason|kfree_skb)(?:\((?:SKB_DROP_REASON_)?(\w+)\)| \((\d+)\))?$/;

function pwru(event: Json, i: number): readonly EvidenceRecord[] | undefined {
  const name = text(event, 'func');
  if (name === undefined || text(event, 'skb') === undefined) return undefined;
  const freed = FREED.exec(name);
  if (freed === null || isConsumed(freed[1])) return [];
  const tuple = object(event, 'tuple');
  const source = text(tuple, 'saddr'), destination = text(tuple, 'daddr'), protocol = number(tuple, 'proto');
  const whole = source === undefined || destination === undefined || protocol === undefined || parseInet(source) === undefined || parseInet(destination) === undefined
    ? undefined : tupleOf(protocol, end(source, number(tuple, 'sport')), end(destination, number(tuple, 'dport')));
  const [comm, pid] = processOf(text(event, 'process') ?? '<empty>');
  const caller = frameOf(text(event, 'caller_func') ?? '');
  const ethertype = number(event, 'proto'), length = number(event, 'len'), device = text(event, 'iface');
  const time = event['time'];
  return [toolDrop('pwru', {
    line: i + 1, time: typeof time === 'number' && time > 0 ? BigInt(Math.trunc(time)) : BigInt(i), text: `${name} (line ${i + 1})`, skb: text(event, 'skb')!, cpu: number(event, 'cpu') ?? 0, comm, ...(pid === undefined ? {} : { tid: pid }),
    stack: stackOf(event['stack']), ...(freed[1] === undefined ? {} : { reason: freed[1] }), ...(caller === undefined ? {} : { place: caller }), ...(ethertype === undefined ? {} : { protocol: ethertype }),
    told: { ...(whole === undefined ? {} : { tuple: whole, ...(text(tuple, 'flags') === undefined ? {} : { flags: flagsOf(text(tuple, 'flags')!) }) }), ...(length === undefined ? {} : { length }), ...(device === undefined ? {} : { interface: device.replace(/[:(].*$/, '') }) },
  })];
}

const end = (address: string, port: number | undefined): { readonly address: string; readonly port?: number } => ({ address, ...(port === undefined ? {} : { port }) });

/** Innermost first: a list of names, an object with one, or text with a line each. */
function stackOf(value: unknown): readonly Frame[] {
  const names = Array.isArray(value) ? value : typeof value === 'string' ? value.split('\n') : typeof value === 'object' && value !== null && Array.isArray((value as Json)['raw']) ? ((value as Json)['raw'] as unknown[]) : [];
  return names.slice(0, MOST_FRAMES).flatMap((name) => {
    const frame = typeof name === 'string' ? frameOf(name.trim()) : undefined;
    return frame === undefined ? [] : [frame];
  });
}

function base64(data: string | undefined): NonNullable<TraceRecord['told']>['head'] | undefined {
  if (data === undefined || !/^[A-Za-z0-9+/]{16,}={0,2}$/.test(data)) return undefined;
  return Uint8Array.from(atob(data.slice(0, Math.ceil(HEAD / 3) * 4)), (c) => c.charCodeAt(0));
}
