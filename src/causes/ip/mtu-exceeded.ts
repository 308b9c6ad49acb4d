import { peerOf } from '../../evidence/network/hosts.ts';
import { routedPacket } from '../../evidence/network/packet.ts';
import { links, procLines, routeGet } from '../../evidence/network/read.ts';
import { decideRoute } from '../../evidence/network/routing.ts';
import { destinationOf, linkState, routeText, symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { shellQuote } from '../../base/text.ts';
import type { Netns } from '../../base/brand.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import type { Link } from '../../model/network.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const ROUTED = /^(ip_forward|ip6_forward|ip_fragment|ip_do_fragment|ip6_fragment|ip_finish_output|ip6_finish_output|__ip_finish_output|__ip6_finish_output|ip_exceeds_mtu|ip_output|ip6_xmit)$/;
/** A sender that finds out the MTU of a path loses this many at most, and then sends smaller ones (RFC 1191). */
const DISCOVERY = 2;
const FRAMES = /^(__dev_forward_skb2?|____dev_forward_skb|veth_xmit|br_dev_queue_push_xmit|br_nf_dev_queue_xmit|__br_forward|br_forward|vlan_dev_hard_start_xmit|macvlan_start_xmit)$/;

export const cause: Cause = {
  id: 'ip.mtu-exceeded',
  title: 'the packet is too big for the next link',
  needs: ['link', 'address', 'route', 'route6', 'rule', 'rule6', 'route-get', 'proc'],
  knowledge: {
    what: 'The packet is larger than the MTU of the link that should carry it and may not be fragmented (DF, or IPv6). A router answers with ICMP "fragmentation needed" or "packet too big"; when that answer is filtered on its way, the sender never learns and large packets vanish: a path MTU black hole. A device whose far end has a smaller MTU drops such frames without any answer.',
    signs: ['PKT_TOO_BIG at ip_forward or ip6_forward', 'EMSGSIZE ("Message too long") at the sender', 'NOT_SPECIFIED at __dev_forward_skb2: the veth peer\'s MTU is smaller (seen in the sender\'s namespace; at the receiver only the dropped column of its interface rises)', 'Connections hang after the handshake, pings pass', 'FragFails in /proc/net/snmp rises'],
    fixes: ['Give both ends of the link the same MTU, large enough', 'Let ICMP type 3 code 4 and ICMPv6 type 2 through', 'TCP: clamp the MSS (`-j TCPMSS --clamp-mss-to-pmtu`), tcp_mtu_probing=1'],
    functions: ['ip_forward', 'ip6_forward', 'ip_exceeds_mtu', 'ip_fragment', 'ip6_fragment', '__dev_forward_skb2', 'is_skb_forwardable'],
    reasons: ['PKT_TOO_BIG', 'NOT_SPECIFIED'],
    errnos: ['EMSGSIZE'],
    versions: ['PKT_TOO_BIG exists since 5.18'],
    sources: ['net/ipv4/ip_forward.c', 'net/ipv6/ip6_output.c', 'net/core/dev.c', 'RFC 1191', 'RFC 8201'],
  },
  judge,
};

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind === 'call') return symptom.call.errno === 'EMSGSIZE' ? judgeCall(symptom, evidence) : NOT_APPLICABLE;
  if (symptom.kind !== 'drop') return NOT_APPLICABLE;
  const { drop } = symptom;
  const symbol = symbolOf(drop);
  if (/^udp_(v6_)?send_skb$/.test(symbol) && drop.reason.name === 'NOT_SPECIFIED' && (symptom.call?.errno === 'EMSGSIZE' || symptom.call?.errno === 'EINVAL')) return segmentTooBig(symptom, symptom.call, evidence);
  const named = drop.reason.name === 'PKT_TOO_BIG';
  const frame = FRAMES.test(symbol);
  if (!named && !(frame && drop.reason.name === 'NOT_SPECIFIED') && !(ROUTED.test(symbol) && drop.reason.name === 'NOT_SPECIFIED' && symptom.call?.errno === 'EMSGSIZE') && !(/^ip6?_(do_)?fragment$/.test(symbol) && drop.reason.name === 'NOT_SPECIFIED')) return NOT_APPLICABLE;
  const all = links(evidence, symptom.netns);
  if (isUnavailable(all)) return cannotTell(unavailableText(all), 'the interfaces (ip link)');
  if (frame) {
    const own = all.find((l) => l.name === drop.interface) ?? all.find((l) => l.index === drop.ifindex);
    if (own === undefined) return NOT_APPLICABLE;
    const peer = peerOf(evidence, symptom.netns, own.name);
    if (peer !== undefined && isUnavailable(peer) && peer.unavailable === 'pending') return cannotTell(unavailableText(peer), 'the other end of the device');
    const far = peer === undefined || isUnavailable(peer) ? undefined : peer;
    const size = (drop.packet.ip?.totalLength ?? drop.length - 14);
    // skb->dev may be either end by then: the smaller one is the one in the way
    if (far !== undefined && size > far.link.mtu) return tooBig(symptom, evidence, { netns: far.netns, link: far.link }, size, { netns: symptom.netns, link: own });
    if (size > own.mtu) return tooBig(symptom, evidence, { netns: symptom.netns, link: own }, size, far);
    return ruledOut(`${size} bytes fit ${own.name} (MTU ${own.mtu})${far === undefined ? '' : ` and its other end (MTU ${far.link.mtu})`}`);
  }
  return judgeRouted(symptom, evidence, all);
}

