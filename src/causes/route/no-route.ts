import { shellQuote } from '../../base/text.ts';
import { formerRoute, gatewayTo } from '../../evidence/network/gateway.ts';
import { forwardPath } from '../../evidence/network/path.ts';
import { routedPacket, type Routed } from '../../evidence/network/packet.ts';
import { outerPacket, type OuterPacket } from '../../evidence/network/tunnel.ts';
import { counterDeltas, movedBy } from '../../evidence/counters/index.ts';
import { addresses, links, routeGet, routes, sysctls } from '../../evidence/network/read.ts';
import { deadRoute, decideRoute } from '../../evidence/network/routing.ts';
import { isMulticastAddress, routeText, symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import type { Netns } from '../../base/brand.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import type { CounterSymptom, Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';
import { circular } from './circular.ts';
import { isRerouted, REFUSED_AT } from './refusal.ts';

/** The packet that carries another one through a tunnel. */
function outside(outer: OuterPacket): Routed {
  const from = outer.local === undefined ? {} : { from: outer.local };
  return { to: outer.remote, ...from, received: false, packet: { to: outer.remote, ...from }, query: { to: outer.remote, ...from } };
}

/** Addresses that are nobody's (RFC 5737, RFC 3849): the way to them is the default route. */
const ANYWHERE = { four: '192.0.2.1', six: '2001:db8::1' } as const;

const REASONS = new Set(['IP_INNOROUTES', 'IP_OUTNOROUTES']);

export const cause: Cause = {
  id: 'route.no-route',
  title: 'no route leads there',
  needs: ['route', 'route6', 'rule', 'rule6', 'route-get', 'link', 'address', 'bridge-link', 'sysctl', 'proc'],
  knowledge: {
    what: 'No routing table that the policy rules name has a route for the destination, not even a default route. A local sender gets ENETUNREACH ("Network is unreachable") and no packet is made; a router drops the packet and answers with ICMP network unreachable.',
    signs: ['ENETUNREACH without a dropped packet', 'IP_INNOROUTES at ip_error (IPv4) or ip6_pkt_discard (IPv6) on a router', 'IP_OUTNOROUTES where an existing connection lost its route', 'OutNoRoutes in /proc/net/snmp rises'],
    fixes: ['`ip route get ADDRESS` asks the kernel', 'Add the route, or the default route that was lost: `ip route add default via GATEWAY`', 'If an interface is down, its routes are gone with it: bring it up first'],
    functions: ['ip_route_output_key_hash_rcu', 'ip_route_input_slow', 'ip_error', 'ip6_pkt_discard', 'ip6_null_entry'],
    reasons: ['IP_INNOROUTES', 'IP_OUTNOROUTES'],
    errnos: ['ENETUNREACH'],
    versions: ['IP_INNOROUTES and IP_OUTNOROUTES exist since 5.19; before, NOT_SPECIFIED at the same places'],
    sources: ['net/ipv4/route.c', 'net/ipv6/route.c', 'ip-route(8)'],
  },
  judge,
};

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind === 'drop') {
    const symbol = symbolOf(symptom.drop);
    const named = REASONS.has(symptom.drop.reason.name);
    const rerouted = isRerouted(symptom) && (symptom.call === undefined || symptom.call.errno === 'ENETUNREACH');
    if (!named && !rerouted && !(REFUSED_AT.test(symbol) && symptom.drop.reason.name === 'NOT_SPECIFIED')) return NOT_APPLICABLE;
    if (!named && symbol.startsWith('dst_')) return NOT_APPLICABLE;
  } else if (symptom.kind === 'counter') return noWayBack(symptom, evidence);
  else if (symptom.kind !== 'call' || symptom.call.errno !== 'ENETUNREACH') return NOT_APPLICABLE;
  const outer = symptom.kind === 'drop' ? outerPacket(evidence, symptom.drop) : undefined;
  if (outer !== undefined && isUnavailable(outer)) return cannotTell(unavailableText(outer), 'the tunnel device (ip -d link)');
  const routed = outer === undefined ? routedPacket(evidence, symptom) : outside(outer);
  if (routed === undefined) return NOT_APPLICABLE;
  if (isUnavailable(routed)) return cannotTell(unavailableText(routed), 'the interfaces (ip link)');
  const { to } = routed;
  const where = netnsText(evidence, symptom.netns);
  if (/^fe80:/i.test(to) || isMulticastAddress(to)) return ruledOut(`${to} is a link's own or a group address, which needs no route of that kind`);
  const decision = decideRoute(evidence, symptom.netns, routed.packet);
  const kernel = routeGet(evidence, symptom.netns, routed.query);
  if (isUnavailable(decision)) return cannotTell(unavailableText(decision), 'the routing tables (ip route show table all, ip rule)');
  const refused = !isUnavailable(kernel) && kernel.kind === 'refused' ? kernel : undefined;
  if (symptom.kind === 'call' && decision.kind === 'route' && refused === undefined) {
    // an ICMP answer of a router on the way: it is the one without a route
    const far = forwardPath(evidence, symptom.netns, to, routed.from ?? decision.route?.source);
    if (isUnavailable(far)) return cannotTell(unavailableText(far), 'the routes of the routers on the way');
    if (far.stop !== undefined && far.stop.netns !== symptom.netns && far.stop.decision.kind === 'none') return farAway(symptom, evidence, to, far.stop.netns);
  }
  if (outer !== undefined && decision.kind === 'route' && decision.route?.device === outer.device) return circular(symptom, evidence, outer, decision.route);
  if (decision.kind === 'route' && refused === undefined) return ruledOut(`there is a route for ${to} now: it leaves by ${decision.route?.device ?? 'another device'}`);
  if (decision.kind === 'refused') return ruledOut(`a ${decision.refusal} ${decision.route === undefined ? 'rule' : 'route'} covers ${to}`);
  const dead = decision.kind === 'none' ? deadRoute(evidence, symptom.netns, to) : undefined;
  if (dead !== undefined) return ruledOut(`the route ${routeText(dead)} covers ${to}, but is passed by while its device has no carrier`);
  const all = links(evidence, symptom.netns);
  if (decision.kind === 'route' && refused?.errno !== 'ENETUNREACH') return ruledOut(`a route covers ${to}`);

  const trial = symptom.kind === 'call' ? familyTrial(symptom, evidence, to) : undefined;
  const former = formerRoute(evidence, symptom.netns, to.includes(':') ? 6 : 4);
  const gateway = gatewayTo(evidence, symptom.netns, to);
  if (gateway !== undefined && isUnavailable(gateway) && gateway.unavailable === 'pending') return cannotTell(unavailableText(gateway), 'the other namespaces');
  const obvious = gateway === undefined || isUnavailable(gateway) ? undefined : gateway;
  const six = to.includes(':') ? '-6 ' : '';
  const host = `${to}/${to.includes(':') ? 128 : 32}`;
  const remedies: Remedy[] = [];
  // a router behind us that has the destination as its own needs not forward
  if (obvious !== undefined) {
    remedies.push({ text: `Add a route for ${to} by ${obvious.address} (${netnsText(evidence, obvious.netns)}), which ${obvious.why === 'has-destination' ? 'has that address itself' : 'forwards packets'}.`, command: iproute(evidence, symptom.netns, 'ip', `${six}route add ${host} via ${obvious.address} dev ${shellQuote(obvious.device)}`), undo: iproute(evidence, symptom.netns, 'ip', `${six}route del ${host} via ${obvious.address} dev ${shellQuote(obvious.device)}`), risk: 'low' });
    remedies.push({ text: `Or give ${where} a default route by ${obvious.address}.`, command: iproute(evidence, symptom.netns, 'ip', `${six}route add default via ${obvious.address} dev ${shellQuote(obvious.device)}`), undo: iproute(evidence, symptom.netns, 'ip', `${six}route del default via ${obvious.address} dev ${shellQuote(obvious.device)}`), risk: 'medium' });
  }
  if (former !== undefined) {
    const remedy: Remedy = { text: `Put back the default route by ${former.gateway}, which was there before the loss began.`, command: iproute(evidence, symptom.netns, 'ip', `${six}route add default via ${former.gateway}${former.device === undefined ? '' : ` dev ${shellQuote(former.device)}`}`), undo: iproute(evidence, symptom.netns, 'ip', `${six}route del default via ${former.gateway}`), risk: 'low' };
    remedies.unshift(remedy);
  }
  if (remedies.length === 0) remedies.push({ text: `Add a route for ${to}: \`ip ${six}route add ${host} via ROUTER\`, or the default route that is missing. No router is obvious from here.`, risk: 'low' });
  const defaults = sysctls(evidence, symptom.netns, 'net/ipv4/ip_forward');
  const down = isUnavailable(all) ? [] : all.filter((l) => !l.up && l.type !== 'loopback').map((l) => l.name);
  return {
    outcome: 'found',
    confidence: refused !== undefined || isUnavailable(kernel) ? 0.95 : 0.8,
    severity: former === undefined && trial !== undefined ? 'info' : 'warning',
    identity: `no route|${to}`,
    explanation: `${symptom.kind === 'call' ? `${symptom.call.syscall} of ${symptom.call.task.comm} (pid ${symptom.call.task.pid}) to ${to} failed with ${symptom.call.errno}` : outer === undefined ? `Packets from ${routed.from} to ${to} were dropped` : `Packets into the ${outer.kind} tunnel ${outer.device}, whose far end is ${to}, were dropped`} in ${where}. No route in any table that its policy rules name covers ${to}, and there is no default route. ${former === undefined ? 'It has to be added.' : `Before the loss began there was a default route by ${former.gateway}.`}${former === undefined && trial !== undefined ? ` ${trial}` : ''}`,
    culprit: { kind: 'route', text: `no route to ${to} in ${where}`, destination: to, table: 'main', type: 'none' },
    evidence: [
      symptomLine(evidence, symptom),
      { source: `ip ${six}route show table all, ip ${six}rule`, text: `nothing covers ${to}; no default route` },
      ...(refused === undefined ? [] : [{ source: 'ip route get', text: `${to}: ${refused.text}` }]),
      ...(down.length === 0 ? [] : [{ source: 'ip link', text: `interfaces that are down: ${down.join(', ')}` }]),
      ...(isUnavailable(defaults) || !routed.received ? [] : [{ source: 'sysctl', text: `net.ipv4.ip_forward = ${[...defaults.values()][0] ?? '?'}` }]),
    ],
    remedies,
  };
}

