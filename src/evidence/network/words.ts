import type { CallEvent, DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { EvidenceLine } from '../../model/incident.ts';
import type { Link, PolicyRule, Route } from '../../model/network.ts';
import { flowOf } from '../../model/flow.ts';
import type { Symptom } from '../../model/symptom.ts';
import { plainAddress, splitEndpoint } from '../../base/inet.ts';
import { shellQuote } from '../../base/text.ts';

export { isMulticastAddress, plainAddress } from '../../base/inet.ts';

/** The function's name without what the compiler appended: `ip_rcv_core.constprop.0` is `ip_rcv_core`. */
export function symbolOf(drop: DropEvent): string {
  return bare(drop.place.name ?? '');
}

const bare = (name: string): string => name.replace(/\.(constprop|isra|part|cold|llvm)\b.*$/, '');

export function inStack(drop: DropEvent, ...names: readonly string[]): boolean {
  return drop.stack.some((f) => f.name !== undefined && names.includes(bare(f.name)));
}

/** The packet was on its way through this host. */
export function isForwarded(drop: DropEvent): boolean {
  const symbol = symbolOf(drop);
  return /^(ip6?_forward|ip_forward_finish|ip6_forward_finish)$/.test(symbol) || inStack(drop, 'ip_forward', 'ip6_forward', 'ip_forward_finish', 'ip6_forward_finish');
}

/** `udp 10.0.0.1:4711 > 10.0.0.2:53` */
export function packetText(drop: DropEvent): string {
  const flow = flowOf(drop.packet);
  if (flow !== undefined) return `${flow.protocol} ${flow.source} > ${flow.destination}`;
  const { ethernet } = drop.packet;
  return ethernet === undefined ? `a packet of protocol 0x${drop.protocol.toString(16).padStart(4, '0')}` : `${ethernet.source} > ${ethernet.destination}, protocol 0x${drop.protocol.toString(16).padStart(4, '0')}`;
}

export function dropLine(evidence: Evidence, drop: DropEvent): EvidenceLine {
  const where = drop.place.name === undefined ? `0x${drop.place.address.toString(16)}` : drop.place.name;
  return { source: 'drop probe', time: evidence.iso(drop.time), text: `${drop.reason.name} at ${where}${drop.interface === undefined ? '' : ` on ${drop.interface}`}: ${packetText(drop)}, ${drop.length} bytes` };
}

export function callLine(evidence: Evidence, call: CallEvent): EvidenceLine {
  return { source: 'call probe', time: evidence.iso(call.time), text: `${call.syscall}${destinationOf(call) === undefined ? '' : ` to ${call.destination ?? call.socket?.remote}`} by ${call.task.comm} (pid ${call.task.pid}) = -1 ${call.errno}` };
}

export function symptomLine(evidence: Evidence, symptom: Symptom): EvidenceLine {
  switch (symptom.kind) {
    case 'drop': return dropLine(evidence, symptom.drop);
    case 'call': return callLine(evidence, symptom.call);
    case 'counter': return { source: 'counters', time: evidence.iso(symptom.first), text: `${symptom.counter}: ${symptom.before} → ${symptom.after}` };
    case 'log': return { source: symptom.file, time: evidence.iso(symptom.first), text: symptom.line };
  }
}

/** Where a failed call wanted to send to. */
export function destinationOf(call: CallEvent): { readonly address: string; readonly port?: number } | undefined {
  const text = /^(recv|read)/.test(call.syscall) ? call.socket?.remote : call.destination ?? call.socket?.remote;
  const end = text === undefined ? undefined : splitEndpoint(text);
  if (end === undefined) return undefined;
  return { ...end, address: plainAddress(end.address) };
}

export function sourceOf(call: CallEvent): string | undefined {
  const end = call.socket?.local === undefined ? undefined : splitEndpoint(call.socket.local);
  const address = end === undefined ? undefined : plainAddress(end.address);
  return address === undefined || address === '0.0.0.0' || address === '::' ? undefined : address;
}

export const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);

/** A call that routing and devices can make fail: it sends, or it reports what became of an earlier packet of its socket. */
export function isSend(call: CallEvent): boolean {
  return /^(send|write|connect|io_uring|recv|read)/.test(call.syscall);
}

/** `blackhole 10.0.9.0/24`, `10.8.0.0/16 via 10.0.0.2 dev eth0 table 77`: words that `ip route del` takes. */
export function routeText(r: Route): string {
  const type = r.type === 'unicast' ? '' : `${r.type} `;
  const via = r.gateway === undefined ? '' : ` via ${r.gateway}`;
  const dev = r.device === undefined || isRefusal(r) ? '' : ` dev ${shellQuote(r.device)}`;
  const table = r.table === 'main' ? '' : ` table ${r.table}`;
  return `${type}${r.destination}${via}${dev}${r.metric === 0 || (r.family === 6 && r.metric === 1024) ? '' : ` metric ${r.metric}`}${table}`;
}

/** As {@link routeText}, in the words that `ip route` takes: a route that refuses by its nexthop object has no type of its own. */
export function routeSpec(r: Route): string {
  if (r.nexthopId === undefined) return routeText(r);
  return `${r.destination} nhid ${r.nexthopId}${r.metric === 0 || (r.family === 6 && r.metric === 1024) ? '' : ` metric ${r.metric}`}${r.table === 'main' ? '' : ` table ${r.table}`}`;
}

export const isRefusal = (r: Route): boolean => r.type === 'blackhole' || r.type === 'unreachable' || r.type === 'prohibit';

const IPPROTO: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'ipv6-icmp', 132: 'sctp' };

/** `from 10.0.1.0/28 to 10.0.2.0/24 prohibit`, in the words that `ip rule` takes. */
export function ruleText(r: PolicyRule): string {
  const ports = (name: string, range: readonly [number, number] | undefined): string => (range === undefined ? '' : `${name} ${range[0]}${range[1] === range[0] ? '' : `-${range[1]}`}`);
  const parts = [
    r.not ? 'not' : '', `from ${r.from ?? 'all'}`, r.to === undefined ? '' : `to ${r.to}`, r.iif === undefined ? '' : `iif ${shellQuote(r.iif)}`, r.oif === undefined ? '' : `oif ${shellQuote(r.oif)}`,
    r.mark === undefined ? '' : `fwmark 0x${r.mark.toString(16)}${r.markMask === undefined ? '' : `/0x${r.markMask.toString(16)}`}`,
    r.tos === undefined ? '' : `tos 0x${r.tos.toString(16)}`,
    r.protocol === undefined ? '' : `ipproto ${IPPROTO[r.protocol] ?? r.protocol}`, ports('sport', r.sourcePorts), ports('dport', r.destinationPorts), r.uids === undefined ? '' : `uidrange ${r.uids[0]}-${r.uids[1]}`,
    r.action === 'lookup' ? `lookup ${r.table ?? 'main'}${r.suppressPrefixLength === undefined ? '' : ` suppress_prefixlength ${r.suppressPrefixLength}`}` : r.action,
  ];
  return parts.filter((p) => p !== '').join(' ');
}

export function linkState(l: Link): string {
  return `${l.name}: <${l.flags.join(',')}> state ${l.operstate} mtu ${l.mtu}${l.qdisc === undefined ? '' : ` qdisc ${l.qdisc}`}`;
}

export const isMulticastMac = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
