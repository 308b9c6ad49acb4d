import type { Netns } from '../../base/brand.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Route } from '../../model/network.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { findOwnerOfAddress, peerOf } from './hosts.ts';
import { decideRoute, type RouteDecision } from './routing.ts';

export interface RouterHop {
  readonly netns: Netns;
  readonly route: Route;
}

export interface ForwardPath {
  readonly hops: readonly RouterHop[];
  /** The namespace that occurs twice: the packet circles. */
  readonly loop?: Netns;
  /** The namespace that has the destination. */
  readonly end?: Netns;
  /** The namespace where routing goes no further, and what it says there. */
  readonly stop?: { readonly netns: Netns; readonly decision: RouteDecision };
}

/** Follows routes from namespace to namespace of this host until the destination, a loop, or the unknown. */
export function forwardPath(evidence: Evidence, start: Netns, to: string, from?: string): Maybe<ForwardPath> {
  const hops: RouterHop[] = [];
  let at = start;
  for (let i = 0; i < 16; i++) {
    const decision = decideRoute(evidence, at, { to, ...(from === undefined ? {} : { from }), ...(i === 0 ? {} : { iif: '?' }) });
    if (isUnavailable(decision)) return decision.unavailable === 'pending' ? decision : { hops };
    if (decision.kind !== 'route' || decision.route === undefined) return { hops, stop: { netns: at, decision } };
    const { route } = decision;
    if (route.type === 'local') return { hops, end: at };
    hops.push({ netns: at, route });
    const next = nextNetns(evidence, at, route, to);
    if (next === undefined) return { hops };
    if (isUnavailable(next)) return next.unavailable === 'pending' ? next : { hops };
    if (hops.some((h) => h.netns === next.netns)) return { hops, loop: next.netns };
    at = next.netns;
  }
  return { hops };
}

function nextNetns(evidence: Evidence, at: Netns, route: Route, to: string): Maybe<{ netns: Netns }> | undefined {
  const gateway = route.gateway ?? route.nexthops[0]?.gateway ?? to;
  const device = route.device ?? route.nexthops[0]?.device;
  const peer = device === undefined ? undefined : peerOf(evidence, at, device);
  if (peer !== undefined && isUnavailable(peer)) return peer;
  const owner = findOwnerOfAddress(evidence, at, gateway);
  // on a plain veth there is only one host that can get it
  if (peer !== undefined && peer.link.master === undefined) return { netns: peer.netns };
  return owner === undefined || isUnavailable(owner) ? owner : { netns: owner.netns };
}
