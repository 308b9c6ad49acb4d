import type { Netns } from '../../base/brand.ts';
import { shellQuote } from '../../base/text.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Neighbour } from '../../model/network.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { iproute } from '../netns.ts';
import { routedPacket } from './packet.ts';
import { linkNamed, links, neighbours, routes } from './read.ts';
import { decideRoute } from './routing.ts';

/** Whom the packet had to be handed to on the link. */
export interface NextHop {
  readonly address: string;
  readonly device: string;
  readonly destination: string;
  /** `address` is a router for `destination`. */
  readonly gateway: boolean;
  readonly entry?: Neighbour;
}

/** Next hop of a symptom's packet, and what the neighbour table says of it. Undefined when the symptom has no destination. */
export function nextHopOf(evidence: Evidence, symptom: Symptom): Maybe<NextHop> | undefined {
  if (symptom.kind === 'counter') return symptom.neighbour === undefined ? undefined : waitedFor(evidence, symptom.netns, symptom.neighbour);
  const routed = routedPacket(evidence, symptom);
  if (routed === undefined) return symptom.kind === 'call' ? onlyFailure(evidence, symptom.netns) : undefined;
  if (isUnavailable(routed)) return routed;
  const decision = decideRoute(evidence, symptom.netns, routed.packet);
  if (isUnavailable(decision)) return decision;
  const near = neighbours(evidence, symptom.netns);
  if (isUnavailable(near) && near.unavailable === 'pending') return near;
  const route = decision.kind === 'route' ? decision.route : undefined;
  const hop = route?.nexthops.find((n) => n.device === undefined || symptom.kind !== 'drop' || n.device === symptom.drop.interface);
  const device = (symptom.kind === 'drop' && symptom.drop.interface !== 'lo' ? symptom.drop.interface : undefined) ?? route?.device ?? hop?.device;
  const address = route?.gateway ?? hop?.gateway ?? routed.to;
  if (device === undefined) return undefined;
  // an output device's own route may be another when a forwarded packet's drop names the way out
  const entry = isUnavailable(near) ? undefined : near.find((n) => n.address === address && n.device === device && !n.proxy);
  return { address, device, destination: routed.to, gateway: address !== routed.to, ...(entry === undefined ? {} : { entry }) };
}

/** The neighbour that has not answered so far; its own address stands for those of the packets that wait for it. */
function waitedFor(evidence: Evidence, netns: Netns, waiting: { readonly address: string; readonly ifindex: number }): Maybe<NextHop> | undefined {
  const { address, ifindex } = waiting;
  const all = links(evidence, netns), near = neighbours(evidence, netns), table = routes(evidence, netns, address.includes(':') ? 6 : 4);
  for (const a of [all, near, table]) if (isUnavailable(a)) return a;
  if (isUnavailable(all) || isUnavailable(near) || isUnavailable(table)) return undefined;
  const device = all.find((l) => l.index === ifindex)?.name;
  if (device === undefined) return undefined;
  const entry = near.find((n) => n.address === address && n.device === device && !n.proxy);
  const gateway = table.some((r) => r.gateway === address || r.nexthops.some((n) => n.gateway === address));
  return { address, device, destination: address, gateway, ...(entry === undefined ? {} : { entry }) };
}

/** A call that does not say where it sent to (recvfrom, with the error of an earlier packet): the one neighbour that fails here. */
function onlyFailure(evidence: Evidence, netns: Netns): Maybe<NextHop> | undefined {
  const near = neighbours(evidence, netns);
  if (isUnavailable(near)) return near;
  const failing = near.filter((n) => !n.proxy && n.states.some((s) => s === 'FAILED' || s === 'INCOMPLETE'));
  const [entry] = failing;
  return entry === undefined || failing.length > 1 ? undefined : { address: entry.address, device: entry.device, destination: entry.address, gateway: false, entry };
}

export function unresolved(entry: Neighbour | undefined): boolean {
  return entry === undefined || entry.states.includes('FAILED') || entry.states.includes('INCOMPLETE');
}

/** Whether frames can leave by the device at all. Undefined: not known. */
export function carries(evidence: Evidence, netns: Netns, device: string): boolean | undefined {
  const link = linkNamed(evidence, netns, device);
  return isUnavailable(link) ? undefined : link.up && (link.carrier || link.type === 'loopback');
}

/** The command that makes a sender forget what it knows of a neighbour, and so ask again. */
export function askAgain(evidence: Evidence, netns: Netns, hop: NextHop): string {
  return iproute(evidence, netns, 'ip', `${hop.address.includes(':') ? '-6 ' : ''}neigh flush dev ${shellQuote(hop.device)} to ${hop.address}`);
}
