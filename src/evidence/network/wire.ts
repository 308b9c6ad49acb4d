import type { Netns } from '../../base/brand.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { BridgePort, Link } from '../../model/network.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { peerOf, type Device } from './hosts.ts';
import { addresses, bridgePorts, links } from './read.ts';

/** A device on the way of a frame, and what stops frames there. */
export interface Obstacle {
  readonly netns: Netns;
  readonly device: string;
  readonly kind: 'down' | 'peer-down' | 'stp' | 'isolated' | 'flood' | 'no-reader';
  readonly text: string;
  readonly peer?: Device;
  readonly port?: BridgePort;
}

const MOST_HOPS = 24;

/**
 * Walks the wire from a device, through veth pairs and bridges of this host, towards whoever has an address, and gives
 * the first obstacle. `reached`: a namespace with the address is on the wire. Undefined obstacle: none was found.
 */
export function walkWire(evidence: Evidence, netns: Netns, device: string, toward: string): Maybe<{ readonly obstacle?: Obstacle; readonly reached?: { netns: Netns; device: string } }> {
  const seen = new Set<string>();
  const obstacles: Obstacle[] = [];
  let reached: { netns: Netns; device: string } | undefined;
  let pending: Maybe<never> | undefined;
  const step = (at: Netns, name: string, hops: number): void => {
    if (hops > MOST_HOPS || seen.has(`${at}|${name}`) || reached !== undefined) return;
    seen.add(`${at}|${name}`);
    const all = links(evidence, at);
    if (isUnavailable(all)) {
      if (all.unavailable === 'pending') pending = all;
      return;
    }
    const own = all.find((l) => l.name === name);
    if (own === undefined) return;
    const lower = own.kind === 'vlan' || own.kind === 'macvlan' || own.kind === 'ipvlan' ? own.peerName : undefined;
    if (lower !== undefined && own.peerNetns === undefined) return step(at, lower, hops + 1);
    const stop = downObstacle(at, own);
    if (own.kind === 'bridge') {
      if (stop !== undefined && !own.up) obstacles.push(stop);
      return ports(at, own, hops);
    }
    const peer = peerOf(evidence, at, name);
    if (peer !== undefined && isUnavailable(peer)) {
      if (peer.unavailable === 'pending') pending = peer;
      if (stop !== undefined) obstacles.push(stop);
      return;
    }
    if (stop !== undefined) obstacles.push(peer === undefined || !own.up ? { ...stop, ...(peer === undefined ? {} : { peer }) } : { ...stop, kind: 'peer-down', peer, text: `${name} has no carrier: its other end ${peer.link.name} is ${peer.link.up ? 'up, but without carrier' : 'down'}` });
    if (peer !== undefined) arrive(peer, hops + 1);
  };
  const arrive = (peer: Device, hops: number): void => {
    const { netns: at, link } = peer;
    if (seen.has(`${at}|${link.name}`)) return;
    seen.add(`${at}|${link.name}`);
    if (has(at, link.name)) return;
    if (link.master === undefined) return;
    const all = links(evidence, at);
    if (isUnavailable(all)) {
      if (all.unavailable === 'pending') pending = all;
      return;
    }
    const master = all.find((l) => l.name === link.master);
    if (master?.kind !== 'bridge') return;
    if (has(at, master.name)) return;
    if (!master.up) obstacles.push({ netns: at, device: master.name, kind: 'down', text: `bridge ${master.name} is down` });
    ports(at, master, hops, link.name);
  };
  const ports = (at: Netns, bridge: Link, hops: number, from?: string): void => {
    const list = bridgePorts(evidence, at);
    const all = links(evidence, at);
    if (isUnavailable(list) || isUnavailable(all)) {
      for (const l of [list, all]) if (isUnavailable(l) && l.unavailable === 'pending') pending = l;
      return;
    }
    const mine = list.filter((p) => p.bridge === bridge.name);
    const entry = mine.find((p) => p.name === from);
    if (entry !== undefined && entry.state !== 'forwarding' && entry.up && entry.carrier) obstacles.push({ netns: at, device: entry.name, kind: 'stp', text: `bridge port ${entry.name} is in state ${entry.state}`, port: entry });
    for (const port of mine) {
      if (port.name === from) continue;
      const before = obstacles.length;
      if (port.up && port.carrier && port.state !== 'forwarding') obstacles.push({ netns: at, device: port.name, kind: 'stp', text: `bridge port ${port.name} is in state ${port.state}`, port });
      if (entry?.isolated === true && port.isolated) obstacles.push({ netns: at, device: port.name, kind: 'isolated', text: `bridge ports ${entry.name} and ${port.name} are both isolated`, port });
      // IPv4 asks by broadcast; what the bridge itself sends is flooded in any case (br_flood)
      if (entry !== undefined && !port.broadcastFlood && !toward.includes(':')) obstacles.push({ netns: at, device: port.name, kind: 'flood', text: `bridge port ${port.name} has bcast_flood off`, port });
      step(at, port.name, hops + 1);
      if (reached === undefined) obstacles.length = before; // this port does not lead there: what stops it matters not
      else return;
    }
  };
  const has = (at: Netns, name: string): boolean => {
    const own = addresses(evidence, at);
    if (isUnavailable(own)) {
      if (own.unavailable === 'pending') pending = own;
      return false;
    }
    if (!own.some((a) => a.address === toward)) return false;
    reached = { netns: at, device: name };
    return true;
  };
  step(netns, device, 0);
  if (pending !== undefined) return pending;
  const obstacle = obstacles[0];
  return { ...(obstacle === undefined ? {} : { obstacle }), ...(reached === undefined ? {} : { reached }) };
}

/** Why a device sends nothing, by its own flags. */
export function downObstacle(netns: Netns, link: Link): Obstacle | undefined {
  if (!link.up) return { netns, device: link.name, kind: 'down', text: `${link.name} is administratively down` };
  if (link.carrier || link.type === 'loopback') return undefined;
  if (link.kind === 'tun') return { netns, device: link.name, kind: 'no-reader', text: `${link.name} has no carrier: no program has this ${String(link.data['type'] ?? 'tun')} device open` };
  return { netns, device: link.name, kind: 'down', text: `${link.name} is up, but has no carrier (state ${link.operstate})` };
}
