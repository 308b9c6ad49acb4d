import { parseInet } from '../base/inet.ts';
import { IPS } from '../model/conntrack.ts';
import type { RuleVerdict, Tuple } from '../model/event.ts';
import { base64Head, stackOf, tupleFrom } from './tool-json.ts';
import { isConsumed, toolDrop, tupleOf } from './drop-tools.ts';
import type { EvidenceRecord, TraceRecord } from './evidence-record.ts';
import { isObject, number, object, text, type Json } from './json-fields.ts';

/**
 * Events of retis (`retis collect -o`, sorted or not), of every layout up to 2026: flat `skb` sections (before 1.0),
 * `skb.dev`, `skb.ns.netns`, `skb.packet.packet` (to 1.5), sections of their own (`packet.data`, `dev`, `netns.inum`, 1.6),
 * `startup.machine` and `ct.proto_state` (after 1.6). Only what was dropped is a drop. What it saw of the same packet
 * before, nft's verdict and its conntrack entry, goes with the drop; an OVS upcall that was refused is a remark.
 */
export function createRetis(): (event: Json, line: number) => readonly EvidenceRecord[] | undefined {
  /** Of packets on their way, by what retis tells them apart: the last sections that a drop may lack. */
  const seen = new Map<string, { verdict?: RuleVerdict; conntrack?: Json }>();
  return (event, line) => {
    const started = startup(event, line);
    if (started !== undefined) return started;
    if (!isObject(event['common']) || !SECTIONS.some((name) => isObject(event[name]))) return undefined;
    const key = packetKey(event);
    const known = key === undefined ? undefined : seen.get(key);
    const verdict = verdictOf(object(event, 'nft'));
    const conntrack = isObject(event['ct']) ? object(event, 'ct') : undefined;
    if (key !== undefined && (verdict !== undefined || conntrack !== undefined)) {
      if (seen.size >= MOST_PACKETS) seen.clear();
      seen.set(key, { ...known, ...(verdict === undefined ? {} : { verdict }), ...(conntrack === undefined ? {} : { conntrack }) });
    }
    if (!isObject(event['skb-drop'])) return refusedUpcall(object(event, 'ovs'), line);
    if (key !== undefined) seen.delete(key);
    return isConsumed(text(object(event, 'skb-drop'), 'drop_reason')) ? [] : [drop(event, line, verdict ?? known?.verdict, conntrack ?? known?.conntrack)];
  };
}

const MOST_PACKETS = 10_000;
const SECTIONS = ['kernel', 'userspace', 'startup', 'skb', 'skb-drop', 'skb-tracking', 'tracking', 'packet', 'netns', 'dev', 'ovs', 'ovs-detrace', 'nft', 'ct'];

/** The first event of a file: how its monotonic times are to be read, and of which kernel it is. */
function startup(event: Json, line: number): readonly EvidenceRecord[] | undefined {
  const section = object(event, isObject(event['startup']) ? 'startup' : 'md');
  if (!isObject(section['clock_monotonic_offset'])) return undefined;
  const offset = object(section, 'clock_monotonic_offset');
  const wall = BigInt(Math.trunc(number(offset, 'sec') ?? 0)) * 1_000_000_000n + BigInt(Math.trunc(number(offset, 'nsec') ?? 0));
  const release = text(object(section, 'machine'), 'kernel_release');
  return [{ kind: 'clocks', line, wall, mono: 0n, named: true }, ...(release === undefined || !/^\d/.test(release) ? [] : [{ kind: 'kernel' as const, line, release }])];
}

/** skb-tracking's own identity; without it the task on its CPU, which handles one packet at a time. */
function packetKey(event: Json): string | undefined {
  const tracking = isObject(event['skb-tracking']) ? object(event, 'skb-tracking') : object(object(event, 'tracking'), 'skb');
  if (number(tracking, 'orig_head') !== undefined) return `${number(tracking, 'orig_head')} ${number(tracking, 'timestamp')}`;
  const common = object(event, 'common');
  return number(common, 'smp_id') === undefined ? undefined : `cpu ${number(common, 'smp_id')} ${number(object(common, 'task'), 'pid') ?? ''}`;
}

function verdictOf(nft: Json): RuleVerdict | undefined {
  const table = text(nft, 'table_name'), chain = text(nft, 'chain_name'), rule = number(nft, 'rule_handle');
  return text(nft, 'verdict') !== 'drop' || table === undefined || chain === undefined ? undefined : { table, chain, ...(rule === undefined || nft['policy'] === true ? {} : { rule }) };
}

/** openvswitch: a packet for ovs-vswitchd that could not be handed over (-ENOBUFS: it does not read fast enough) is lost. */
function refusedUpcall(ovs: Json, line: number): readonly EvidenceRecord[] {
  const ret = number(ovs, 'ret');
  const kind = text(ovs, 'event_type');
  if (ret === undefined || ret >= 0 || (kind !== 'upcall_enqueue' && kind !== 'upcall_return')) return [];
  const why = ret === -105 ? 'ENOBUFS: ovs-vswitchd does not read its upcalls fast enough' : ret === -111 ? 'ECONNREFUSED: nobody listens for the port' : `error ${-ret}`;
  return [{ kind: 'remark', line, text: `Open vSwitch could not hand a packet to ovs-vswitchd${number(ovs, 'port') === undefined ? '' : ` (netlink port ${number(ovs, 'port')})`}, ${why}: packets of new flows are lost then.` }];
}

