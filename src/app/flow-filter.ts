import { nearest } from '../base/nearest.ts';
import { causes } from '../causes/index.ts';
import type { Event } from '../model/event.ts';
import type { Packet } from '../model/packet.ts';
import { UsageError } from './exit.ts';

/** The filter options of the command line, as they were given. */
export interface FilterOptions {
  readonly pid: readonly number[];
  readonly protocol: readonly string[];
  readonly port: readonly number[];
  readonly address: readonly string[];
  readonly cause: readonly string[];
}

/** What the user wants to see: `--pid`, `--protocol`, `--port`, `--address`. Empty lists let everything through. */
export interface FlowFilter {
  readonly pids: readonly number[];
  readonly protocols: readonly string[];
  readonly ports: readonly number[];
  readonly addresses: readonly string[];
}

export const filtersAnything = (f: FlowFilter): boolean => f.pids.length + f.protocols.length + f.ports.length + f.addresses.length > 0;

/** IANA numbers of the names that `--protocol` takes; a number is taken as it is. */
export const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, igmp: 2, tcp: 6, udp: 17, dccp: 33, gre: 47, esp: 50, ah: 51, icmp6: 58, sctp: 132, udplite: 136 };

/** Whether an event is about what the user asked for. Answers, counts and conntrack events always are. */
export function wanted(filter: FlowFilter, event: Event): boolean {
  switch (event.kind) {
    case 'drop': {
      // in softirq the task is only who was interrupted
      if (filter.pids.length > 0 && !event.softirq && !filter.pids.includes(event.task.pid)) return false;
      return matches(filter, endpoints(event.packet), event.packet.arp !== undefined ? 'arp' : event.packet.ip?.protocol);
    }
    case 'call': {
      if (filter.pids.length > 0 && !filter.pids.includes(event.task.pid)) return false;
      const ends = [event.destination, event.socket?.local, event.socket?.remote].flatMap((e) => (e === undefined ? [] : [split(e)]));
      return matches(filter, ends, event.socket?.protocol);
    }
    default:
      return true;
  }
}

interface End {
  readonly address: string;
  readonly port?: number;
}

function matches(filter: FlowFilter, ends: readonly End[], protocol: number | 'arp' | undefined): boolean {
  if (filter.protocols.length > 0 && !filter.protocols.some((p) => p === protocol || (PROTOCOLS[p] ?? Number(p)) === protocol)) return false;
  if (filter.ports.length > 0 && !ends.some((e) => e.port !== undefined && filter.ports.includes(e.port))) return false;
  if (filter.addresses.length > 0 && !ends.some((e) => filter.addresses.includes(e.address))) return false;
  return true;
}

function endpoints(packet: Packet): End[] {
  const ends: End[] = [];
  for (const p of [packet, packet.quoted, packet.inner?.packet]) {
    if (p?.arp !== undefined) ends.push({ address: p.arp.sender }, { address: p.arp.target });
    if (p?.ip === undefined) continue;
    const t = p.transport;
    const ports = t !== undefined && 'sourcePort' in t ? { source: t.sourcePort, destination: t.destinationPort } : undefined;
    ends.push({ address: p.ip.source, ...(ports && { port: ports.source }) }, { address: p.ip.destination, ...(ports && { port: ports.destination }) });
  }
  return ends;
}

/** `10.0.0.1:53`, `[fd00::1]:53`, or an address alone. */
function split(end: string): End {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(end);
  if (match === null) return { address: end };
  return { address: match[1] ?? match[2] ?? '', port: Number(match[3]) };
}

/** The filter options, or one line that says which is wrong. */
export function checkedFilter(options: FilterOptions): FlowFilter {
  for (const protocol of options.protocol) {
    if (protocol === 'arp' || PROTOCOLS[protocol] !== undefined || /^\d{1,3}$/.test(protocol)) continue;
    const near = nearest(protocol, ['arp', ...Object.keys(PROTOCOLS)]);
    throw new UsageError(`no protocol ${protocol}${near === undefined ? '' : `; did you mean ${near}?`}`);
  }
  for (const cause of options.cause) {
    if (causes.some((c) => c.id === cause || c.id.startsWith(`${cause}.`))) continue;
    const near = nearest(cause, causes.map((c) => c.id));
    throw new UsageError(`no cause ${cause}${near === undefined ? '' : `; did you mean ${near}?`} (whydrop explain lists them)`);
  }
  for (const port of options.port) if (port < 1 || port > 65535) throw new UsageError(`no port ${port}: ports are 1 to 65535`);
  return { pids: options.pid, protocols: options.protocol, ports: options.port, addresses: options.address };
}
