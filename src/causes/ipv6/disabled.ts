import { incomingDevice, routedPacket } from '../../evidence/network/packet.ts';
import { peerOf } from '../../evidence/network/hosts.ts';
import { addresses, linkNamed, links, sysctls } from '../../evidence/network/read.ts';
import { decideRoute } from '../../evidence/network/routing.ts';
import { sysctlSet } from '../../evidence/network/sysctl.ts';
import { isMulticastAddress, linkState, symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { shellQuote } from '../../base/text.ts';
import type { Cause } from '../../model/cause.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'ipv6.disabled',
  title: 'IPv6 is switched off on the interface',
  needs: ['sysctl', 'address', 'route6', 'rule6', 'link'],
  knowledge: {
    what: 'disable_ipv6 is 1 on the interface: it has no IPv6 addresses and routes, arriving IPv6 packets are dropped, and senders find no route or no address.',
    signs: ['IPV6DISABLED at ip6_rcv_core', 'ENETUNREACH or EADDRNOTAVAIL for IPv6 destinations', '`ip -6 addr show dev DEV` is empty'],
    fixes: ['`sysctl -w net.ipv6.conf.IFACE.disable_ipv6=0`', 'Addresses that were configured by hand have to be added again'],
    functions: ['ip6_rcv_core', 'addrconf_disable_ipv6'],
    reasons: ['IPV6DISABLED'],
    errnos: ['ENETUNREACH', 'EADDRNOTAVAIL', 'EACCES'],
    versions: ['IPV6DISABLED exists since 5.18'],
    sources: ['net/ipv6/ip6_input.c', 'net/ipv6/addrconf.c', 'Documentation/networking/ip-sysctl.rst'],
  },
  judge,
};

function judge(symptom: Symptom, evidence: Evidence): Finding {
  let to: string | undefined;
  let device: string | undefined;
  if (symptom.kind === 'drop') {
    const { drop } = symptom;
    if (drop.reason.name !== 'IPV6DISABLED' && !(drop.reason.name === 'NOT_SPECIFIED' && /^(ip6_rcv_core|ip6_output|ip6_finish_output)$/.test(symbolOf(drop)))) return NOT_APPLICABLE;
    const found = incomingDevice(evidence, drop) ?? drop.interface;
    if (found !== undefined && isUnavailable(found)) return cannotTell(unavailableText(found), 'the interfaces');
    device = found;
    to = drop.packet.ip?.destination;
  } else {
    if (symptom.kind !== 'call' || !['ENETUNREACH', 'EADDRNOTAVAIL', 'EACCES'].includes(symptom.call.errno)) return NOT_APPLICABLE;
    const routed = routedPacket(evidence, symptom);
    if (routed === undefined) return NOT_APPLICABLE;
    if (isUnavailable(routed)) return cannotTell(unavailableText(routed), 'the interfaces');
    if (!routed.to.includes(':')) return NOT_APPLICABLE;
    to = routed.to;
  }
  const chatter = symptom.kind === 'drop' && to !== undefined && isMulticastAddress(to) && !forUs(symptom.drop, evidence, device);
  const narrow = tooNarrow(symptom, evidence, device, to, chatter);
  if (narrow !== undefined) return narrow;
  const values = sysctls(evidence, symptom.netns, 'net/ipv6/conf/*/disable_ipv6');
  const own = addresses(evidence, symptom.netns);
  const decision = to === undefined || symptom.kind === 'drop' ? undefined : decideRoute(evidence, symptom.netns, { to });
  if (isUnavailable(values)) return cannotTell(unavailableText(values), 'net.ipv6.conf.*.disable_ipv6');
  if (decision !== undefined && isUnavailable(decision) && decision.unavailable === 'pending') return cannotTell(unavailableText(decision), 'the routes');
  const off = [...values].filter(([, v]) => v === '1').map(([p]) => p.split('/')[3] ?? '').filter((d) => d !== 'default');
  const candidates = off.filter((d) => d !== 'all' && (to === '::1' ? d === 'lo' : d !== 'lo') && (device === undefined || d === device));
  const all = off.includes('all');
  if (candidates.length === 0) return ruledOut('IPv6 is on for every interface concerned');
  if (decision !== undefined && !isUnavailable(decision) && decision.kind !== 'none' && !(decision.route?.type === 'unicast' && candidates.includes(decision.route.device ?? ''))) return ruledOut(`a route covers ${to}`);
  const chosen = device ?? (isUnavailable(own) ? undefined : candidates.find((c) => own.some((a) => a.device === c && a.family === 4))) ?? candidates[0]!;
  const where = netnsText(evidence, symptom.netns);
  const key = chosen.includes('.') ? `net/ipv6/conf/${chosen}/disable_ipv6` : `net.ipv6.conf.${chosen}.disable_ipv6`;
  const before = addresses(evidence, symptom.netns, 'before');
  const lost = isUnavailable(before) ? [] : before.filter((a) => a.device === chosen && a.family === 6 && a.scope === 'global');
  const set: (readonly [string, number])[] = all ? [['net.ipv6.conf.all.disable_ipv6', 0], [key, 0]] : [[key, 0]];
  return {
    outcome: 'found',
    confidence: symptom.kind === 'drop' ? 0.97 : 0.96,
    severity: chatter ? 'info' : 'warning',
    identity: `${chatter ? 'chatter|' : ''}disable_ipv6|${chosen}`, // chatter must not speak for what was lost
    explanation: `IPv6 is switched off on ${chosen} in ${where} (${key} = 1). ${symptom.kind === 'drop' ? `IPv6 packets that come in there are dropped.` : `So there is neither an address nor a route for ${to}, and the call fails with ${symptom.kind === 'call' ? symptom.call.errno : ''}.`} Its IPv6 addresses went when it was switched off.`,
    culprit: { kind: 'sysctl', text: `${key} = 1 (disable_ipv6 on ${chosen})`, name: key, value: 1, effective: 1, interface: chosen },
    evidence: [symptomLine(evidence, symptom), { source: 'sysctl', text: off.map((d) => `net.ipv6.conf.${d}.disable_ipv6 = 1`).join(', ') }],
    remedies: [{ text: `Switch IPv6 on again on ${chosen}.${lost.length === 0 ? ' Addresses that were set by hand have to be added again.' : ''}`, command: [sysctlSet(evidence, symptom.netns, set), ...lost.map((a) => iproute(evidence, symptom.netns, 'ip', `-6 addr replace ${a.address}/${a.prefixLength} dev ${shellQuote(chosen)}`))].join(' && '), undo: sysctlSet(evidence, symptom.netns, set.map(([k]) => [k, 1] as const)), risk: 'low' }],
  };
}

