import { shellQuote } from '../../base/text.ts';
import { countedHere } from '../../evidence/network/counted.ts';
import { findOwnerOfMac } from '../../evidence/network/hosts.ts';
import { incomingDevice } from '../../evidence/network/packet.ts';
import { addresses, routeGet, sysctls } from '../../evidence/network/read.ts';
import { decideRoute } from '../../evidence/network/routing.ts';
import { ipv4Conf, sysctlSet } from '../../evidence/network/sysctl.ts';
import { dropLine, routeText, symbolOf } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { matchesPrefix } from '../../base/inet.ts';
import type { Cause } from '../../model/cause.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'route.rp-filter',
  title: 'the reverse-path filter dropped it',
  needs: ['sysctl', 'route', 'rule', 'route-get', 'link', 'address', 'proc'],
  knowledge: {
    what: 'rp_filter makes the kernel look up the route back to the sender of every IPv4 packet. In strict mode (1) the packet is dropped unless that route leaves by the interface it came in on; in loose mode (2) it is dropped when there is no route back at all. The value that counts is the larger of conf.all.rp_filter and that of the interface.',
    signs: ['IP_RPFILTER at ip_rcv_finish_core', 'TcpExt IPReversePathFilter in /proc/net/netstat rises', 'No ICMP answer, no log unless log_martians is on'],
    fixes: ['Loose mode on the interface: `sysctl -w net.ipv4.conf.IFACE.rp_filter=2`', 'Or route the way back by the interface the packets come in on', 'Multi-homed hosts with source routing need loose mode'],
    functions: ['__fib_validate_source', 'fib_validate_source', 'ip_rcv_finish_core'],
    reasons: ['IP_RPFILTER'],
    errnos: [],
    versions: ['IP_RPFILTER exists since 5.18; before, NOT_SPECIFIED'],
    sources: ['net/ipv4/fib_frontend.c', 'RFC 3704', 'Documentation/networking/ip-sysctl.rst'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'drop' ? judge(symptom.drop, evidence) : NOT_APPLICABLE),
};

function judge(drop: DropEvent, evidence: Evidence): Finding {
  const named = drop.reason.name === 'IP_RPFILTER';
  if (!named && !(drop.reason.name === 'NOT_SPECIFIED' && symbolOf(drop) === 'ip_rcv_finish_core')) return NOT_APPLICABLE;
  const { ip } = drop.packet;
  if (ip === undefined && named) return withoutPacket(drop, evidence);
  if (ip === undefined || ip.version !== 4) return NOT_APPLICABLE;
  const device = incomingDevice(evidence, drop) ?? drop.interface;
  if (device === undefined || isUnavailable(device)) return cannotTell('the interface it came in on is not known', 'the interfaces (ip link)');
  const conf = ipv4Conf(evidence, drop.netns, 'rp_filter', device);
  const back = decideRoute(evidence, drop.netns, { to: ip.source, from: ip.destination, mark: 0 });
  const kernel = routeGet(evidence, drop.netns, { to: ip.source });
  if (isUnavailable(conf)) return cannotTell(unavailableText(conf), 'the sysctls of the interface');
  if (conf.effective === 0) return ruledOut(`rp_filter is off on ${device} (all ${conf.all}, ${device} ${conf.device})`);
  if (isUnavailable(back)) return cannotTell(unavailableText(back), 'the routing tables');
  const route = back.kind === 'route' ? back.route : undefined;
  const by = route?.device ?? (!isUnavailable(kernel) && kernel.kind === 'route' ? kernel.device : undefined);
  if (by === device && !named) return ruledOut(`the route back to ${ip.source} leaves by ${device}, too`);
  const where = netnsText(evidence, drop.netns);
  const none = by === undefined;
  const disagree = none ? `no route leads back to ${ip.source}` : `the route back to ${ip.source} is ${route === undefined ? `by ${by}` : routeText(route)}, not by ${device}`;
  const settings = (value: number): (readonly [string, number])[] => (conf.all > value ? [[conf.allKey, value], [conf.key, value]] : [[conf.key, value]]);
  const remedies: Remedy[] = [];
  if (none) {
    const via = wayBack(evidence, drop, device, ip.source);
    if (via === 'pending') return cannotTell('the neighbours are still being looked at', 'the answers of the other namespaces');
    if (via !== undefined) remedies.push({ text: `Add the way back: a route to ${ip.source} by ${device}; answers need it, too.`, command: iproute(evidence, drop.netns, 'ip', `route add ${ip.source}/32 ${via}dev ${shellQuote(device)}`), undo: iproute(evidence, drop.netns, 'ip', `route del ${ip.source}/32 dev ${shellQuote(device)}`), risk: 'low' });
    remedies.push({ text: `Switch the filter off on ${device}: loose mode also wants a route back.`, command: sysctlSet(evidence, drop.netns, settings(0)), undo: sysctlSet(evidence, drop.netns, [...(conf.all > 0 ? [[conf.allKey, conf.all] as const] : []), [conf.key, conf.device]]), risk: 'medium' });
  } else {
    // the larger of the two values counts, so 2 on the interface is enough
    remedies.push({ text: `Loose mode on ${device}: a route back by any interface is then enough.`, command: sysctlSet(evidence, drop.netns, [[conf.key, 2]]), undo: sysctlSet(evidence, drop.netns, [[conf.key, conf.device]]), risk: 'low' });
    remedies.push({ text: `Or route ${ip.source} by ${device}, if the answers ought to go that way.`, risk: 'medium' });
  }
  return {
    outcome: 'found',
    confidence: named && by !== device ? 0.98 : named ? 0.85 : 0.8,
    severity: 'warning',
    identity: `rp_filter|${device}`,
    explanation: `Packets from ${ip.source} to ${ip.destination} came in on ${device} in ${where} and were dropped by the reverse-path filter. rp_filter is ${conf.effective} there (all ${conf.all}, ${device} ${conf.device}: the larger counts), which is ${conf.effective === 1 ? 'strict' : 'loose'} mode. ${disagree[0]!.toUpperCase()}${disagree.slice(1)}.`,
    culprit: { kind: 'sysctl', text: `${conf.key} rp_filter = ${conf.effective} on ${device}`, name: conf.all >= conf.device && conf.all > 0 && conf.device === 0 ? conf.allKey : conf.key, value: conf.device, all: conf.all, effective: conf.effective, interface: device },
    evidence: [
      dropLine(evidence, drop),
      { source: 'sysctl', text: `net.ipv4.conf.all.rp_filter = ${conf.all}, ${conf.key} = ${conf.device}` },
      { source: 'ip route show table all, ip rule', text: disagree },
      ...(isUnavailable(kernel) ? [] : [{ source: 'ip route get', text: `${ip.source}: ${kernel.kind === 'refused' ? kernel.text : `dev ${kernel.device}`}` }]),
    ],
    remedies,
  };
}

