import { shellQuote } from '../../base/text.ts';
import { gatewayTo } from '../../evidence/network/gateway.ts';
import { forwardPath } from '../../evidence/network/path.ts';
import { routedPacket } from '../../evidence/network/packet.ts';
import { routeGet } from '../../evidence/network/read.ts';
import { decideRoute, isLocalAddress } from '../../evidence/network/routing.ts';
import { routeSpec, routeText, ruleText, symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import type { Netns } from '../../base/brand.ts';
import type { Topic } from '../../model/question.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Culprit, EvidenceLine, Remedy } from '../../model/incident.ts';
import type { DropSymptom, Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export type Refusal = 'blackhole' | 'unreachable' | 'prohibit';

/** Where packets end that routing refuses: net/ipv4/route.c, net/ipv6/route.c, net/core/dst.c. */
export const REFUSED_AT = /^(ip_error|ip6_pkt_(discard|prohibit|drop|blackhole_output|discard_out|prohibit_out)|dst_(discard|discard_out|blackhole_.*))$/;

export const refusalNeeds: readonly Topic[] = ['route', 'route6', 'rule', 'rule6', 'route-get', 'link', 'address', 'bridge-link', 'sysctl'];

const ERRNO: Readonly<Record<Refusal, string>> = { blackhole: 'EINVAL', unreachable: 'EHOSTUNREACH', prohibit: 'EACCES' };
/** What a policy rule of type unreachable answers, unlike a route of that type (fib4_rule_action, fib6_rule_action). */
const RULE_UNREACHABLE = 'ENETUNREACH';
const SAID: Readonly<Record<Refusal, string>> = {
  blackhole: 'throws such packets away without a word',
  unreachable: 'answers them with "host unreachable"',
  prohibit: 'answers them with "administratively prohibited"',
};

/**
 * A rule at OUTPUT changed the mark or an address, and the routing that follows (ip_route_me_harder, ip6_route_me_harder)
 * refused the packet: it dies in the hook as if by a rule, but the sender gets the routing's errno and not EPERM. TCP
 * tells nobody: there the routing decision itself has to say it.
 */
export const isRerouted = (symptom: DropSymptom): boolean =>
  symptom.drop.reason.name === 'NETFILTER_DROP' && symbolOf(symptom.drop) === 'nf_hook_slow' &&
  (symptom.call === undefined ? symptom.drop.stack.some((f) => /^(__ip|ip6?|__ip6)_local_out$|^ip6_xmit$/.test(f.name ?? '')) : /^(EINVAL|EACCES|EHOSTUNREACH|ENETUNREACH)$/.test(symptom.call.errno));

/** Judges a symptom against one kind of refusing route or policy rule. */
export function judgeRefusal(refusal: Refusal, symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind === 'drop') {
    const symbol = symbolOf(symptom.drop);
    // a host that does not forward gives IP_INADDRERRORS for whatever routing refuses: only for its own address is it the refusal
    const refused = REFUSED_AT.test(symbol) && (symptom.drop.reason.name !== 'IP_INADDRERRORS' || isOwn(symptom, evidence));
    if (!refused && !(isRerouted(symptom) && (symptom.call === undefined || symptom.call.errno === ERRNO[refusal]))) return NOT_APPLICABLE;
  } else if (symptom.kind !== 'call' || (symptom.call.errno !== ERRNO[refusal] && !(symptom.call.errno === 'EHOSTUNREACH' && refusal !== 'blackhole') && !(symptom.call.errno === RULE_UNREACHABLE && refusal === 'unreachable'))) return NOT_APPLICABLE;
  const routed = routedPacket(evidence, symptom);
  if (routed === undefined) return NOT_APPLICABLE;
  if (isUnavailable(routed)) return cannotTell(unavailableText(routed), 'the interfaces (ip link)');
  const local = decideRoute(evidence, symptom.netns, routed.packet);
  const kernel = routeGet(evidence, symptom.netns, routed.query);
  // an ICMP answer of a router on the way becomes EHOSTUNREACH, whatever the router's reason
  const far = symptom.kind === 'call' && !isUnavailable(local) && local.kind === 'route' ? forwardPath(evidence, symptom.netns, routed.to, routed.from ?? local.route?.source) : undefined;
  if (far !== undefined && isUnavailable(far) && far.unavailable === 'pending') return cannotTell(unavailableText(far), 'the routes of the routers on the way');
  const stop = far === undefined || isUnavailable(far) || far.stop?.netns === symptom.netns ? undefined : far.stop;
  const decision = stop?.decision ?? local;
  const at = stop?.netns ?? symptom.netns;
  if (isUnavailable(decision)) return cannotTell(unavailableText(decision), 'the routing tables (ip route show table all, ip rule)');
  if (decision.kind !== 'refused' || decision.refusal !== refusal) {
    return ruledOut(decision.kind === 'route' && decision.route !== undefined ? `the route for ${routed.to} is ${routeText(decision.route)}, no ${refusal}` : `no ${refusal} route or rule covers ${routed.to}`);
  }
  const errno = decision.route === undefined && refusal === 'unreachable' ? RULE_UNREACHABLE : ERRNO[refusal];
  if (stop === undefined && symptom.kind === 'call' && symptom.call.errno !== errno) return NOT_APPLICABLE;
  const where = netnsText(evidence, at);
  const family = routed.to.includes(':') ? 6 : 4;
  const six = family === 6 ? '-6 ' : '';
  const agrees = stop !== undefined || (!isUnavailable(kernel) && kernel.kind === 'refused');
  const { rule, route } = decision;
  // the tables that everybody asks need no word of who asked
  const led = route === undefined || rule === undefined || /^(main|local|default)$/.test(route.table) ? undefined : `${rule.priority}: ${ruleText(rule)}`;
  const object = route === undefined ? `policy rule ${rule?.priority}: ${rule === undefined ? '' : ruleText(rule)}` : `route ${routeText(route)}`;
  const culprit: Culprit = route === undefined
    ? { kind: 'rule', text: `ip rule ${rule?.priority}: ${rule === undefined ? '' : ruleText(rule)}`, preference: rule?.priority, action: refusal, from: rule?.from, to: rule?.to }
    : { kind: 'route', text: `${routeText(route)} (table ${route.table})`, destination: route.destination, table: route.table, type: refusal };
  const remedies = remediesOf(evidence, symptom, at, routed.to, six, decision);
  if (remedies === undefined) return cannotTell('the other namespaces are still being looked at', 'the answers of the other namespaces');
  const lines: EvidenceLine[] = [
    symptomLine(evidence, symptom),
    { source: route === undefined ? `ip ${six}rule` : `ip ${six}route show table ${route.table}`, text: object },
  ];
  if (led !== undefined) lines.push({ source: `ip ${six}rule`, text: led });
  if (!isUnavailable(kernel)) lines.push({ source: 'ip route get', text: `${routed.to}${routed.received ? ` from ${routed.from} iif ${routed.query.iif}` : ''}: ${kernel.kind === 'refused' ? kernel.text : `via ${kernel.device}`}` });
  return {
    outcome: 'found',
    confidence: agrees ? 0.97 : 0.85,
    severity: 'warning',
    identity: at === symptom.netns ? object : `${at}|${object}`,
    explanation: `${routed.received ? `Packets from ${routed.from} to ${routed.to} are refused by the routing decision` : `Sending to ${routed.to} is refused by the routing decision`} in ${where}. The ${object} ${SAID[refusal]}. ${led === undefined ? '' : `The policy rule ${led} sends them to that table. `}${symptom.kind === 'call' ? `${stop === undefined ? `The caller gets ${errno} and no packet is ever made.` : `That answer makes the call in ${netnsText(evidence, symptom.netns)} fail with ${symptom.call.errno}.`}` : isRerouted(symptom) ? `A rule at OUTPUT changed its mark${symptom.drop.mark === 0 ? '' : ` (now 0x${symptom.drop.mark.toString(16)})`} or its address, so it was routed anew${symptom.call === undefined ? '' : `, and the caller gets ${ERRNO[refusal]}`}.` : 'It is more specific or of higher priority than the route that would carry them.'}`,
    culprit,
    evidence: lines,
    remedies,
  };
}

/** The destination is an address of the host itself, that a policy rule before the local table keeps from it. */
function isOwn({ drop }: DropSymptom, evidence: Evidence): boolean {
  const local = drop.packet.ip === undefined ? undefined : isLocalAddress(evidence, drop.netns, drop.packet.ip.destination);
  return local !== undefined && !isUnavailable(local) && local.local;
}

function remediesOf(evidence: Evidence, symptom: Symptom, ns: Netns, to: string, six: string, decision: { readonly rule?: import('../../model/network.ts').PolicyRule; readonly route?: import('../../model/network.ts').Route }): Remedy[] | undefined {
  const { rule, route } = decision;
  const object = route ?? rule;
  if (object === undefined) return [];
  const removal = route !== undefined ? `${six}route del ${routeSpec(route)}` : `${six}rule del ${rule === undefined ? '' : ruleSelector(rule)}pref ${rule?.priority}`;
  const again = route !== undefined ? `${six}route add ${routeSpec(route)}` : `${six}rule add ${rule === undefined ? '' : ruleText(rule)} pref ${rule?.priority}`;
  const routed = routedPacket(evidence, symptom);
  const after = routed === undefined || isUnavailable(routed) ? undefined : decideRoute(evidence, ns, routed.packet, object);
  let command = iproute(evidence, ns, 'ip', removal);
  let text = `Remove the ${route === undefined ? 'policy rule' : 'route'}; the next one that matches then carries the packets.`;
  if (after !== undefined && !isUnavailable(after) && after.kind !== 'route') {
    const gateway = gatewayTo(evidence, ns, to);
    if (gateway !== undefined && isUnavailable(gateway)) return gateway.unavailable === 'pending' ? undefined : [{ text, command, undo: iproute(evidence, ns, 'ip', again), risk: 'medium' }];
    if (gateway !== undefined) {
      command += ` && ${iproute(evidence, ns, 'ip', `${six}route add ${to}/${to.includes(':') ? 128 : 32} via ${gateway.address} dev ${shellQuote(gateway.device)}`)}`;
      text = `Remove it, and since no other route covers ${to}, add one by ${gateway.address}.`;
    } else text = `Remove it. No other route covers ${to} then: it needs one, too.`;
  }
  return [{ text, command, undo: iproute(evidence, ns, 'ip', again), risk: 'medium' }];
}

function ruleSelector(r: import('../../model/network.ts').PolicyRule): string {
  return r.from === undefined && r.to === undefined ? '' : `from ${r.from ?? 'all'} ${r.to === undefined ? '' : `to ${r.to} `}`;
}
