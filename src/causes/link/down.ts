import { linkNamed, links, neighbours, addresses, qdiscs, routes } from '../../evidence/network/read.ts';
import { isKernelChatter } from '../../evidence/network/chatter.ts';
import { peerOf } from '../../evidence/network/hosts.ts';
import { covers, deadRoute, decideRoute } from '../../evidence/network/routing.ts';
import { routedPacket } from '../../evidence/network/packet.ts';
import { downObstacle, walkWire, type Obstacle } from '../../evidence/network/wire.ts';
import { linkState, routeText, symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { matchesPrefix } from '../../base/inet.ts';
import { shellQuote } from '../../base/text.ts';
import type { Netns } from '../../base/brand.ts';
import type { Cause } from '../../model/cause.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import type { Link } from '../../model/network.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const DEVICE_REASONS = new Set(['QDISC_DROP', 'DEV_READY', 'NEIGH_FAILED', 'NEIGH_DEAD', 'TC_INGRESS', 'TC_EGRESS', 'NOT_SPECIFIED']);
const DEVICE_PLACES = /^(__dev_queue_xmit|dev_hard_start_xmit|__dev_direct_xmit|noop_enqueue|tun_net_xmit|veth_xmit|neigh_invalidate|arp_error_report|ndisc_error_report|__neigh_event_send|br_dev_queue_push_xmit|__br_forward|br_forward|__dev_forward_skb2?|vxlan_xmit|vlan_dev_hard_start_xmit|macvlan_start_xmit|dst_discard|dst_discard_out|enqueue_to_backlog|tcf_mirred_act|__netif_receive_skb_core|validate_xmit_skb|validate_xmit_skb_list)$/;
const ERRNOS = new Set(['ENETDOWN', 'ENETUNREACH', 'EHOSTUNREACH', 'ENOBUFS', 'ENODEV', 'EADDRNOTAVAIL']);

export const cause: Cause = {
  id: 'link.down',
  title: 'the interface is down or has no carrier',
  needs: ['link', 'address', 'route', 'route6', 'rule', 'rule6', 'neighbour', 'bridge-link', 'qdisc'],
  knowledge: {
    what: 'The device that should carry the packet is switched off, or it is up without a carrier: no cable, the other end of the veth pair is down, or no program has the tun device open. Whatever is sent there ends in the noop qdisc, and nobody answers ARP.',
    signs: ['QDISC_DROP at __dev_queue_xmit on a device whose qdisc is noop', 'NEIGH_FAILED for every host behind the device', 'ENETDOWN, or ENETUNREACH because the routes went with the interface', '`ip link` shows state DOWN, NO-CARRIER or LOWERLAYERDOWN'],
    fixes: ['`ip link set DEV up` where it is administratively down', 'Veth: bring the other end up, in its own namespace', 'Tun: start the program that owns the device', 'Else the cable, the switch port or the lower device'],
    functions: ['noop_enqueue', '__dev_queue_xmit', 'dev_deactivate', 'linkwatch_do_dev'],
    reasons: ['QDISC_DROP', 'DEV_READY', 'NEIGH_FAILED'],
    errnos: ['ENETDOWN', 'ENETUNREACH', 'EHOSTUNREACH', 'ENOBUFS'],
    versions: [],
    sources: ['net/sched/sch_generic.c noop_qdisc', 'net/core/dev.c', 'ip-link(8)'],
  },
  judge,
};

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind === 'drop') {
    const onDevice = DEVICE_REASONS.has(symptom.drop.reason.name) && DEVICE_PLACES.test(symbolOf(symptom.drop));
    if (!onDevice && !withoutRoute(symptom.drop)) return NOT_APPLICABLE;
    if (isKernelChatter(symptom.drop.packet)) return NOT_APPLICABLE; // nobody waits for it: normal.link-flap
  } else if (symptom.kind !== 'call' || !ERRNOS.has(symptom.call.errno)) return NOT_APPLICABLE;
  const all = links(evidence, symptom.netns);
  if (isUnavailable(all)) return cannotTell(unavailableText(all), 'the interfaces (ip link)');
  const device = outgoing(symptom, evidence, all);
  if (device === undefined) return symptom.kind === 'call' ? ruledOut('no interface that is down would carry it') : NOT_APPLICABLE;
  if (isUnavailable(device)) return cannotTell(unavailableText(device), 'the routes and interfaces');
  const own = downObstacle(symptom.netns, device);
  const path = symptom.kind === 'drop' && withoutRoute(symptom.drop) ? undefined : wire(symptom, evidence, device);
  if (path !== undefined && isUnavailable(path)) {
    if (path.unavailable === 'pending') return cannotTell(unavailableText(path), 'the other namespaces');
  }
  const obstacle = path === undefined || isUnavailable(path) ? own : path ?? own;
  if (obstacle === undefined || obstacle.kind === 'stp' || obstacle.kind === 'isolated' || obstacle.kind === 'flood') {
    return ruledOut(`${device.name} is up and has carrier`);
  }
  const queues = symptom.kind === 'drop' ? qdiscs(evidence, symptom.netns) : undefined;
  if (symptom.kind === 'drop' && symptom.drop.reason.name === 'QDISC_DROP' && own === undefined) return ruledOut(`${device.name} is up and has carrier`);
  return foundAt(symptom, evidence, device, obstacle, queues === undefined || isUnavailable(queues) ? undefined : queues.find((q) => q.device === device.name && q.root)?.kind);
}

