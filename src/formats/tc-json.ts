import type { Qdisc, TrafficAction, TrafficClass, TrafficFilter } from '../model/network.ts';
import { decodeArray, decodeList, isObject, number, object, objects, text, wordNumber, type Decoded, type Json } from './json-fields.ts';

/** JSON of iproute2's `tc -j -s -d qdisc|filter` (tc(8)); classes are plain text, each device's under a line `# dev NAME`. */
export function decodeQdiscs(source: string): Decoded<Qdisc> {
  return decodeList(source, (o) => {
    const kind = text(o, 'kind');
    const device = text(o, 'dev');
    if (kind === undefined || device === undefined) return undefined;
    const parent = text(o, 'parent');
    return {
      kind, device,
      handle: text(o, 'handle') ?? '0:',
      root: o['root'] === true,
      options: object(o, 'options'),
      ...counters(o),
      backlogBytes: number(o, 'backlog') ?? 0,
      queued: number(o, 'qlen') ?? 0,
      ...(parent === undefined ? {} : { parent }),
    };
  });
}

export function decodeClasses(source: string): Decoded<TrafficClass> {
  if (/^\s*(class |# dev )/.test(source)) return decodeClassText(source);
  return decodeList(source, (o) => {
    const kind = text(o, 'class') ?? text(o, 'kind');
    const id = text(o, 'handle') ?? text(o, 'classid');
    if (kind === undefined || id === undefined) return undefined;
    const parent = text(o, 'parent'), leaf = text(o, 'leaf');
    const stats = object(o, 'stats');
    const rate = o['rate'] ?? object(o, 'options')['rate'], ceil = o['ceil'] ?? object(o, 'options')['ceil'];
    return {
      kind, id, device: text(o, 'dev') ?? '', ...counters(Object.keys(stats).length > 0 ? stats : o),
      ...(parent === undefined ? {} : { parent }), ...(leaf === undefined ? {} : { leaf }),
      // JSON counts bytes a second, tc(8)'s options bits
      ...(typeof rate === 'number' ? { rate: `${rate * 8}bit` } : {}), ...(typeof ceil === 'number' ? { ceil: `${ceil * 8}bit` } : {}),
    };
  });
}

function decodeClassText(source: string): Decoded<TrafficClass> {
  const values: TrafficClass[] = [];
  let skipped = 0;
  let device = '';
  for (const block of source.split(/^(?=class |# dev )/m)) {
    if (block.trim() === '') continue;
    const heading = /^# dev (\S+)/.exec(block);
    if (heading !== null) {
      device = heading[1]!;
      continue;
    }
    const m = /^class (\S+) (\S+) (?:(root)|parent (\S+))/.exec(block);
    if (m === null) {
      skipped += 1;
      continue;
    }
    const word = (key: string): string | undefined => new RegExp(`\\s${key} (\\S+)`).exec(block)?.[1];
    const sent = /Sent (\d+) bytes (\d+) pkt \(dropped (\d+), overlimits (\d+)/.exec(block);
    const parent = m[4], leaf = word('leaf'), rate = word('rate'), ceil = word('ceil');
    values.push({
      kind: m[1]!, id: m[2]!, device,
      bytes: Number(sent?.[1] ?? 0), packets: Number(sent?.[2] ?? 0), drops: Number(sent?.[3] ?? 0), overlimits: Number(sent?.[4] ?? 0),
      ...(parent === undefined ? {} : { parent }), ...(leaf === undefined ? {} : { leaf }),
      ...(rate === undefined ? {} : { rate: rate.toLowerCase() }), ...(ceil === undefined ? {} : { ceil: ceil.toLowerCase() }),
    });
  }
  return { values, status: 'ok', skipped };
}

/** The answer about a device's filters: an object of listings as tc prints them, by where they hang: `root`, `ingress`, `egress`, or a qdisc's handle. */
export function decodeFilters(source: string): Decoded<TrafficFilter> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(source);
  } catch (error) {
    if (error instanceof SyntaxError) return { values: [], status: 'malformed', skipped: 0 };
    throw error;
  }
  if (!isObject(parsed)) return { values: [], status: 'malformed', skipped: 0 };
  const lists = Object.entries(parsed).map(([where, list]) => decodeFilterList(list, where));
  return { values: lists.flatMap((l) => l.values), status: lists.some((l) => l.status !== 'ok') ? 'malformed' : 'ok', skipped: lists.reduce((n, l) => n + l.skipped, 0) };
}

function decodeFilterList(list: unknown, where: string): Decoded<TrafficFilter> {
  const direction = where === 'ingress' || where === 'egress' ? where : 'other';
  if (typeof list === 'string') return decodeFilterText(list, direction, where);
  const all = decodeArray(list, (o): TrafficFilter | 'head' | undefined => {
    const kind = text(o, 'kind');
    const preference = number(o, 'pref');
    if (kind === undefined || preference === undefined) return undefined;
    const options = object(o, 'options');
    // tc prints a head without options before the entries of each preference; u32 prints its hash tables, too
    if (Object.keys(options).length === 0 || typeof options['ht_divisor'] === 'number') return 'head';
    const parent = text(o, 'parent') ?? (direction === 'other' && where !== 'root' ? where : undefined);
    const handle = text(options, 'handle') ?? text(options, 'fh') ?? number(options, 'handle')?.toString();
    const classId = text(options, 'flowid') ?? text(options, 'classid');
    const bytecode = object(options, 'bytecode');
    const insns = objects(bytecode, 'insns').map((i) => ({ code: number(i, 'code') ?? 0, jt: number(i, 'jt') ?? 0, jf: number(i, 'jf') ?? 0, k: number(i, 'k') ?? 0 }));
    return {
      direction: directionOf(parent) ?? direction,
      protocol: text(o, 'protocol') ?? 'all',
      preference, kind,
      chain: number(o, 'chain') ?? 0,
      directAction: options['direct-action'] === true || options['direct_action'] === true,
      matches: [object(options, 'match'), ...objects(options, 'match')].flatMap((m) => {
        const value = hex(m['value']), mask = hex(m['mask']), offset = number(m, 'off');
        return value === undefined || mask === undefined || offset === undefined ? [] : [{ value, mask, offset }];
      }),
      actions: objects(options, 'actions').map(action),
      ...(parent === undefined ? {} : { parent }), ...(handle === undefined ? {} : { handle }), ...(classId === undefined ? {} : { classId }),
      ...(insns.length === 0 ? {} : { bytecode: insns }),
      ...program(options),
    };
  });
  return { ...all, values: all.values.filter((v): v is TrafficFilter => v !== 'head') };
}

/** The plain listing, which tc gives where its JSON would be broken: blocks that begin with `filter`. */
function decodeFilterText(source: string, direction: TrafficFilter['direction'], where: string): Decoded<TrafficFilter> {
  const values: TrafficFilter[] = [];
  let skipped = 0;
  for (const block of source.split(/^(?=filter )/m)) {
    if (block.trim() === '') continue;
    const m = /^filter (?:parent (\S+) )?protocol (\S+) pref (\d+) (\S+)(?: chain (\d+))?/.exec(block);
    if (m === null) {
      skipped += 1;
      continue;
    }
    const handle = /\b(?:handle|fh) (\S+)/.exec(block)?.[1];
    const actions = [...block.matchAll(/action order \d+: +(\S+)([\s\S]*?)(?=action order|$)/g)].map((a): TrafficAction => {
      const body = a[2] ?? '';
      const control = a[1] === 'gact' ? /action (\S+)/.exec(body)?.[1] : a[1] === 'police' ? /action (\S+)/.exec(body)?.[1] : undefined;
      const toDevice = /(?:to device|device) (\S+?)\)?\s/.exec(body)?.[1], rate = /\brate (\S+)/.exec(body)?.[1];
      const sent = /Sent \d+ bytes (\d+) pkts? \(dropped (\d+)/.exec(body);
      return { kind: a[1]!, packets: Number(sent?.[1] ?? 0), drops: Number(sent?.[2] ?? 0), ...(control === undefined ? {} : { control: control.split('/')[0]! }), ...(toDevice === undefined ? {} : { toDevice }), ...(rate === undefined ? {} : { rate }) };
    });
    const police = /^\s*police 0x/m.test(block) ? [{ kind: 'police', control: /action (\S+)/.exec(block)?.[1] ?? 'drop', rate: /\brate (\S+)/.exec(block)?.[1] ?? '?', drops: Number(/dropped (\d+)/.exec(block)?.[1] ?? 0), packets: 0 }] : [];
    if (handle === undefined && actions.length === 0 && police.length === 0) continue; // the head of a preference
    if (/ht divisor/.test(block)) continue;
    const id = /\bid (\d+)/.exec(block)?.[1], tag = /\btag ([0-9a-f]{16})/.exec(block)?.[1], name = /^filter .*? (\S+:\[\S*\]|\S+\.o:\S+) /.exec(block)?.[1];
    const parent = m[1] ?? (direction === 'other' && where !== 'root' ? where : undefined);
    const flowId = /\bflowid (\S+)/.exec(block)?.[1];
    values.push({
      direction: directionOf(parent) ?? direction, protocol: m[2]!, preference: Number(m[3]), kind: m[4]!, chain: Number(m[5] ?? 0), directAction: /direct-action/.test(block),
      matches: [...block.matchAll(/match ([0-9a-f]{8})\/([0-9a-f]{8}) at (\d+)/g)].map((x) => ({ value: Number.parseInt(x[1]!, 16), mask: Number.parseInt(x[2]!, 16), offset: Number(x[3]) })),
      actions: [...actions, ...police],
      ...(handle === undefined ? {} : { handle }), ...(parent === undefined ? {} : { parent }), ...(flowId === undefined ? {} : { classId: flowId }),
      ...(id === undefined && tag === undefined ? {} : { program: { ...(name === undefined ? {} : { name }), ...(id === undefined ? {} : { id: Number(id) }), ...(tag === undefined ? {} : { tag }) } }),
    });
  }
  return { values, status: 'ok', skipped };
}

function program(options: Json): Pick<TrafficFilter, 'program'> {
  const prog = object(options, 'prog');
  const name = text(prog, 'name') ?? text(options, 'bpf_name'), id = number(prog, 'id'), tag = text(prog, 'tag') ?? text(options, 'tag');
  if (name === undefined && id === undefined && tag === undefined) return {};
  return { program: { ...(name === undefined ? {} : { name }), ...(id === undefined ? {} : { id }), ...(tag === undefined ? {} : { tag }) } };
}

function action(o: Json): TrafficAction {
  const control = text(object(o, 'control_action'), 'type') ?? text(o, 'control_action');
  const toDevice = text(o, 'to_dev'), index = number(o, 'index'), rate = o['rate'];
  const stats = object(o, 'stats');
  return {
    kind: text(o, 'kind') ?? 'unknown',
    drops: number(stats, 'drops') ?? 0,
    packets: number(stats, 'packets') ?? 0,
    ...(control === undefined ? {} : { control }), ...(toDevice === undefined ? {} : { toDevice }), ...(index === undefined ? {} : { index }),
    ...(typeof rate === 'number' || typeof rate === 'string' ? { rate: String(rate) } : {}),
  };
}

function directionOf(parent: string | undefined): 'ingress' | 'egress' | undefined {
  if (parent === undefined) return undefined;
  return parent === 'ingress' || parent.endsWith('fff2') || parent === 'ffff:' ? 'ingress' : parent.endsWith('fff3') ? 'egress' : undefined;
}

function counters(o: Json): { bytes: number; packets: number; drops: number; overlimits: number } {
  return { bytes: number(o, 'bytes') ?? 0, packets: number(o, 'packets') ?? 0, drops: number(o, 'drops') ?? 0, overlimits: number(o, 'overlimits') ?? 0 };
}

function hex(value: unknown): number | undefined {
  return typeof value === 'string' && /^[0-9a-fA-F]{1,8}$/.test(value) ? Number.parseInt(value, 16) : wordNumber(value);
}