function judgeRouted(symptom: Symptom, evidence: Evidence, all: readonly Link[]): Finding {
  const routed = routedPacket(evidence, symptom);
  if (routed === undefined) return NOT_APPLICABLE;
  if (isUnavailable(routed)) return cannotTell(unavailableText(routed), 'the interfaces');
  const decision = decideRoute(evidence, symptom.netns, routed.packet);
  const kernel = routeGet(evidence, symptom.netns, routed.query);
  if (isUnavailable(decision)) return cannotTell(unavailableText(decision), 'the routes');
  const route = decision.route;
  const out = all.find((l) => l.name === (route?.device ?? route?.nexthops[0]?.device ?? (isUnavailable(kernel) || kernel.kind !== 'route' ? undefined : kernel.device)));
  if (out === undefined) return cannotTell('the way out is not known', 'the routes');
  const size = symptom.kind === 'drop' ? symptom.drop.packet.ip?.totalLength || symptom.drop.length : symptom.kind === 'call' ? symptom.call.length ?? 0 : 0;
  const cached = isUnavailable(kernel) || kernel.kind !== 'route' ? undefined : kernel.mtu;
  if (route?.mtu !== undefined && route.mtu < out.mtu) {
    const six = routed.to.includes(':') ? '-6 ' : '';
    const where = netnsText(evidence, symptom.netns);
    return {
      outcome: 'found', confidence: 0.95, severity: 'warning', identity: `mtu|${routeText(route)}`,
      explanation: `Packets of ${size} bytes to ${routed.to} are too big in ${where}. The route ${routeText(route)} has an MTU of ${route.mtu}, less than the ${out.mtu} of its device ${out.name}. They may not be fragmented, so they are refused.`,
      culprit: { kind: 'route', text: `route ${routeText(route)} mtu ${route.mtu}`, destination: route.destination, table: route.table, type: route.type, mtu: route.mtu },
      evidence: [symptomLine(evidence, symptom), { source: 'ip route', text: `${routeText(route)} mtu ${route.mtu}` }, { source: 'ip link', text: linkState(out) }],
      remedies: [{ text: `Take the MTU off the route: that of ${out.name} then counts.`, command: iproute(evidence, symptom.netns, 'ip', `${six}route replace ${routeText(route)}`), undo: iproute(evidence, symptom.netns, 'ip', `${six}route replace ${routeText(route)} mtu ${route.mtu}`), risk: 'low' }],
    };
  }
  const peer = peerOf(evidence, symptom.netns, out.name);
  if (peer !== undefined && isUnavailable(peer) && peer.unavailable === 'pending') return cannotTell(unavailableText(peer), 'the other end of the device');
  if (symptom.kind === 'call' && cached !== undefined && cached < out.mtu) return cachedMtu(symptom, evidence, routed.to, cached, out);
  if (size !== 0 && size <= out.mtu && symptom.kind === 'drop') return ruledOut(`${size} bytes fit ${out.name} (MTU ${out.mtu})`);
  return tooBig(symptom, evidence, { netns: symptom.netns, link: out }, size, peer === undefined || isUnavailable(peer) ? undefined : peer);
}