/** The device that the packet was to leave by. */
function outgoing(symptom: Symptom, evidence: Evidence, all: readonly Link[]): import('../../model/unavailable.ts').Maybe<Link> | undefined {
  if (symptom.kind === 'drop' && !withoutRoute(symptom.drop)) {
    const { drop } = symptom;
    const named = all.find((l) => l.name === drop.interface) ?? all.find((l) => l.index === drop.ifindex);
    return named;
  }
  const routed = routedPacket(evidence, symptom);
  if (routed === undefined && symptom.kind === 'call' && symptom.call.errno === 'ENETDOWN') {
    // a packet socket names its device by number, which the call does not tell: the only one that is down
    const down = all.filter((l) => !l.up && l.type !== 'loopback');
    return down.length === 1 ? down[0] : undefined;
  }
  if (routed === undefined || isUnavailable(routed)) return routed;
  const decision = decideRoute(evidence, symptom.netns, routed.packet);
  if (isUnavailable(decision)) return decision;
  const by = decision.route?.device;
  if (decision.kind === 'route' && by !== undefined) {
    const link = all.find((l) => l.name === by);
    return link === undefined || (link.up && link.carrier && symptom.kind === 'call' && symptom.call.errno === 'ENETUNREACH') ? undefined : link;
  }
  if (decision.kind === 'refused') return undefined;
  const dead = deadRoute(evidence, symptom.netns, routed.to);
  if (dead !== undefined) return all.find((l) => l.name === dead.device);
  // no route: that of a subnet goes with the interface that has the address, or with its carrier
  const own = addresses(evidence, symptom.netns);
  if (isUnavailable(own)) return own;
  // what the tables had for the destination before the loss: its device may have taken the route along
  const old = routes(evidence, symptom.netns, routed.to.includes(':') ? 6 : 4, 'before');
  const lost = isUnavailable(old) ? undefined : old.filter((r) => r.type === 'unicast' && r.table !== 'local' && covers(r, routed.to)).sort((a, b) => b.prefixLength - a.prefixLength)[0];
  const gone = lost?.device === undefined ? undefined : all.find((l) => l.name === lost.device && !l.up);
  if (gone !== undefined) return gone;
  const holder = own.find((a) => a.scope === 'global' && matchesPrefix(routed.to, `${a.address}/${a.prefixLength}`) && a.prefixLength < 128 && all.some((l) => l.name === a.device && !l.up));
  return holder === undefined ? undefined : all.find((l) => l.name === holder.device);
}

/** A router, or a local sender with an old connection, that has no route any more: it may have gone with its device. */
const withoutRoute = (drop: DropEvent): boolean => drop.reason.name === 'IP_INNOROUTES' || drop.reason.name === 'IP_OUTNOROUTES';

/** The first thing that is down on the way to the neighbour that did not answer. */
function wire(symptom: Symptom, evidence: Evidence, device: Link): import('../../model/unavailable.ts').Maybe<Obstacle> | undefined {
  const target = symptom.kind === 'drop' ? symptom.drop.packet.arp?.target ?? symptom.drop.packet.ip?.destination : symptom.kind === 'call' ? routedTarget(symptom, evidence) : undefined;
  if (target === undefined) return undefined;
  const pathAsked = walkWire(evidence, symptom.netns, device.name, nextHop(symptom, evidence, target) ?? target);
  if (isUnavailable(pathAsked)) return pathAsked;
  return pathAsked.obstacle;
}

function routedTarget(symptom: Symptom, evidence: Evidence): string | undefined {
  const routed = routedPacket(evidence, symptom);
  return routed === undefined || isUnavailable(routed) ? undefined : routed.to;
}