const NEIGHBOUR_SOLICITATION = 135;

/** A question for a neighbour that only this host can be: on a veth pair, which has two ends. */
function forUs(drop: DropEvent, evidence: Evidence, device: string | undefined): boolean {
  const { ip, transport } = drop.packet;
  if (transport?.kind !== 'icmp6' || transport.type !== NEIGHBOUR_SOLICITATION || ip?.source === '::' || device === undefined) return false;
  const own = linkNamed(evidence, drop.netns, device), peer = peerOf(evidence, drop.netns, device);
  return !isUnavailable(own) && own.master === undefined && peer !== undefined && !isUnavailable(peer) && peer.link.master === undefined;
}

const LEAST_MTU = 1280; // RFC 8200 section 5: below it the kernel takes IPv6 off the device

/** IPv6 is off because the MTU is too small for it; undefined when that is not so. */
function tooNarrow(symptom: Symptom, evidence: Evidence, device: string | undefined, to: string | undefined, chatter: boolean): Finding | undefined {
  const all = links(evidence, symptom.netns);
  if (isUnavailable(all)) return all.unavailable === 'pending' ? cannotTell(unavailableText(all), 'ip link') : undefined;
  const link = all.find((l) => l.mtu > 0 && l.mtu < LEAST_MTU && l.up && (device === undefined || l.name === device));
  if (link === undefined) return undefined;
  if (symptom.kind === 'drop' ? symptom.drop.reason.name !== 'NOT_SPECIFIED' : symptom.kind !== 'call' || to === undefined) return undefined;
  const decision = symptom.kind === 'call' && to !== undefined ? decideRoute(evidence, symptom.netns, { to }) : undefined;
  if (decision !== undefined && (isUnavailable(decision) || decision.kind !== 'none')) return undefined;
  const where = netnsText(evidence, symptom.netns);
  const set = (mtu: number): string => iproute(evidence, symptom.netns, 'ip', `link set ${shellQuote(link.name)} mtu ${mtu}`);
  return {
    outcome: 'found',
    confidence: symptom.kind === 'drop' ? 0.95 : 0.96,
    severity: chatter ? 'info' : 'warning',
    identity: `${chatter ? 'chatter|' : ''}ipv6 mtu|${link.name}`, // chatter must not speak for what was lost
    explanation: `IPv6 is off on ${link.name} in ${where}, because its MTU is ${link.mtu}. IPv6 needs at least ${LEAST_MTU}, and the kernel takes it off a device that has less, addresses and routes included. ${symptom.kind === 'drop' ? `IPv6 packets that come in there are dropped.` : `So nothing leads to ${to}.`}`,
    culprit: { kind: 'interface', text: `interface ${link.name} in ${where}: mtu ${link.mtu}, too small for IPv6`, interface: link.name, mtu: link.mtu },
    evidence: [symptomLine(evidence, symptom), { source: 'ip link', text: linkState(link) }],
    remedies: [{ text: `Raise the MTU to what IPv6 needs. Addresses that were set by hand have to be added again.`, command: set(LEAST_MTU), undo: set(link.mtu), risk: 'medium' }],
  };
}