function judgeCall(symptom: Extract<Symptom, { kind: 'call' }>, evidence: Evidence): Finding {
  const length = symptom.call.length;
  if (length !== undefined && length > 65507) return ruledOut(`${length} bytes are more than any datagram can hold`);
  const all = links(evidence, symptom.netns);
  if (isUnavailable(all)) return cannotTell(unavailableText(all), 'the interfaces (ip link)');
  return judgeRouted(symptom, evidence, all);
}

/** UDP_SEGMENT: the program has the kernel cut its data into datagrams, each larger than the device carries (udp_send_skb). */
function segmentTooBig(symptom: Symptom, call: CallEvent, evidence: Evidence): Finding {
  const to = destinationOf(call)?.address;
  const kernel = to === undefined ? undefined : routeGet(evidence, symptom.netns, { to });
  const all = links(evidence, symptom.netns);
  if (kernel !== undefined && isUnavailable(kernel) && kernel.unavailable === 'pending') return cannotTell(unavailableText(kernel), 'the route');
  const device = kernel === undefined || isUnavailable(kernel) || kernel.kind !== 'route' || isUnavailable(all) ? undefined : all.find((l) => l.name === kernel.device);
  const who = `${call.task.comm} (pid ${call.task.pid})`;
  const limit = device === undefined ? 'the MTU of the way out' : `the MTU of ${device.name}, ${device.mtu},`;
  return {
    outcome: 'found', confidence: 0.9, severity: 'warning', identity: `segment|${call.task.comm}`,
    explanation: `${call.syscall} of ${who}${to === undefined ? '' : ` to ${to}`} failed with ${call.errno} in ${netnsText(evidence, symptom.netns)}. It has the kernel cut its data into datagrams of a set size (UDP_SEGMENT), and one of them with its headers is larger than ${limit} allows. Such datagrams are not fragmented but refused.`,
    culprit: { kind: 'process', text: `${who}: UDP_SEGMENT size above ${device === undefined ? 'the mtu' : `mtu ${device.mtu} of ${device.name}`}`, pid: call.task.pid, comm: call.task.comm, errno: call.errno, ...(device === undefined ? {} : { interface: device.name, mtu: device.mtu }) },
    evidence: [symptomLine(evidence, symptom), ...(device === undefined ? [] : [{ source: 'ip link', text: linkState(device) }])],
    remedies: [{ text: `Let ${call.task.comm} use segments of at most ${device === undefined ? 'the MTU' : device.mtu} less the IP and UDP headers (28 bytes, IPv6 48).`, risk: 'low' }],
  };
}