function nextHop(symptom: Symptom, evidence: Evidence, target: string): string | undefined {
  const decision = decideRoute(evidence, symptom.netns, { to: target });
  return isUnavailable(decision) ? undefined : decision.route?.gateway;
}

function foundAt(symptom: Symptom, evidence: Evidence, device: Link, obstacle: Obstacle, qdisc: string | undefined): Finding {
  const where = netnsText(evidence, symptom.netns);
  const peer = obstacle.peer;
  let at: Netns = obstacle.netns;
  let name = obstacle.device;
  let state = obstacle.text;
  const remedies: Remedy[] = [];
  if (obstacle.kind === 'peer-down' && peer !== undefined) {
    const peerDown = !peer.link.up;
    if (peerDown) {
      at = peer.netns;
      name = peer.link.name;
      state = `its other end, ${name} in ${netnsText(evidence, at)}, is administratively down`;
    }
    remedies.push(peerDown ? up(evidence, at, name) : { text: `Look at ${peer.link.name} in ${netnsText(evidence, peer.netns)}: it is up without carrier.`, risk: 'low' });
  } else if (obstacle.kind === 'no-reader') {
    remedies.push({ text: `Start the program that owns ${name} (a VPN daemon, a virtual machine): the device has carrier only while a program holds it open.`, risk: 'low' });
  } else {
    const link = linkNamed(evidence, at, name);
    if (isUnavailable(link) || !link.up) remedies.push(up(evidence, at, name));
    else if (link.kind === 'veth') {
      const other = peerOf(evidence, at, name);
      remedies.push({ text: `Bring up the other end of ${name}${other === undefined || isUnavailable(other) ? '' : `, ${other.link.name} in ${netnsText(evidence, other.netns)}`}.`, risk: 'low' });
    } else remedies.push({ text: `Restore the carrier of ${name}: cable, switch port, or the lower device.`, risk: 'low' });
  }
  const near = neighbours(evidence, symptom.netns);
  const waiting = isUnavailable(near) ? [] : near.filter((n) => n.device === device.name && (n.states.includes('INCOMPLETE') || n.states.includes('FAILED'))).map((n) => n.address);
  const lines: EvidenceLine[] = [
    symptomLine(evidence, symptom),
    { source: 'ip link', text: linkState(device) },
    ...(peer === undefined ? [] : [{ source: `ip link in ${netnsText(evidence, peer.netns)}`, text: linkState(peer.link) }]),
    ...(qdisc === undefined ? [] : [{ source: 'tc qdisc', text: `${device.name}: ${qdisc}` }]),
    ...(waiting.length === 0 ? [] : [{ source: 'ip neigh', text: `unresolved on ${device.name}: ${waiting.slice(0, 5).join(', ')}` }]),
  ];
  const remote = at !== symptom.netns || name !== device.name;
  const routed = symptom.kind === 'call' ? routedTarget(symptom, evidence) : undefined;
  const dead = routed === undefined ? undefined : deadRoute(evidence, symptom.netns, routed);
  if (dead !== undefined) lines.push({ source: 'ip route', text: `${routeText(dead)} ${dead.flags.join(' ')}` });
  return {
    outcome: 'found',
    confidence: 0.97,
    severity: 'critical',
    identity: `${at}|${name}`,
    explanation: `Packets that should leave by ${device.name} in ${where} are lost. ${remote && obstacle.kind !== 'peer-down' ? `On their way, in ${netnsText(evidence, at)}, ${state}` : obstacle.kind === 'peer-down' ? `${device.name} has no carrier: ${state}` : `The reason: ${state}`}. ${dead === undefined || !device.up ? '' : `The route ${routeText(dead)} is passed by for that long (ignore_routes_with_linkdown is on), so the call fails at once. `}Nothing passes until that changes.`,
    culprit: { kind: 'interface', text: `interface ${name} in ${netnsText(evidence, at)} is ${obstacle.kind === 'no-reader' ? 'without a program that reads it' : 'down'}${remote ? ` (packets leave by ${device.name} in ${where})` : ''}`, interface: name, netns: evidence.host.netnsNames.get(at) ?? at, state: device.operstate },
    evidence: lines,
    remedies,
  };
}

function up(evidence: Evidence, netns: Netns, name: string): Remedy {
  return { text: `Bring ${name} up in ${netnsText(evidence, netns)}; the kernel takes up to a second to see the carrier.`, command: `${iproute(evidence, netns, 'ip', `link set ${shellQuote(name)} up`)} && sleep 1`, undo: iproute(evidence, netns, 'ip', `link set ${shellQuote(name)} down`), risk: 'low' };
}
