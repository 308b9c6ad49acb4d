import { countedHere } from '../../evidence/network/counted.ts';
import { incomingDevice } from '../../evidence/network/packet.ts';
import { isLocalAddress } from '../../evidence/network/routing.ts';
import { addresses, routeGet, sysctls } from '../../evidence/network/read.ts';
import { ipv4Conf, sysctlNumber, sysctlSet } from '../../evidence/network/sysctl.ts';
import { dropLine, isMulticastMac, symbolOf } from '../../evidence/network/words.ts';
import { findOwnerOfAddress } from '../../evidence/network/hosts.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { matchesPrefix } from '../../base/inet.ts';
import { shellQuote } from '../../base/text.ts';
import type { Cause } from '../../model/cause.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'route.forwarding-disabled',
  title: 'this host does not forward packets',
  needs: ['sysctl', 'route', 'route6', 'route-get', 'link', 'address', 'proc'],
  knowledge: {
    what: 'A packet for somebody else came in, and forwarding is off: for IPv4 on the interface that it came in on, for IPv6 on the whole namespace. The kernel drops it without an answer.',
    signs: ['IPv4: IP_INADDRERRORS at ip_error', 'IPv6: a drop at ip6_forward, IP_INADDRERRORS or NOT_SPECIFIED', 'Ip InAddrErrors in /proc/net/snmp rises'],
    fixes: ['All interfaces: `sysctl -w net.ipv4.ip_forward=1`; one: `sysctl -w net.ipv4.conf.IFACE.forwarding=1`', 'IPv6: `sysctl -w net.ipv6.conf.all.forwarding=1`', 'Writing ip_forward overwrites the value of every interface'],
    functions: ['ip_route_input_slow', 'ip_error', 'ip6_forward'],
    reasons: ['IP_INADDRERRORS'],
    errnos: [],
    versions: ['IP_INADDRERRORS exists since 5.19; before, NOT_SPECIFIED', 'net.ipv6.conf.IFACE.force_forwarding exists since 6.17'],
    sources: ['net/ipv4/route.c ip_error', 'net/ipv6/ip6_output.c ip6_forward', 'Documentation/networking/ip-sysctl.rst'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'drop' ? judge(symptom.drop, evidence) : NOT_APPLICABLE),
};

function judge(drop: DropEvent, evidence: Evidence): Finding {
  const symbol = symbolOf(drop);
  const { ip } = drop.packet;
  if (ip === undefined) return symbol === 'ip_error' && drop.reason.name === 'IP_INADDRERRORS' ? withoutPacket(drop, evidence) : NOT_APPLICABLE;
  const four = symbol === 'ip_error' && ip.version === 4 && (drop.reason.name === 'IP_INADDRERRORS' || drop.reason.name === 'NOT_SPECIFIED');
  const six = symbol === 'ip6_forward' && ip.version === 6 && (drop.reason.name === 'IP_INADDRERRORS' || drop.reason.name === 'NOT_SPECIFIED');
  if (!four && !six) return NOT_APPLICABLE;
  const found = incomingDevice(evidence, drop);
  if (found !== undefined && isUnavailable(found) && found.unavailable === 'pending') return cannotTell(unavailableText(found), 'the interfaces');
  const device = found === undefined || isUnavailable(found) ? drop.interface ?? '?' : found;
  const where = netnsText(evidence, drop.netns);
  const local = isLocalAddress(evidence, drop.netns, ip.destination);
  if (!isUnavailable(local) && local.local) return ruledOut(`${ip.destination} is an address of ${where} itself`);
  return four ? judge4(drop, evidence, device, where) : judge6(drop, evidence, device, where);
}