/** The kernel remembers what a router told: the small link is elsewhere. */
function cachedMtu(symptom: Extract<Symptom, { kind: 'call' }>, evidence: Evidence, to: string, mtu: number, out: Link): Finding {
  const where = netnsText(evidence, symptom.netns);
  const small = smallLink(evidence, symptom.netns, to, mtu);
  if (small === 'pending') return cannotTell('the routers on the way are being looked at', 'their interfaces');
  const six = to.includes(':') ? '-6 ' : '';
  const remedies: Remedy[] = [];
  if (small !== undefined) remedies.push(raise(evidence, small, out.mtu, small.peer));
  remedies.push({ text: 'Forget what was learned of path MTUs, once the link has been changed.', command: iproute(evidence, symptom.netns, 'ip', `${six}route flush cache`), risk: 'low' });
  return {
    outcome: 'found', confidence: small === undefined ? 0.9 : 0.95, severity: 'warning', few: DISCOVERY, identity: small === undefined ? `pmtu|${to}` : `mtu|${small.netns}|${small.link.name}`,
    explanation: `${symptom.call.syscall} of ${symptom.call.task.comm} (pid ${symptom.call.task.pid}) to ${to} failed with EMSGSIZE in ${where}. A router on the way has said that only ${mtu} bytes pass, less than the ${out.mtu} of ${out.name}, and the socket may not fragment. ${small === undefined ? 'The link with that MTU is not on this host.' : `It is ${small.link.name} in ${netnsText(evidence, small.netns)}.`}`,
    culprit: small === undefined ? { kind: 'peer', text: `path mtu ${mtu} to ${to}`, mtu } : { kind: 'interface', text: `interface ${small.link.name} in ${netnsText(evidence, small.netns)}: mtu ${small.link.mtu}`, interface: small.link.name, mtu: small.link.mtu },
    evidence: [symptomLine(evidence, symptom), { source: 'ip route get', text: `${to}: mtu ${mtu}` }, { source: 'ip link', text: linkState(out) }, ...(small === undefined ? [] : [{ source: `ip link in ${netnsText(evidence, small.netns)}`, text: linkState(small.link) }])],
    remedies,
  };
}

interface End {
  readonly netns: Netns;
  readonly link: Link;
}

function smallLink(evidence: Evidence, from: Netns, to: string, mtu: number): (End & { peer?: End }) | 'pending' | undefined {
  let at = from;
  for (let i = 0; i < 8; i++) {
    const decision = decideRoute(evidence, at, { to, ...(i === 0 ? {} : { iif: '?' }) });
    const all = links(evidence, at);
    if (isUnavailable(decision)) return decision.unavailable === 'pending' ? 'pending' : undefined;
    if (isUnavailable(all)) return all.unavailable === 'pending' ? 'pending' : undefined;
    const out = all.find((l) => l.name === (decision.route?.device ?? decision.route?.nexthops[0]?.device));
    if (out === undefined || decision.route?.type === 'local') return undefined;
    const peer = peerOf(evidence, at, out.name);
    if (peer !== undefined && isUnavailable(peer)) return peer.unavailable === 'pending' ? 'pending' : undefined;
    if (out.mtu === mtu) return { netns: at, link: out, ...(peer === undefined ? {} : { peer }) };
    if (peer === undefined || peer.link.master !== undefined) return undefined;
    at = peer.netns;
  }
  return undefined;
}