/**
 * A program that tries all addresses of a name connects to the IPv6 ones of a host that has no IPv6, too, and goes on with
 * the next one (RFC 8305; getaddrinfo orders addresses by connecting UDP sockets, RFC 6724). Says why it is no loss.
 */
function familyTrial(symptom: Extract<Symptom, { kind: 'call' }>, evidence: Evidence, to: string): string | undefined {
  const { call } = symptom;
  if (call.syscall !== 'connect' || !to.includes(':')) return undefined;
  if (call.socket?.protocol === 17) return 'Connecting a UDP socket sends nothing: resolvers do it to see which addresses can be reached, and take the next one.';
  const own = addresses(evidence, symptom.netns);
  const local = (a: string): boolean => /^(f[cd]|fe[89ab])/i.test(a) || a === '::1';
  if (isUnavailable(own) || local(to) || own.some((a) => a.address.includes(':') && !local(a.address))) return undefined;
  return `There is no global IPv6 address in ${netnsText(evidence, symptom.netns)} either: programs that try all addresses of a name get this answer at once and go on with IPv4.`;
}

/**
 * SYNs or pings came that could not be answered, since no route leads back to who sent them (inet_csk_route_req, icmp_reply):
 * no packet is made, and the request is consumed without a drop event. Whom it came from no counter says.
 */