function judge4(drop: DropEvent, evidence: Evidence, device: string, where: string): Finding {
  const ip = drop.packet.ip!;
  const conf = ipv4Conf(evidence, drop.netns, 'forwarding', device);
  const onward = routeGet(evidence, drop.netns, { to: ip.destination });
  const values = sysctls(evidence, drop.netns, 'net/ipv4/conf/*/forwarding');
  const own = addresses(evidence, drop.netns);
  if (isUnavailable(conf)) return cannotTell(unavailableText(conf), 'the sysctls of the interface');
  if (conf.effective !== 0) return ruledOut(`forwarding is on for ${device}`);
  const others = isUnavailable(values) ? [] : [...values].filter(([path, v]) => v === '1' && !/\/(all|default)\//.test(path)).map(([path]) => path.split('/')[3] ?? '');
  const everyone = isMulticastMac(drop.packet.ethernet?.destination ?? '');
  const single = others.filter((o) => o !== 'lo').length > 0;
  const route = isUnavailable(onward) ? undefined : onward.kind === 'route' ? `by ${onward.device}${onward.gateway === undefined ? '' : ` via ${onward.gateway}`}` : onward.text;
  const one: Remedy = { text: `Let ${where} forward what comes in on ${device}.`, command: sysctlSet(evidence, drop.netns, [[conf.key, 1]]), undo: sysctlSet(evidence, drop.netns, [[conf.key, 0]]), risk: 'low' };
  // answers come back in by the other interface: where none forwards, all have to
  const all: Remedy = { text: `Let ${where} forward IPv4 packets on all interfaces; answers come in by the other one.`, command: sysctlSet(evidence, drop.netns, [['net.ipv4.ip_forward', 1]]), undo: sysctlSet(evidence, drop.netns, [['net.ipv4.ip_forward', 0]]), risk: 'medium' };
  const lines: EvidenceLine[] = [
    dropLine(evidence, drop),
    { source: 'sysctl', text: `${conf.key} = ${conf.device}, net.ipv4.conf.all.forwarding (ip_forward) = ${conf.all}${others.length === 0 ? '' : `; on for ${others.join(', ')}`}` },
    ...(route === undefined ? [] : [{ source: 'ip route get', text: `${ip.destination} from here: ${route}` }]),
  ];
  const onLink = !isUnavailable(own) && !isUnavailable(onward) && onward.kind === 'route' && onward.device === device && onward.gateway === undefined;
  if (everyone) {
    return {
      outcome: 'found', confidence: 0.9, severity: 'info', identity: `broadcast|${device}`,
      explanation: `A frame to everyone on the link reached ${where} on ${device}. Its destination ${ip.destination} is no address of this host and no broadcast address of a network that it has there, so it was dropped. Such packets are never forwarded, and those whom they are for have had their own copy.`,
      culprit: { kind: 'interface', text: `${ip.destination} on ${device}: not for this host`, address: ip.destination, interface: device },
      evidence: lines,
      remedies: [{ text: 'Nothing need be done.', risk: 'low' }],
    };
  }
  if (onLink) {
    const elsewhere = findOwnerOfAddress(evidence, drop.netns, ip.destination);
    if (elsewhere !== undefined && isUnavailable(elsewhere) && elsewhere.unavailable === 'pending') return cannotTell(unavailableText(elsewhere), 'the addresses of the other namespaces');
    if (elsewhere === undefined) return addressLost(drop, evidence, device, lines);
  }
  return {
    outcome: 'found',
    confidence: onLink ? 0.85 : drop.reason.name === 'IP_INADDRERRORS' ? 0.97 : 0.85,
    severity: 'warning',
    identity: single ? `forwarding|${device}` : 'forwarding|all',
    explanation: `Packets from ${ip.source} to ${ip.destination} came in on ${device} in ${where}, which is not their destination. Forwarding is off ${single ? `on ${device} (${conf.key} = 0), though it is on for ${others.filter((o) => o !== 'lo').join(', ')}` : 'there (net.ipv4.ip_forward = 0)'}, so they were dropped without an answer. ${onLink ? `${ip.destination} belongs on the very link they came from: perhaps its owner has lost the address.` : route === undefined ? 'No ICMP error tells the sender.' : `With forwarding on they would leave ${route}.`}`,
    culprit: { kind: 'sysctl', text: single ? `${conf.key} forwarding = 0 on ${device}` : `net.ipv4.ip_forward = 0 (forwarding off, packets came in on ${device})`, name: single ? conf.key : 'net.ipv4.ip_forward', value: 0, effective: 0, interface: device },
    evidence: lines,
    remedies: single ? [one, all] : [all, one],
  };
}

/** The destination belongs on the link that the packet came in by, it was sent to this host's MAC, and nobody has it: forwarding would lead nowhere. */
function addressLost(drop: DropEvent, evidence: Evidence, device: string, lines: readonly EvidenceLine[]): Finding {
  const ip = drop.packet.ip!;
  const where = netnsText(evidence, drop.netns);
  const own = addresses(evidence, drop.netns), before = addresses(evidence, drop.netns, 'before');
  const had = !isUnavailable(before) && before.some((a) => a.address === ip.destination);
  const prefix = isUnavailable(own) ? 32 : own.find((a) => a.device === device && matchesPrefix(ip.destination, `${a.address}/${a.prefixLength}`))?.prefixLength ?? 32;
  const spec = `${ip.destination}/${prefix} dev ${shellQuote(device)}`;
  return {
    outcome: 'found',
    confidence: had ? 0.97 : 0.88,
    severity: 'warning',
    identity: `address lost|${ip.destination}`,
    explanation: `Packets from ${ip.source} to ${ip.destination} came in on ${device} in ${where}, which ${had ? 'had that address when the watch began and has lost it' : 'does not have that address'}. The sender takes this host for its owner, ${ip.destination} belongs on the very link the packets came by, and no namespace here has it. So they were dropped; forwarding them would lead nowhere.`,
    culprit: { kind: 'interface', text: `${device} in ${where}: ${ip.destination} is not one of its addresses${had ? ' any more' : ''}`, interface: device, address: ip.destination },
    evidence: [...lines, { source: 'ip address', text: `${ip.destination} is on no interface of ${where}` }],
    remedies: [
      { text: `Give ${where} the address ${had ? 'back' : 'if it is to have it'}.`, command: iproute(evidence, drop.netns, 'ip', `addr add ${spec}`), undo: iproute(evidence, drop.netns, 'ip', `addr del ${spec}`), risk: 'low' },
      { text: `Or correct the destination at ${ip.source}, or its neighbour entry for ${ip.destination}.`, risk: 'low' },
    ],
  };
}

function judge6(drop: DropEvent, evidence: Evidence, device: string, where: string): Finding {
  const ip = drop.packet.ip!;
  const all = sysctlNumber(evidence, drop.netns, 'net/ipv6/conf/all/forwarding');
  if (isUnavailable(all)) return cannotTell(unavailableText(all), 'net.ipv6.conf.all.forwarding');
  if (all !== 0) return ruledOut('IPv6 forwarding is on');
  return {
    outcome: 'found',
    confidence: 0.96,
    severity: 'warning',
    identity: 'forwarding6|all',
    explanation: `IPv6 packets from ${ip.source} to ${ip.destination} came in on ${device} in ${where}, which is not their destination. net.ipv6.conf.all.forwarding is 0, so they were dropped without an answer. IPv6 has this one switch for the whole namespace.`,
    culprit: { kind: 'sysctl', text: `net.ipv6.conf.all.forwarding = 0 (packets came in on ${device})`, name: 'net.ipv6.conf.all.forwarding', value: 0, effective: 0, interface: device },
    evidence: [dropLine(evidence, drop), { source: 'sysctl', text: 'net.ipv6.conf.all.forwarding = 0' }],
    remedies: [{ text: `Let ${where} forward IPv6 packets. It then stops taking default routes from router advertisements, unless accept_ra is 2.`, command: sysctlSet(evidence, drop.netns, [['net.ipv6.conf.all.forwarding', 1]]), undo: sysctlSet(evidence, drop.netns, [['net.ipv6.conf.all.forwarding', 0]]), risk: 'medium' }],
  };
}

/** A trace tells of the drop and not of the packet: the counter says that it was here, the sysctl that nothing is forwarded. */
function withoutPacket(drop: DropEvent, evidence: Evidence): Finding {
  const counted = countedHere(evidence, drop);
  const values = sysctls(evidence, drop.netns, 'net/ipv4/conf/*/forwarding');
  if (counted === undefined) return NOT_APPLICABLE;
  if (isUnavailable(counted)) return cannotTell(unavailableText(counted), 'Ip InAddrErrors');
  if (isUnavailable(values)) return cannotTell(unavailableText(values), 'the sysctls of the interfaces');
  if (counted.by <= 0) return ruledOut(`${counted.counter} did not rise here`);
  const off = [...values].filter(([, v]) => v === '0').map(([path]) => path.split('/')[3] ?? '').filter((d) => !['all', 'default', 'lo'].includes(d));
  const whole = values.get('net/ipv4/conf/all/forwarding') === '0';
  if (off.length === 0) return ruledOut('forwarding is on for every interface');
  const where = netnsText(evidence, drop.netns);
  const keys = whole ? ['net.ipv4.ip_forward'] : off.map((d) => (d.includes('.') ? `net/ipv4/conf/${d}/forwarding` : `net.ipv4.conf.${d}.forwarding`));
  return {
    outcome: 'found', confidence: 0.9, severity: 'warning', identity: 'forwarding|without packet',
    explanation: `Packets for other hosts reached ${where} and were dropped (${counted.counter} +${counted.by}), because it does not forward what comes in on ${off.join(', ')}. ${whole ? 'net.ipv4.ip_forward is 0.' : 'The setting of the interface is 0.'} The trace does not show the packet; with BPF its flow is told.`,
    culprit: { kind: 'sysctl', text: `${keys.map((k) => `${k} = 0`).join(', ')} in ${where} (forwarding off)`, name: keys[0] ?? '', value: 0, effective: 0 },
    evidence: [dropLine(evidence, drop), { source: '/proc/net/snmp', text: `${counted.counter} +${counted.by}` }],
    remedies: [{ text: `Let ${where} forward IPv4 packets.`, command: sysctlSet(evidence, drop.netns, keys.map((k) => [k, 1] as const)), undo: sysctlSet(evidence, drop.netns, keys.map((k) => [k, 0] as const)), risk: 'medium' }],
  };
}
