import { placeText } from '../base/symbol.ts';
import type { CallEvent, DropEvent } from '../model/event.ts';
import { ethertypeName } from '../model/counter.ts';
import { protocolName } from '../model/flow.ts';
import type { Incident } from '../model/incident.ts';
import type { LossLine, ReportHost } from '../report/index.ts';
import type { Undescribed } from './undescribed.ts';

/** What every export is made of: a recording that was judged. */
export interface Exported {
  readonly host: ReportHost;
  /** CLOCK_REALTIME minus CLOCK_MONOTONIC, ns. */
  readonly realtimeOffset: bigint;
  readonly netnsNames: ReadonlyMap<number, string>;
  readonly incidents: readonly Incident[];
  readonly losses: readonly LossLine[];
  /** In order of time. */
  readonly events: readonly ExportedEvent[];
}

export interface ExportedEvent {
  readonly event: DropEvent | CallEvent;
  /** The incident that it belongs to, where one is known. */
  readonly incident?: { readonly id: string; readonly cause: string };
  /** The captured head; only drops seen by the BPF probe have one. */
  readonly captured?: CapturedHead;
}

export interface CapturedHead {
  readonly bytes: Uint8Array;
  /** Length of the whole packet from the same first byte. */
  readonly originalLength: number;
  /** The bytes begin with an Ethernet header, or with the header of `DropEvent.protocol`. */
  readonly begins: 'ethernet' | 'network';
}

/** One event as a flat row: the columns of CSV and of the query tables. Undefined: not known. */
export interface Row {
  readonly time_ns: bigint; //       since 1970
  readonly kind: 'drop' | 'call';
  readonly incident: string | undefined;
  readonly cause: string | undefined;
  readonly netns: number;
  readonly netns_name: string | undefined;
  readonly interface: string | undefined;
  readonly reason: string | undefined;
  readonly symbol: string | undefined;
  readonly module: string | undefined;
  readonly protocol: string | undefined;
  readonly source: string | undefined;
  readonly source_port: number | undefined;
  readonly destination: string | undefined;
  readonly destination_port: number | undefined;
  readonly length: number | undefined;
  readonly mark: number | undefined;
  readonly cpu: number;
  /** The task that ran; for a drop in softirq only who was interrupted, then `softirq` is 1. */
  readonly pid: number;
  readonly process: string;
  readonly uid: number | undefined;
  readonly softirq: number;
  readonly syscall: string | undefined;
  readonly errno: string | undefined;
  readonly probe: string | undefined;
  readonly stack: string | undefined;
  /** `ip`, `ipv6`, `arp`, …: that of the counter. */
  readonly ethertype: string | undefined;
}

/** A row of the table `counted`: an event that was described, or many that were only counted. The latter lack what only a description tells. */
export type CountedRow = { readonly [C in keyof Row]?: Row[C] | undefined } & {
  /** 1: of an event; 0: of a counter. */
  readonly described: number;
  /** Packets or calls. */
  readonly count: bigint;
  readonly bytes: bigint | undefined;
};

export const COLUMNS = ['time_ns', 'kind', 'incident', 'cause', 'netns', 'netns_name', 'interface', 'reason', 'symbol', 'module', 'protocol', 'source', 'source_port', 'destination', 'destination_port', 'length', 'mark', 'cpu', 'pid', 'process', 'uid', 'softirq', 'syscall', 'errno', 'probe', 'stack', 'ethertype'] as const satisfies readonly (keyof Row)[];

export function rowOf({ event, incident }: ExportedEvent, exported: Pick<Exported, 'realtimeOffset' | 'netnsNames'>): Row {
  const common = {
    time_ns: event.time + exported.realtimeOffset,
    incident: incident?.id, cause: incident?.cause,
    netns: event.netns, netns_name: exported.netnsNames.get(event.netns),
    cpu: event.cpu, pid: event.task.pid, process: event.task.comm, uid: event.task.uid,
  };
  if (event.kind === 'call') {
    const to = endOf(event.destination ?? event.socket?.remote);
    const from = endOf(event.socket?.local);
    return {
      ...common, kind: 'call', interface: undefined, reason: undefined, symbol: undefined, module: undefined,
      protocol: event.socket === undefined ? undefined : protocolName(event.socket.protocol),
      source: from?.address, source_port: from?.port, destination: to?.address, destination_port: to?.port,
      length: event.length, mark: undefined, softirq: 0, syscall: event.syscall, errno: event.errno, probe: undefined, stack: undefined, ethertype: undefined,
    };
  }
  const { ip, arp, transport } = event.packet;
  const ports = transport !== undefined && 'sourcePort' in transport ? transport : undefined;
  return {
    ...common, kind: 'drop', interface: event.interface, reason: event.reason.name,
    symbol: event.place.name, module: event.place.module,
    protocol: arp !== undefined ? 'arp' : ip === undefined ? undefined : protocolName(ip.protocol),
    source: ip?.source ?? arp?.sender, source_port: ports?.sourcePort, destination: ip?.destination ?? arp?.target, destination_port: ports?.destinationPort,
    length: event.probe === 'tracefs' ? undefined : event.length, mark: event.probe === 'tracefs' ? undefined : event.mark,
    softirq: event.softirq ? 1 : 0, syscall: undefined, errno: undefined, probe: event.probe,
    stack: event.stack.length === 0 ? undefined : event.stack.map(placeText).join(';'),
    ethertype: ethertypeName(event.protocol),
  };
}

/** {@link rowOf} for the table `counted`. */
export function countedRowOf(row: Row): CountedRow {
  return { ...row, described: 1, count: 1n, bytes: row.kind === 'call' || row.length === undefined ? undefined : BigInt(row.length) };
}

export function undescribedRowOf(rest: Undescribed, exported: Pick<Exported, 'realtimeOffset' | 'netnsNames'>): CountedRow {
  const { counter, incident, like } = rest;
  const common = { described: 0, time_ns: rest.time + exported.realtimeOffset, incident: incident?.id, cause: incident?.cause, count: BigInt(rest.count) };
  if (counter.kind === 'call-count') {
    const { pid, syscall, errno } = counter;
    return { ...common, kind: 'call', bytes: undefined, pid, syscall, errno, netns: like?.netns, netns_name: like === undefined ? undefined : exported.netnsNames.get(like.netns), process: like?.task.comm, uid: like?.task.uid };
  }
  const ethertype = ethertypeName(counter.protocol);
  return {
    ...common, kind: 'drop', bytes: BigInt(rest.bytes), netns: counter.netns, netns_name: exported.netnsNames.get(counter.netns),
    interface: counter.ifindex === 0 ? undefined : (rest.interface ?? `#${counter.ifindex}`),
    reason: counter.reason.name, symbol: counter.place.name, module: counter.place.module, ethertype, protocol: ethertype === 'arp' ? 'arp' : undefined, probe: 'bpf',
  };
}

function endOf(text: string | undefined): { readonly address: string; readonly port?: number } | undefined {
  if (text === undefined) return undefined;
  const m = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  return m === null ? { address: text } : { address: m[1] ?? m[2] ?? '', port: Number(m[3]) };
}

/** ISO 8601 with nanoseconds, of ns since 1970. */
export function isoNs(ns: bigint): string {
  const ms = Number(ns / 1_000_000n);
  if (!(Math.abs(ms) <= 8.64e15)) return String(ns);
  return `${new Date(ms).toISOString().slice(0, -1)}${String(ns % 1_000_000n).padStart(6, '0')}Z`;
}