function noWayBack(symptom: CounterSymptom, evidence: Evidence): Finding {
  const syn = symptom.counter === 'netstat TcpExt ListenDrops';
  const six = symptom.counter === 'snmp Icmp6InEchos';
  if (!syn && !six && symptom.counter !== 'snmp Icmp InEchos') return NOT_APPLICABLE;
  const four = routes(evidence, symptom.netns, 4), sixth = routes(evidence, symptom.netns, 6);
  const moved = counterDeltas(evidence, symptom.netns, 'snmp'), moved6 = counterDeltas(evidence, symptom.netns, 'snmp6');
  for (const a of [four, sixth, moved, moved6]) if (isUnavailable(a) && a.unavailable === 'pending') return cannotTell(unavailableText(a), 'the routing tables and counters');
  const failed4 = isUnavailable(moved) ? 0 : movedBy(moved, 'Ip OutNoRoutes'), failed6 = isUnavailable(moved6) ? 0 : movedBy(moved6, 'Ip6OutNoRoutes');
  // requests to everyone or a group go unanswered by a setting, not for want of a route
  const ignored = six ? sysctls(evidence, symptom.netns, 'net/ipv6/icmp/echo_ignore_multicast') : undefined;
  if (ignored !== undefined && isUnavailable(ignored) && ignored.unavailable === 'pending') return cannotTell(unavailableText(ignored), 'net.ipv6.icmp.echo_ignore_multicast');
  if (ignored !== undefined && !isUnavailable(ignored) && [...ignored.values()].includes('1')) return ruledOut('net.ipv6.icmp.echo_ignore_multicast is 1, which leaves pings unanswered, too');
  if (!syn && !six && evidence.dropCounts().some((c) => c.netns === symptom.netns && c.reason.name === 'INVALID_PROTO' && c.packets > 0)) return ruledOut('pings to a broadcast or group address came, which are not answered by default');
  // a refused SYN is counted; a ping is not, there the missing default route alone has to say it
  if (syn && failed4 + failed6 <= 0) return ruledOut('OutNoRoutes did not rise: there is a way back');
  const family = six || (syn && failed6 > failed4) ? 6 : 4;
  const table = family === 6 ? sixth : four;
  if (isUnavailable(table)) return cannotTell(unavailableText(table), 'the routing tables');
  if (table.some((r) => r.destination === 'default' && r.type === 'unicast')) return ruledOut('there is a default route');
  const where = netnsText(evidence, symptom.netns);
  const former = formerRoute(evidence, symptom.netns, family);
  const flag = family === 6 ? '-6 ' : '';
  const what = syn ? 'Connection attempts (SYN)' : 'Pings';
  const router = former === undefined ? gatewayTo(evidence, symptom.netns, family === 6 ? ANYWHERE.six : ANYWHERE.four) : undefined;
  if (router !== undefined && isUnavailable(router) && router.unavailable === 'pending') return cannotTell(unavailableText(router), 'the other namespaces');
  const offered = router === undefined || isUnavailable(router) ? undefined : `default via ${router.address} dev ${shellQuote(router.device)}`;
  const gateway = former === undefined ? offered : `default via ${former.gateway}${former.device === undefined ? '' : ` dev ${shellQuote(former.device)}`}`;
  return {
    outcome: 'found',
    confidence: syn ? 0.92 : 0.8,
    severity: 'warning',
    identity: `no way back|${family}`,
    explanation: `${what} reached ${where} and could not be answered: no route leads back to where they came from. ${where} has no IPv${family} default route, so it can answer only hosts on its own links. The sender waits until it gives up.`,
    culprit: { kind: 'route', text: `no default route (IPv${family}) in ${where}: no way back to the sender`, destination: 'default', table: 'main', type: 'none' },
    evidence: [symptomLine(evidence, symptom), ...(syn ? [{ source: '/proc/net/snmp', text: `OutNoRoutes +${family === 6 ? failed6 : failed4}` }] : []), { source: `ip ${flag}route`, text: 'no default route' }],
    remedies: gateway === undefined
      ? [{ text: `Give ${where} a default route: \`ip ${flag}route add default via ROUTER\`, or a route back to the network of the sender.`, risk: 'low' }]
      : [{ text: former === undefined ? `Give ${where} a default route by the router on its link.` : `Put back the default route by ${former.gateway}, which was there before.`, command: iproute(evidence, symptom.netns, 'ip', `${flag}route add ${gateway}`), undo: iproute(evidence, symptom.netns, 'ip', `${flag}route del ${gateway}`), risk: 'low' }],
  };
}

