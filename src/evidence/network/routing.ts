import type { Netns } from '../../base/brand.ts';
import { matchesPrefix } from '../../base/inet.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { PolicyRule, Route } from '../../model/network.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { routes, rules } from './read.ts';

export interface RoutedPacket {
  readonly to: string;
  readonly from?: string;
  readonly iif?: string;
  readonly oif?: string;
  readonly mark?: number;
  readonly tos?: number;
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** Who sends it; a packet that came in counts as root's (ip_route_input_slow). */
  readonly uid?: number;
}

/** What the tables say of a packet: the policy rule that decided, and the route in its table, where there is one. */
export interface RouteDecision {
  readonly kind: 'route' | 'refused' | 'none';
  readonly rule?: PolicyRule;
  readonly route?: Route;
  readonly refusal?: 'blackhole' | 'unreachable' | 'prohibit';
}

/**
 * Follows policy rules and tables as fib_rules_lookup and fib_table_lookup do (net/core/fib_rules.c, net/ipv4/fib_trie.c;
 * IPv6: net/ipv6/fib6_rules.c), so that the very rule or route can be named. The kernel itself is asked by routeGet.
 * `without`: as if this route or rule were gone.
 */
export function decideRoute(evidence: Evidence, netns: Netns, packet: RoutedPacket, without?: Route | PolicyRule): Maybe<RouteDecision> {
  const family = packet.to.includes(':') ? 6 : 4;
  const policy = rules(evidence, netns, family);
  const all = routes(evidence, netns, family);
  if (isUnavailable(all)) return all;
  if (isUnavailable(policy) && policy.unavailable === 'pending') return policy;
  const order: readonly PolicyRule[] = isUnavailable(policy) || policy.length === 0 ? DEFAULT_RULES.map((r) => ({ ...r, family: family as 4 | 6 })) : [...policy].sort((a, b) => a.priority - b.priority);
  let from = 0;
  for (const rule of order) {
    if (rule === without || rule.priority < from || !ruleMatches(rule, packet)) continue;
    if (rule.action === 'goto') {
      from = rule.goto ?? from;
      continue;
    }
    if (rule.action === 'nop') continue;
    if (rule.action !== 'lookup') return { kind: 'refused', rule, refusal: rule.action };
    const route = lookup(without === undefined ? all : all.filter((r) => r !== without), rule.table ?? 'main', packet);
    if (route === undefined || route.type === 'throw') continue;
    if (rule.suppressPrefixLength !== undefined && route.prefixLength <= rule.suppressPrefixLength) continue;
    if (route.type === 'blackhole' || route.type === 'unreachable' || route.type === 'prohibit') return { kind: 'refused', rule, route, refusal: route.type };
    return { kind: 'route', rule, route };
  }
  return { kind: 'none' };
}

const DEFAULT_RULES = [['local', 0], ['main', 32766], ['default', 32767]].map(([table, priority]) => ({ table: table as string, priority: priority as number, not: false, l3mdev: false, action: 'lookup' as const }));

/** Whether the packet satisfies a policy rule's selectors. An l3mdev rule matches only devices in a VRF, which a packet here is not. */
export function ruleMatches(rule: PolicyRule, p: RoutedPacket): boolean {
  if (rule.l3mdev) return false;
  const any = p.to.includes(':') ? '::' : '0.0.0.0';
  const hit =
    (rule.from === undefined || matchesPrefix(p.from ?? any, rule.from)) &&
    (rule.to === undefined || matchesPrefix(p.to, rule.to)) &&
    (rule.iif === undefined || rule.iif === (p.iif ?? 'lo')) &&
    (rule.oif === undefined || rule.oif === p.oif) &&
    (rule.mark === undefined || (((p.mark ?? 0) ^ rule.mark) & (rule.markMask ?? 0xffffffff)) === 0) &&
    (rule.tos === undefined || rule.tos === ((p.tos ?? 0) & 0x1c)) &&
    (rule.protocol === undefined || rule.protocol === p.protocol) &&
    within(rule.sourcePorts, p.sourcePort) &&
    within(rule.destinationPorts, p.destinationPort) &&
    (rule.uids === undefined || p.uid === undefined || within(rule.uids, p.uid));
  return hit !== rule.not;
}

const within = (range: readonly [number, number] | undefined, port: number | undefined): boolean => range === undefined || (port !== undefined && port >= range[0] && port <= range[1]);

/** Longest prefix, then least metric, that the packet fits and whose device is alive. */
function lookup(all: readonly Route[], table: string, p: RoutedPacket): Route | undefined {
  let best: Route | undefined;
  for (const route of all) {
    if (route.table !== table || !covers(route, p.to)) continue;
    if (route.flags.includes('dead') || (p.oif !== undefined && route.device !== undefined && route.device !== p.oif && route.nexthops.every((n) => n.device !== p.oif))) continue;
    if (best === undefined || route.prefixLength > best.prefixLength || (route.prefixLength === best.prefixLength && route.metric < best.metric)) best = route;
  }
  return best;
}

/** The route that covers an address and that the kernel passes by, since its device has no carrier (ignore_routes_with_linkdown). */
export function deadRoute(evidence: Evidence, netns: Netns, address: string): Route | undefined {
  const all = routes(evidence, netns, address.includes(':') ? 6 : 4);
  if (isUnavailable(all)) return undefined;
  return all.filter((r) => r.type === 'unicast' && r.flags.includes('dead') && r.device !== undefined && covers(r, address)).sort((a, b) => b.prefixLength - a.prefixLength)[0];
}

export function covers(route: Route, address: string): boolean {
  if (route.destination === 'default') return (route.family === 6) === address.includes(':');
  return matchesPrefix(address, route.destination);
}

/** Whether an address is this namespace's own, by its `local` table. */
export function isLocalAddress(evidence: Evidence, netns: Netns, address: string): Maybe<{ readonly local: boolean; readonly device?: string }> {
  const all = routes(evidence, netns, address.includes(':') ? 6 : 4);
  if (isUnavailable(all)) return all;
  const route = lookup(all, 'local', { to: address });
  if (route === undefined || (route.type !== 'local' && route.type !== 'anycast')) return { local: false };
  return route.device === undefined ? { local: true } : { local: true, device: route.device };
}