function drop(event: Json, line: number, verdict: RuleVerdict | undefined, ct: Json | undefined): TraceRecord {
  const common = object(event, 'common'), kernel = object(event, 'kernel'), skb = object(event, 'skb'), why = object(event, 'skb-drop'), task = object(common, 'task');
  const dev: Json = isObject(event['dev']) ? object(event, 'dev') : isObject(skb['dev']) ? object(skb, 'dev') : { name: skb['dev_name'], ifindex: skb['ifindex'] };
  const ns: Json = isObject(event['netns']) ? object(event, 'netns') : isObject(skb['ns']) ? object(skb, 'ns') : skb;
  const packet = isObject(event['packet']) ? object(event, 'packet') : object(skb, 'packet');
  const head = base64Head(text(packet, 'data') ?? text(packet, 'raw') ?? text(packet, 'packet'));
  const length = number(packet, 'len') ?? number(object(skb, 'meta'), 'len');
  const tid = number(task, 'tgid') ?? number(task, 'pid'), reason = text(why, 'drop_reason'), subsystem = text(why, 'subsys'), comm = text(task, 'comm');
  const tuple = head === undefined ? headersOf(skb) : undefined;
  const flags = number(object(skb, 'tcp'), 'flags') ?? number(skb, 'tcp_flags');
  const name = text(dev, 'name'), ifindex = number(dev, 'ifindex'), inode = number(ns, 'inum') ?? number(ns, 'netns');
  const conntrack = ct === undefined ? undefined : conntrackOf(ct);
  return toolDrop('retis', {
    line, time: timeOf(common, line), text: `${text(kernel, 'symbol') ?? 'skb:kfree_skb'} ${subsystem === undefined ? '' : `${subsystem}/`}${reason ?? ''} (line ${line})`, cpu: number(common, 'smp_id') ?? 0,
    stack: stackOf(kernel['stack_trace']), ...(reason === undefined ? {} : { reason }), ...(comm === undefined ? {} : { comm }), ...(tid === undefined ? {} : { tid }),
    told: {
      ...(head === undefined ? {} : { head }), ...(tuple === undefined ? {} : { tuple, ...(flags === undefined ? {} : { flags }) }), ...(length === undefined ? {} : { length }),
      ...(name === undefined || name === '' ? {} : { interface: name }), ...(ifindex === undefined ? {} : { ifindex }),
      ...(inode === undefined || !(inode > 0 && inode <= 0xffff_ffff) ? {} : { netns: { inode } }), ...(verdict === undefined ? {} : { verdict }), ...(conntrack === undefined ? {} : { conntrack }),
    },
  });
}

function timeOf(common: Json, line: number): bigint {
  const timestamp = number(common, 'timestamp');
  return timestamp !== undefined && Number.isFinite(timestamp) ? BigInt(Math.trunc(timestamp)) : BigInt(line);
}

/** Before the packet's bytes were kept: its headers, flat in `skb` (before 1.0) or in sections of it. */
function headersOf(skb: Json): Tuple | undefined {
  const ip = isObject(skb['ip']) ? object(skb, 'ip') : skb;
  const protocol = number(ip, 'protocol');
  const ports = protocol === 6 || protocol === 17 ? (isObject(skb[protocol === 6 ? 'tcp' : 'udp']) ? object(skb, protocol === 6 ? 'tcp' : 'udp') : skb) : {};
  return tupleFrom(protocol, text(ip, 'saddr'), text(ip, 'daddr'), number(ports, 'sport'), number(ports, 'dport'));
}

/** enum ip_conntrack_info. */
const INFO: Readonly<Record<string, number>> = { established: 0, related: 1, new: 2, reply: 3, related_reply: 4, untracked: 7 };
const PROTOCOL: Readonly<Record<string, number>> = { tcp: 6, udp: 17, icmp: 1, icmpv6: 58, sctp: 132 };

function conntrackOf(ct: Json): NonNullable<TraceRecord['told']>['conntrack'] | undefined {
  const info = INFO[text(ct, 'state') ?? ''];
  if (info === undefined) return undefined;
  // without its status (to 1.5), whether a new entry was in the table yet is not known: none is better than a wrong one
  const status = number(ct, 'ct_status') ?? (info === 2 ? undefined : info === 7 ? 0 : IPS.CONFIRMED | (info >= 3 ? IPS.SEEN_REPLY : 0));
  if (status === undefined) return undefined;
  const original = ctTuple(object(ct, 'orig')), reply = ctTuple(object(ct, 'reply')), mark = number(ct, 'mark');
  return { info, status, ...(original === undefined ? {} : { original }), ...(reply === undefined ? {} : { reply }), ...(mark === undefined ? {} : { mark }) };
}

function ctTuple(side: Json): Tuple | undefined {
  const ip = object(side, 'ip'), proto = object(side, 'proto');
  const kind = Object.keys(PROTOCOL).find((k) => isObject(proto[k]));
  const source = text(ip, 'src'), destination = text(ip, 'dst');
  if (kind === undefined || source === undefined || destination === undefined || parseInet(source) === undefined || parseInet(destination) === undefined) return undefined;
  const body = object(proto, kind);
  const protocol = kind === 'icmp' && source.includes(':') ? PROTOCOL['icmpv6']! : PROTOCOL[kind]!;
  if (protocol === 1 || protocol === 58) return { ...tupleOf(protocol, { address: source }, { address: destination }), ...(number(body, 'id') === undefined ? {} : { sourcePort: number(body, 'id')! }), destinationPort: ((number(body, 'type') ?? 0) << 8) | (number(body, 'code') ?? 0) };
  return tupleFrom(protocol, source, destination, number(body, 'sport'), number(body, 'dport'));
}