/** A router on the way has no route, and said so. */
function farAway(symptom: Extract<Symptom, { kind: 'call' }>, evidence: Evidence, to: string, at: Netns): Finding {
  const gateway = gatewayTo(evidence, at, to);
  if (gateway !== undefined && isUnavailable(gateway) && gateway.unavailable === 'pending') return cannotTell(unavailableText(gateway), 'the other namespaces');
  const router = netnsText(evidence, at);
  const six = to.includes(':') ? '-6 ' : '';
  const words = gateway === undefined || isUnavailable(gateway) ? undefined : `${to}/${to.includes(':') ? 128 : 32} via ${gateway.address} dev ${shellQuote(gateway.device)}`;
  return {
    outcome: 'found', confidence: 0.93, severity: 'warning', identity: `no route|${at}|${to}`,
    explanation: `${symptom.call.syscall} of ${symptom.call.task.comm} (pid ${symptom.call.task.pid}) to ${to} failed with ${symptom.call.errno} in ${netnsText(evidence, symptom.netns)}, though there is a route here. A router on the way, ${router}, has none for ${to} and answered "network unreachable". The route has to be added there.`,
    culprit: { kind: 'route', text: `no route to ${to} in ${router}`, destination: to, table: 'main', type: 'none', netns: evidence.host.netnsNames.get(at) ?? at },
    evidence: [symptomLine(evidence, symptom), { source: `ip ${six}route in ${router}`, text: `nothing covers ${to}; no default route` }],
    remedies: words === undefined ? [{ text: `Add a route for ${to} in ${router}.`, risk: 'low' }] : [{ text: `Add a route for ${to} in ${router}.`, command: iproute(evidence, at, 'ip', `${six}route add ${words}`), undo: iproute(evidence, at, 'ip', `${six}route del ${words}`), risk: 'low' }],
  };
}