function tooBig(symptom: Symptom, evidence: Evidence, small: End, size: number, other: End | undefined): Finding {
  const { link } = small;
  const at = netnsText(evidence, small.netns);
  const where = netnsText(evidence, symptom.netns);
  const widest = links(evidence, symptom.netns);
  const incoming = symptom.kind === 'drop' && !isUnavailable(widest) ? widest.find((l) => l.index === symptom.drop.incoming)?.mtu ?? 0 : 0;
  // a packet longer than the link it came by is several segments that travel as one inside this host (GSO, GRO)
  const widestIn = Math.max(1500, incoming, other?.link.mtu ?? 0);
  const wanted = Math.max(widestIn, size <= 9216 && incoming === 0 && symptom.kind === 'drop' && FRAMES.test(symbolOf(symptom.drop)) ? size : 0);
  const merged = size > widestIn;
  const snmp = procLines(evidence, symptom.netns, 'net/snmp');
  const lines: EvidenceLine[] = [symptomLine(evidence, symptom), { source: `ip link in ${at}`, text: linkState(link) }];
  if (other !== undefined) lines.push({ source: `ip link in ${netnsText(evidence, other.netns)}`, text: linkState(other.link) });
  const fails = isUnavailable(snmp) ? undefined : column(snmp, 'Ip', 'FragFails');
  if (fails !== undefined && fails > 0) lines.push({ source: '/proc/net/snmp', text: `Ip FragFails ${fails}` });
  const flow = symptom.kind === 'drop' && symptom.drop.packet.ip !== undefined ? `from ${symptom.drop.packet.ip.source} to ${symptom.drop.packet.ip.destination} ` : '';
  const noFragment = symptom.kind === 'drop' && symptom.drop.packet.ip?.version === 6 ? 'Routers do not fragment IPv6' : 'They may not be fragmented (DF is set)';
  const silent = symptom.kind === 'drop' && FRAMES.test(symbolOf(symptom.drop));
  const remedies: Remedy[] = [raise(evidence, small, wanted, other)];
  if (!silent) remedies.push({ text: `Or lower the MTU at the senders to ${link.mtu}, and let the ICMP answers ("fragmentation needed", "packet too big") reach them.`, risk: 'low' });
  return {
    outcome: 'found',
    confidence: size > link.mtu ? 0.97 : 0.88,
    severity: 'warning',
    ...(symptom.kind === 'drop' && !silent && symptom.drop.incoming !== undefined && symptom.drop.incoming !== 0 ? { few: DISCOVERY } : {}),
    identity: `mtu|${small.netns}|${link.name}`,
    explanation: `Packets ${flow}${merged ? `(segments of up to ${widestIn} bytes, ${size} together) ` : size > 0 ? `of ${size} bytes ` : ''}are larger than the MTU of ${link.name} in ${at}, which is ${link.mtu}. ${silent ? `${link.name} takes no larger frame, and nobody is told.` : symptom.kind === 'call' ? `The socket does not let them be fragmented, so the call fails with ${symptom.call.errno} in ${where}.` : `${noFragment}, so ${where} dropped them and told the sender by ICMP.`} ${silent ? `${other === undefined ? 'Both ends of the link have to agree.' : `The other end, ${other.link.name}, has an MTU of ${other.link.mtu}: both have to agree.`}` : symptom.kind === 'call' ? 'No packet is ever made.' : 'If that answer is filtered on its way, the sender goes on sending packets of that size for ever.'}`,
    culprit: { kind: 'interface', text: `interface ${link.name} in ${at}: mtu ${link.mtu}${size > 0 ? `, packets of ${size} bytes` : ''}`, interface: link.name, mtu: link.mtu, size, netns: evidence.host.netnsNames.get(small.netns) ?? small.netns },
    evidence: lines,
    remedies,
  };
}

/** Raises the MTU at both ends, where both are on this host. */
function raise(evidence: Evidence, small: End, mtu: number, other: End | undefined): Remedy {
  const set = (e: End, to: number): string => iproute(evidence, e.netns, 'ip', `link set ${shellQuote(e.link.name)} mtu ${to}`);
  const both = other !== undefined && other.link.mtu < mtu;
  return {
    text: `Raise the MTU of ${small.link.name} to ${mtu}${both ? `, and that of its other end ${other.link.name}` : ''}, if what is below can carry it.`,
    command: both ? `${set(small, mtu)} && ${set(other, mtu)}` : set(small, mtu),
    undo: both ? `${set(small, small.link.mtu)} && ${set(other, other.link.mtu)}` : set(small, small.link.mtu),
    risk: 'medium',
  };
}

/** A value of /proc/net/snmp by its header's name. */
function column(lines: readonly string[], protocol: string, name: string): number | undefined {
  const rows = lines.filter((l) => l.startsWith(`${protocol}:`)).map((l) => l.trim().split(/\s+/));
  const i = rows[0]?.indexOf(name) ?? -1;
  const value = i < 1 ? undefined : Number(rows[1]?.[i]);
  return value === undefined || Number.isNaN(value) ? undefined : value;
}