/** `via 10.0.0.1 ` where the frame's sender is a router of this host on that wire, '' where the source is on the link. */
function wayBack(evidence: Evidence, drop: DropEvent, device: string, source: string): string | undefined | 'pending' {
  const mac = drop.packet.ethernet?.source;
  const own = addresses(evidence, drop.netns);
  if (mac === undefined || isUnavailable(own)) return isUnavailable(own) && own.unavailable === 'pending' ? 'pending' : undefined;
  const owner = findOwnerOfMac(evidence, drop.netns, mac);
  if (owner === undefined) return undefined;
  if (isUnavailable(owner)) return owner.unavailable === 'pending' ? 'pending' : undefined;
  const theirs = addresses(evidence, owner.netns, 'any');
  if (isUnavailable(theirs)) return theirs.unavailable === 'pending' ? 'pending' : undefined;
  const onLink = theirs.find((t) => t.family === 4 && t.device === owner.link.name && own.some((o) => o.device === device && o.family === 4 && matchesPrefix(t.address, `${o.address}/${o.prefixLength}`)));
  return onLink === undefined || onLink.address === source ? '' : `via ${onLink.address} `;
}

/** A trace tells of the drop and not of the packet: the counter says that it was here, the sysctls which interfaces filter. */
function withoutPacket(drop: DropEvent, evidence: Evidence): Finding {
  const counted = countedHere(evidence, drop);
  const values = sysctls(evidence, drop.netns, 'net/ipv4/conf/*/rp_filter');
  if (counted === undefined) return NOT_APPLICABLE;
  if (isUnavailable(counted)) return cannotTell(unavailableText(counted), 'TcpExt IPReversePathFilter');
  if (isUnavailable(values)) return cannotTell(unavailableText(values), 'the sysctls of the interfaces');
  if (counted.by <= 0) return ruledOut(`${counted.counter} did not rise here`);
  const all = Number(values.get('net/ipv4/conf/all/rp_filter') ?? 0);
  const on = [...values].flatMap(([path, v]) => {
    const device = path.split('/')[3] ?? '';
    return ['all', 'default', 'lo'].includes(device) || Math.max(all, Number(v)) === 0 ? [] : [{ device, value: Number(v) }];
  });
  const first = on[0];
  if (first === undefined) return ruledOut('rp_filter is off on every interface');
  const where = netnsText(evidence, drop.netns);
  const key = (device: string): string => (device.includes('.') ? `net/ipv4/conf/${device}/rp_filter` : `net.ipv4.conf.${device}.rp_filter`);
  return {
    outcome: 'found', confidence: 0.9, severity: 'warning', identity: 'rp_filter|without packet',
    explanation: `Packets that came in to ${where} were dropped by the reverse-path filter (${counted.counter} +${counted.by}). It is on for ${on.map((o) => o.device).join(', ')}: a packet is refused whose answer would leave by another interface. The trace does not show the packet; with BPF its source and interface are told.`,
    culprit: { kind: 'sysctl', text: `${on.map((o) => `${key(o.device)} = ${o.value}`).join(', ')}, net.ipv4.conf.all.rp_filter = ${all} in ${where}`, name: all > 0 ? 'net.ipv4.conf.all.rp_filter' : key(first.device), value: first.value, all },
    evidence: [dropLine(evidence, drop), { source: '/proc/net/netstat', text: `${counted.counter} +${counted.by}` }, { source: 'sysctl', text: on.map((o) => `${key(o.device)} = ${o.value}`).join(', ') }],
    remedies: [{ text: 'Loose mode: a route back by any interface is then enough.', command: sysctlSet(evidence, drop.netns, on.map((o) => [key(o.device), 2] as const)), undo: sysctlSet(evidence, drop.netns, on.map((o) => [key(o.device), o.value] as const)), risk: 'medium' }],
  };
}
