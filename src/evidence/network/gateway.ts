import type { Netns } from '../../base/brand.ts';
import { matchesPrefix } from '../../base/inet.ts';
import type { Evidence } from '../../model/evidence.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { alike, namespaces } from './hosts.ts';
import { addresses, links, routes, sysctls } from './read.ts';
import { walkWire } from './wire.ts';

export interface Gateway {
  readonly address: string;
  readonly device: string;
  readonly netns: Netns;
  /** It has the destination itself, or forwards for others. */
  readonly why: 'has-destination' | 'router';
}

/**
 * A router for a destination, when one is obvious: a namespace of this host on a wire of ours that has the destination
 * itself, or one that forwards. Undefined: none is obvious.
 */
export function gatewayTo(evidence: Evidence, netns: Netns, destination: string): Maybe<Gateway> | undefined {
  if (destination === '::1' || destination.startsWith('127.')) return undefined; // every host's own
  const family = destination.includes(':') ? 6 : 4;
  const own = addresses(evidence, netns, 'any');
  const devices = links(evidence, netns, 'any');
  if (isUnavailable(own)) return own;
  if (isUnavailable(devices)) return devices;
  const ours = own.filter((a) => a.family === family && a.scope === 'global' && devices.some((d) => d.name === a.device && d.up && d.type !== 'loopback'));
  let pending: Maybe<never> | undefined;
  const candidates: { gateway: Gateway; score: number }[] = [];
  for (const other of namespaces(evidence, netns)) {
    if (other === netns) continue;
    const theirs = addresses(evidence, other, 'any');
    if (isUnavailable(theirs)) {
      if (theirs.unavailable === 'pending') pending = theirs;
      continue;
    }
    for (const a of ours) {
      const there = theirs.find((b) => b.family === family && b.scope === 'global' && b.address !== a.address && b.address !== destination && matchesPrefix(b.address, `${a.address}/${a.prefixLength}`));
      if (there === undefined) continue;
      const has = theirs.some((b) => b.address === destination);
      candidates.push({ gateway: { address: there.address, device: a.device, netns: other, why: has ? 'has-destination' : 'router' }, score: (has ? 2 : 0) + (alike(evidence, netns, other) ? 1 : 0) });
    }
  }
  if (pending !== undefined) return pending;
  candidates.sort((x, y) => y.score - x.score);
  for (const { gateway } of candidates.slice(0, 8)) {
    const wire = walkWire(evidence, netns, gateway.device, gateway.address);
    if (isUnavailable(wire)) return wire;
    if (wire.reached?.netns !== gateway.netns) continue;
    if (gateway.why === 'has-destination') return gateway;
    const forwards = sysctls(evidence, gateway.netns, family === 4 ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding');
    if (isUnavailable(forwards)) {
      if (forwards.unavailable === 'pending') return forwards;
      continue;
    }
    if ([...forwards.values()][0] === '1') return gateway;
  }
  return undefined;
}

/** The default route that was there before the loss began, and is no more. */
export function formerRoute(evidence: Evidence, netns: Netns, family: 4 | 6): { readonly gateway: string; readonly device?: string } | undefined {
  const before = routes(evidence, netns, family, 'before');
  if (isUnavailable(before)) return undefined;
  const route = before.find((r) => r.destination === 'default' && r.table === 'main' && r.gateway !== undefined);
  return route?.gateway === undefined ? undefined : { gateway: route.gateway, ...(route.device === undefined ? {} : { device: route.device }) };
}
