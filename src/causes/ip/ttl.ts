import { shellQuote } from '../../base/text.ts';
import { countedHere } from '../../evidence/network/counted.ts';
import { gatewayTo } from '../../evidence/network/gateway.ts';
import { findOwnerOfAddress } from '../../evidence/network/hosts.ts';
import { forwardPath } from '../../evidence/network/path.ts';
import { routedPacket } from '../../evidence/network/packet.ts';
import { decideRoute } from '../../evidence/network/routing.ts';
import { ipv6Conf, sysctlNumber, sysctlSet } from '../../evidence/network/sysctl.ts';
import { dropLine, routeText, symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { inNetns, iproute, netnsText } from '../../evidence/netns.ts';
import { deleteRule, manglingRules, type PlacedRule } from '../../evidence/rules/index.ts';
import { ruleCulprit } from './broken.ts';
import type { Netns } from '../../base/brand.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Culprit, EvidenceLine, Remedy } from '../../model/incident.ts';
import type { Topic } from '../../model/question.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const ttlNeeds: readonly Topic[] = ['sysctl', 'route', 'route6', 'rule', 'rule6', 'link', 'address', 'bridge-link', 'nft', 'iptables', 'iptables-legacy', 'ip6tables', 'ip6tables-legacy', 'ipset', 'proc'];

/** Hosts do not start lower than this, but by intent or mistake (RFC 1700: 64; BSDs, Linux 64, Windows 128). */
const USUAL = 32;
/** traceroute sends three a hop, mtr one a second. */
const TRACE = 9;

/**
 * TTL (IPv4) or hop limit (IPv6) ran out: at the router, from a drop; at the sender, from an EHOSTUNREACH that its own
 * setting explains. Either the sender starts too low, or the packet circles between routers.
 */
export function judgeTtl(family: 4 | 6, symptom: Symptom, evidence: Evidence): Finding {
  const name = family === 4 ? 'TTL' : 'hop limit';
  if (symptom.kind === 'drop') {
    const { ip } = symptom.drop.packet;
    const place = symbolOf(symptom.drop);
    if (place !== (family === 4 ? 'ip_forward' : 'ip6_forward') || (symptom.drop.reason.name !== 'IP_INHDR' && symptom.drop.reason.name !== 'NOT_SPECIFIED')) return NOT_APPLICABLE;
    if (ip === undefined) return withoutPacket(family, symptom.drop, evidence);
    if (ip.ttl > 1) return ruledOut(`its ${name} is ${ip.ttl}`);
  } else if (symptom.kind !== 'call' || symptom.call.errno !== 'EHOSTUNREACH') return NOT_APPLICABLE;
  const routed = routedPacket(evidence, symptom);
  if (routed === undefined) return NOT_APPLICABLE;
  if (isUnavailable(routed)) return cannotTell(unavailableText(routed), 'the interfaces');
  if ((family === 6) !== routed.to.includes(':')) return NOT_APPLICABLE;
  const source = symptom.kind === 'call' ? { netns: symptom.netns } : routed.from === undefined ? undefined : findOwnerOfAddress(evidence, symptom.netns, routed.from);
  if (source !== undefined && isUnavailable(source)) {
    if (source.unavailable === 'pending') return cannotTell(unavailableText(source), 'the other namespaces');
  }
  const sender = source === undefined || isUnavailable(source) ? undefined : source.netns;
  const start = sender === undefined ? undefined : senderStart(evidence, sender, family, routed.to);
  if (start === 'pending') return cannotTell('the settings of the sender are being read', 'ip_default_ttl, hop_limit and the route at the sender');
  if (symptom.kind === 'call' && (start === undefined || start.value >= USUAL)) return ruledOut(`packets from here start with a ${name} of ${start?.value ?? '64'}`);
  const where = netnsText(evidence, symptom.netns);
  const lines: EvidenceLine[] = [symptomLine(evidence, symptom)];
  const low = start !== undefined && start.value < USUAL ? start : undefined;
  if (low === undefined && symptom.kind === 'drop') {
    const path = forwardPath(evidence, symptom.netns, routed.to, routed.from);
    if (isUnavailable(path)) {
      if (path.unavailable === 'pending') return cannotTell(unavailableText(path), 'the routes of the other namespaces');
    } else if (path.loop !== undefined) return loop(evidence, symptom, routed.to, routed.from ?? '?', name, path, lines);
  }
  const rewriting = low === undefined ? ttlRule(evidence, [symptom.netns, ...(sender === undefined || sender === symptom.netns ? [] : [sender])]) : undefined;
  if (rewriting === 'pending') return cannotTell('the rules are being read', 'the rules of the router and the sender');
  if (rewriting !== undefined && symptom.kind === 'drop') return lowered(evidence, symptom, routed.to, routed.from ?? '?', name, rewriting, lines);
  const from = routed.from ?? 'this host';
  const at = sender === undefined ? `the sender ${from}` : netnsText(evidence, sender);
  const culprit: Culprit = low !== undefined
    ? low.culprit
    : { kind: 'peer', text: `sender ${from}: it sends with too small a ${name} (ttl)`, address: from };
  const remedies: Remedy[] = low !== undefined ? [low.remedy] : [
    { text: `Have the sending program use a larger ${name}: its socket sets ${family === 4 ? 'IP_TTL' : 'IPV6_UNICAST_HOPS'}, or a rule there rewrites it. ${start === undefined ? '' : `The setting of ${at}, ${start.value}, is a usual one.`}`.trim(), risk: 'low' },
  ];
  if (low !== undefined) lines.push(low.line);
  return {
    outcome: 'found',
    confidence: low !== undefined ? 0.97 : 0.85,
    severity: 'warning',
    ...(low === undefined && isTrace(symptom) ? { few: TRACE } : {}),
    identity: low !== undefined ? `ttl|${sender ?? 0}|${low.identity}` : `ttl|${from}`,
    explanation: symptom.kind === 'drop'
      ? `Packets from ${from} to ${routed.to} reached ${where} with a ${name} of ${symptom.drop.packet.ip?.ttl ?? 1}, which runs out there, so the router dropped them. ${low !== undefined ? `They start so in ${at}: ${low.line.text}.` : `They were sent with too small a ${name} for this path${start === undefined ? '' : `, though the default of ${at} is ${start.value}`}.`} Each router on the way takes one off.`
      : `Sending to ${routed.to} fails with EHOSTUNREACH in ${where}: a router on the way answered that the ${name} ran out. Packets start here with ${low?.value ?? 1}: ${low?.line.text ?? ''}. Each router on the way takes one off.`,
    culprit,
    evidence: lines,
    remedies,
  };
}

/** Packets as traceroute(8) sends them: echo requests, or UDP to ports from 33434 on, with a TTL that is meant to run out. */
function isTrace(symptom: Symptom): boolean {
  if (symptom.kind !== 'drop') return false;
  const t = symptom.drop.packet.transport;
  return t?.kind === 'udp' ? t.destinationPort >= 33434 && t.destinationPort < 33434 + 255 * 3 : (t?.kind === 'icmp' && t.type === 8) || (t?.kind === 'icmp6' && t.type === 128);
}

interface Start {
  readonly value: number;
  readonly identity: string;
  readonly culprit: Culprit;
  readonly line: EvidenceLine;
  readonly remedy: Remedy;
}

/** What a namespace's packets start with: the route's hoplimit, else the sysctl. */
function senderStart(evidence: Evidence, netns: Netns, family: 4 | 6, to: string): Start | 'pending' | undefined {
  const decision = decideRoute(evidence, netns, { to });
  const at = netnsText(evidence, netns);
  const four = family === 4 ? sysctlNumber(evidence, netns, 'net/ipv4/ip_default_ttl') : undefined;
  const route = isUnavailable(decision) ? undefined : decision.route;
  const device = route?.device ?? route?.nexthops[0]?.device;
  const six = family === 6 && device !== undefined ? ipv6Conf(evidence, netns, 'hop_limit', device) : undefined;
  for (const a of [decision, four, six]) if (a !== undefined && isUnavailable(a) && a.unavailable === 'pending') return 'pending';
  if (route?.hopLimit !== undefined && route.hopLimit > 0) {
    const flag = family === 6 ? '-6 ' : '';
    return {
      value: route.hopLimit, identity: routeText(route),
      culprit: { kind: 'route', text: `route ${routeText(route)} with hoplimit ${route.hopLimit} (ttl) in ${at}`, destination: route.destination, table: route.table, type: route.type },
      line: { source: 'ip route', text: `${routeText(route)} hoplimit ${route.hopLimit} in ${at}` },
      remedy: { text: 'Take the hoplimit off the route.', command: iproute(evidence, netns, 'ip', `${flag}route replace ${routeText(route)}`), undo: iproute(evidence, netns, 'ip', `${flag}route replace ${routeText(route)} hoplimit ${route.hopLimit}`), risk: 'low' },
    };
  }
  if (four !== undefined && !isUnavailable(four)) {
    return {
      value: four, identity: 'ip_default_ttl',
      culprit: { kind: 'sysctl', text: `net.ipv4.ip_default_ttl = ${four} in ${at}`, name: 'net.ipv4.ip_default_ttl', value: four, effective: four, netns: evidence.host.netnsNames.get(netns) ?? netns },
      line: { source: `sysctl in ${at}`, text: `net.ipv4.ip_default_ttl = ${four}` },
      remedy: { text: `Give ${at} the usual TTL of 64.`, command: sysctlSet(evidence, netns, [['net.ipv4.ip_default_ttl', 64]]), undo: sysctlSet(evidence, netns, [['net.ipv4.ip_default_ttl', four]]), risk: 'low' },
    };
  }
  if (six !== undefined && !isUnavailable(six)) {
    return {
      value: six.device, identity: six.key,
      culprit: { kind: 'sysctl', text: `${six.key} = ${six.device} (hop limit) in ${at}`, name: six.key, value: six.device, effective: six.device, netns: evidence.host.netnsNames.get(netns) ?? netns },
      line: { source: `sysctl in ${at}`, text: `${six.key} = ${six.device}` },
      remedy: { text: `Give ${at} the usual hop limit of 64.`, command: sysctlSet(evidence, netns, [[six.key, 64]]), undo: sysctlSet(evidence, netns, [[six.key, six.device]]), risk: 'low' },
    };
  }
  return undefined;
}

/** A rule that sets or lowers the TTL, here or at the sender. */
function ttlRule(evidence: Evidence, list: readonly Netns[]): { readonly netns: Netns; readonly placed: PlacedRule } | 'pending' | undefined {
  let pending = false;
  let best: { netns: Netns; placed: PlacedRule } | undefined;
  for (const netns of list) {
    const rules = manglingRules(evidence, netns);
    if (isUnavailable(rules)) {
      pending ||= rules.unavailable === 'pending';
      continue;
    }
    const placed = rules.find((r) => r.rule.effects.some((e) => e.kind === 'ttl'));
    if (placed !== undefined) best ??= { netns, placed };
  }
  return pending ? 'pending' : best;
}

function lowered(evidence: Evidence, symptom: Symptom, to: string, from: string, name: string, found: { readonly netns: Netns; readonly placed: PlacedRule }, lines: EvidenceLine[]): Finding {
  const { netns, placed } = found;
  const at = netnsText(evidence, netns);
  const step = deleteRule(placed.table, placed.rule);
  return {
    outcome: 'found', confidence: 0.95, severity: 'warning', identity: `ttl rule|${netns}|${placed.table.name}|${placed.rule.chain}|${placed.rule.handle ?? placed.rule.position}`,
    explanation: `Packets from ${from} to ${to} ran out of ${name} in ${netnsText(evidence, symptom.netns)}, so the router dropped them. A rule in ${at} sets their ${name}: "${placed.rule.text}" in chain ${placed.rule.chain} of ${placed.table.family} ${placed.table.name}. Each router on the way takes one off.`,
    culprit: { ...ruleCulprit(evidence, placed, netns), text: `${ruleCulprit(evidence, placed, netns).text} (ttl)` },
    evidence: [...lines, { source: placed.table.tool === 'nft' ? 'nft -j list ruleset' : `${placed.table.tool}-save`, text: `${at}: ${placed.rule.text}` }],
    remedies: [{ text: `Delete the rule that sets the ${name}.`, command: inNetns(evidence, netns, step.command), undo: inNetns(evidence, netns, step.undo), risk: 'low' }],
  };
}

function loop(evidence: Evidence, symptom: Symptom, to: string, from: string, name: string, path: import('../../evidence/network/path.ts').ForwardPath, lines: EvidenceLine[]): Finding {
  const from0 = path.hops.findIndex((h) => h.netns === path.loop);
  const circle = path.hops.slice(Math.max(0, from0));
  const owner = findOwnerOfAddress(evidence, symptom.netns, to);
  if (owner !== undefined && isUnavailable(owner) && owner.unavailable === 'pending') return cannotTell(unavailableText(owner), 'the other namespaces');
  // the wrong one is the route that leads away although another route of that router leads to the owner
  const wrong = circle.map((hop) => {
    const rest = decideRoute(evidence, hop.netns, { to, iif: '?' }, hop.route);
    return { hop, better: !isUnavailable(rest) && rest.kind === 'route' && rest.route !== undefined && (rest.route.device !== hop.route.device || rest.route.gateway !== hop.route.gateway) ? rest.route : undefined };
  });
  const best = wrong.find((w) => w.better !== undefined) ?? wrong[0];
  if (best === undefined) return cannotTell('the loop has no routers', 'the routes');
  const { hop } = best;
  const at = netnsText(evidence, hop.netns);
  // a router of the circle that has the owner of the destination on one of its wires only lacks the route to it
  for (const h of circle) {
    const gateway = best.better === undefined ? gatewayTo(evidence, h.netns, to) : undefined;
    if (gateway === undefined) continue;
    if (isUnavailable(gateway)) {
      if (gateway.unavailable === 'pending') return cannotTell(unavailableText(gateway), 'the other namespaces');
      continue;
    }
    if (gateway.why !== 'has-destination') continue;
    const there = netnsText(evidence, h.netns);
    const words = `${to}/${to.includes(':') ? 128 : 32} via ${gateway.address} dev ${shellQuote(gateway.device)}`;
    const flag = to.includes(':') ? '-6 ' : '';
    return {
      outcome: 'found', confidence: 0.97, severity: 'critical', identity: `loop|${circle.map((c) => c.netns).toSorted((a, b) => a - b).join(',')}|${to}`,
      explanation: `Packets from ${from} to ${to} circle between ${circle.map((c) => netnsText(evidence, c.netns)).join(' and ')} until their ${name} runs out. In ${there} they leave by ${routeText(h.route)}, back to where they came from. ${to} is behind ${gateway.address} on ${gateway.device} there, and no route says so.`,
      culprit: { kind: 'route', text: `routing loop (ttl): ${routeText(h.route)} in ${there}, no route to ${to}`, destination: h.route.destination, table: h.route.table, type: 'unicast' },
      evidence: [...lines, ...circle.map((c) => ({ source: `ip route in ${netnsText(evidence, c.netns)}`, text: routeText(c.route) }))],
      remedies: [{ text: `Add the missing route in ${there}.`, command: iproute(evidence, h.netns, 'ip', `${flag}route add ${words}`), undo: iproute(evidence, h.netns, 'ip', `${flag}route del ${words}`), risk: 'low' }],
    };
  }
  const six = to.includes(':') ? '-6 ' : '';
  const del = iproute(evidence, hop.netns, 'ip', `${six}route del ${routeText(hop.route)}`);
  return {
    outcome: 'found',
    confidence: 0.96,
    severity: 'critical',
    identity: `loop|${circle.map((h) => h.netns).toSorted((a, b) => a - b).join(',')}|${to}`,
    explanation: `Packets from ${from} to ${to} circle between ${circle.map((h) => netnsText(evidence, h.netns)).join(' and ')} until their ${name} runs out. The routes there point at each other for that destination. ${best.better === undefined ? `One of them is wrong.` : `In ${at} the route ${routeText(hop.route)} hides ${routeText(best.better)}, which leads elsewhere.`}`,
    culprit: { kind: 'route', text: `routing loop (ttl): ${routeText(hop.route)} in ${at}`, destination: hop.route.destination, table: hop.route.table, type: 'unicast' },
    evidence: [...lines, ...circle.map((h) => ({ source: `ip route in ${netnsText(evidence, h.netns)}`, text: routeText(h.route) }))],
    remedies: [{ text: `Remove the route that leads back, in ${at}.`, command: del, undo: iproute(evidence, hop.netns, 'ip', `${six}route add ${routeText(hop.route)}`), risk: 'medium' }],
  };
}

/** A trace tells of the drop and not of the packet: the counter says that it was here. */
function withoutPacket(family: 4 | 6, drop: DropEvent, evidence: Evidence): Finding {
  const counted = countedHere(evidence, drop);
  if (counted === undefined) return NOT_APPLICABLE;
  if (isUnavailable(counted)) return cannotTell(unavailableText(counted), 'the counters of this namespace');
  if (counted.by <= 0) return ruledOut(`${counted.counter} did not rise here`);
  const name = family === 4 ? 'TTL' : 'hop limit';
  const where = netnsText(evidence, drop.netns);
  return {
    outcome: 'found', confidence: 0.9, severity: 'warning', few: TRACE, identity: 'ttl|without packet',
    explanation: `Packets that ${where} was to forward arrived with a ${name} that runs out there (${counted.counter} +${counted.by}), so it dropped them. Either a sender starts with too small a ${name}, or packets circle between routers. The trace does not show the packet; with BPF its sender is told.`,
    culprit: { kind: 'peer', text: `a sender with too small a ${name} (ttl), or a routing loop through ${where}` },
    evidence: [dropLine(evidence, drop), { source: 'counters', text: `${counted.counter} +${counted.by}` }],
    remedies: [{ text: `Look at what arrives (tcpdump -v shows the ${name}): for a sender, its ${family === 4 ? 'net.ipv4.ip_default_ttl' : 'net.ipv6.conf.DEV.hop_limit'}; for the same packet again and again, the routes of the routers on its way.`, risk: 'low' }],
  };
}
