import { findOwnerOfMac, peerOf } from '../../evidence/network/hosts.ts';
import { askAgain, nextHopOf } from '../../evidence/network/nexthop.ts';
import { bridgePorts, bridgeVlans, fdb, links } from '../../evidence/network/read.ts';
import { walkWire } from '../../evidence/network/wire.ts';
import { isMulticastMac, symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { shellQuote } from '../../base/text.ts';
import type { Netns } from '../../base/brand.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import type { BridgePort, Link } from '../../model/network.ts';
import type { Topic } from '../../model/question.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText, type Maybe, type Unavailable } from '../../model/unavailable.ts';

export type BridgeCause = 'vlan-filter' | 'stp-blocked' | 'port-isolated' | 'port-locked' | 'flood-off' | 'fdb-wrong';

export const bridgeNeeds: readonly Topic[] = ['link', 'address', 'bridge-link', 'bridge-fdb', 'bridge-vlan', 'route', 'route6', 'rule', 'rule6', 'neighbour'];

/** Where a bridge lets go of a frame (net/bridge/br_input.c, br_forward.c, br_vlan.c). */
const PLACES = /^(br_handle_frame|br_handle_frame_finish|br_flood|br_multicast_flood|br_forward|__br_forward|br_handle_vlan|__allowed_ingress|br_allowed_ingress|br_pass_frame_up|br_dev_xmit|maybe_deliver|br_forward_finish|br_nf_pre_routing_finish|br_nf_pre_routing)$/;
const REASONS = new Set(['NOT_SPECIFIED', 'NO_TX_TARGET', 'BRIDGE_INGRESS_STP_STATE', 'BRIDGE_NON_FORWARDING_STATE', 'LOCAL_MAC', 'MAC_INVALID_SOURCE']);
const NEIGHBOUR = /^(neigh_invalidate|arp_error_report|ndisc_error_report)$/;

interface Verdict {
  readonly cause: BridgeCause;
  readonly netns: Netns;
  readonly bridge: string;
  readonly port: string;
  /** `isolated on`, `state blocking`, `flood off`… */
  readonly setting: string;
  readonly why: string;
  readonly confidence: number;
  readonly lines: readonly EvidenceLine[];
  readonly remedies: readonly Remedy[];
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Judges a symptom against one setting of a bridge: from the frame it dropped, or from a neighbour that stays silent behind it. */
export function judgeBridge(cause: BridgeCause, symptom: Symptom, evidence: Evidence): Finding {
  const verdict = verdictOf(symptom, evidence);
  if (verdict === undefined) return NOT_APPLICABLE;
  if (isUnavailable(verdict)) return cannotTell(unavailableText(verdict), 'the bridge ports (bridge -d link) and the FDB');
  if (verdict === 'none') return ruledOut('the ports of the bridge would pass this frame as far as this setting goes');
  if (verdict.cause !== cause) return NOT_APPLICABLE;
  const at = netnsText(evidence, verdict.netns);
  return {
    outcome: 'found',
    confidence: verdict.confidence,
    severity: 'warning',
    identity: `${verdict.netns}|${verdict.port}|${verdict.setting}`,
    explanation: `The bridge ${verdict.bridge} in ${at} does not pass frames at its port ${verdict.port}. ${verdict.why} ${symptom.kind === 'drop' && symptom.netns === verdict.netns ? 'The frames are dropped, and nobody is told.' : 'Hosts behind it do not hear the requests for their addresses.'}`,
    culprit: { kind: 'bridge-port', text: `bridge ${verdict.bridge} port ${verdict.port}: ${verdict.setting} (in ${at})`, bridge: verdict.bridge, port: verdict.port, setting: verdict.setting, netns: evidence.host.netnsNames.get(verdict.netns) ?? verdict.netns, ...verdict.fields },
    evidence: [symptomLine(evidence, symptom), ...verdict.lines],
    remedies: verdict.remedies,
  };
}

function verdictOf(symptom: Symptom, evidence: Evidence): Maybe<Verdict | 'none'> | undefined {
  if (symptom.kind === 'drop') {
    const symbol = symbolOf(symptom.drop);
    if (PLACES.test(symbol) && REASONS.has(symptom.drop.reason.name)) return fromFrame(symptom.drop, evidence);
    if (symptom.drop.reason.name === 'OTHERHOST') return fromStranger(symptom.drop, evidence);
    if (!NEIGHBOUR.test(symbol)) return undefined;
  } else if (symptom.kind !== 'call' || symptom.call.errno !== 'EHOSTUNREACH') return undefined;
  return fromSilence(symptom, evidence);
}

function fromFrame(drop: DropEvent, evidence: Evidence): Maybe<Verdict | 'none'> | undefined {
  const ports = bridgePorts(evidence, drop.netns);
  const table = fdb(evidence, drop.netns);
  const all = links(evidence, drop.netns);
  for (const a of [ports, table, all]) if (isUnavailable(a)) return a;
  if (isUnavailable(ports) || isUnavailable(table) || isUnavailable(all)) return undefined;
  const { ethernet } = drop.packet;
  const incoming = ports.find((p) => p.ifindex === (drop.incoming ?? 0)) ?? ports.find((p) => p.name === drop.interface) ?? ports.find((p) => p.ifindex === drop.ifindex);
  const bridgeName = incoming?.bridge ?? drop.interface;
  const bridge = all.find((l) => l.name === bridgeName);
  if (incoming === undefined && bridge?.kind !== 'bridge') return undefined;
  const symbol = symbolOf(drop);
  const mine = ports.filter((p) => p.bridge === bridgeName);
  const ns = drop.netns;
  if (incoming !== undefined && (drop.reason.name === 'BRIDGE_INGRESS_STP_STATE' || symbol === 'br_handle_frame') && incoming.state !== 'forwarding') return stp(evidence, ns, incoming, bridge, 0.97);
  if (drop.reason.name === 'BRIDGE_INGRESS_STP_STATE') return incoming === undefined ? 'none' : stp(evidence, ns, { ...incoming, state: incoming.state === 'forwarding' ? 'blocking a moment ago' : incoming.state }, bridge, 0.85);
  if (ethernet === undefined) return 'none';
  const { source, destination } = ethernet;
  const vlan = vlanVerdict(evidence, ns, incoming, bridge, ethernet.vlan);
  if (vlan !== undefined) return vlan;
  if (incoming?.locked === true) {
    const known = table.some((f) => f.mac === source && f.device === incoming.name && f.bridge !== undefined);
    if (!known) return locked(evidence, ns, incoming, source, 0.97);
  }
  if (!isMulticastMac(destination)) {
    const entry = table.find((f) => f.mac === destination && f.bridge === bridgeName && !f.flags.includes('self')) ?? table.find((f) => f.mac === destination && f.bridge === bridgeName);
    if (entry !== undefined && incoming !== undefined && entry.device === incoming.name && !incoming.hairpin) {
      return backwards(evidence, drop, ns, incoming.bridge, entry.device, destination, entry.state);
    }
    const out = entry === undefined ? undefined : mine.find((p) => p.name === entry.device);
    if (out !== undefined) {
      if (incoming?.isolated === true && out.isolated) return isolated(evidence, ns, incoming, out, 0.97);
      if (out.state !== 'forwarding' && out.up && out.carrier) return stp(evidence, ns, out, bridge, 0.95);
      return 'none';
    }
  }
  const others = mine.filter((p) => p.name !== incoming?.name);
  const open = others.filter((p) => p.state === 'forwarding' && p.up && p.carrier);
  if (open.length === 0) {
    const shut = others.find((p) => p.up && p.carrier && p.state !== 'forwarding');
    return shut === undefined ? 'none' : stp(evidence, ns, shut, bridge, 0.93);
  }
  const reachable = open.filter((p) => !(p.isolated && incoming?.isolated === true));
  if (reachable.length === 0 && incoming !== undefined) return isolated(evidence, ns, incoming, open[0]!, 0.95);
  const kind = !isMulticastMac(destination) ? 'flood' : destination === 'ff:ff:ff:ff:ff:ff' ? 'bcast_flood' : 'mcast_flood';
  const floods = (p: BridgePort): boolean => (kind === 'flood' ? p.flood : kind === 'bcast_flood' ? p.broadcastFlood : p.multicastFlood);
  if (reachable.some(floods) && drop.reason.name !== 'NO_TX_TARGET') return 'none';
  const shut = reachable.filter((p) => !floods(p));
  if (shut.length === 0) return 'none';
  const owner = kind === 'flood' ? findOwnerOfMac(evidence, ns, destination) : undefined;
  if (owner !== undefined && isUnavailable(owner) && owner.unavailable === 'pending') return owner;
  let chosen = shut[0]!;
  if (owner !== undefined && !isUnavailable(owner)) {
    const peer = peerOf(evidence, owner.netns, owner.link.name);
    if (peer !== undefined && isUnavailable(peer) && peer.unavailable === 'pending') return peer;
    if (peer !== undefined && !isUnavailable(peer) && peer.netns === ns) chosen = shut.find((p) => p.name === peer.link.name) ?? chosen;
  }
  return floodOff(evidence, ns, chosen, kind, destination, shut.length === 1 || chosen !== shut[0] ? 0.97 : 0.93);
}

/** A host hears a frame for somebody else: a bridge sent it there because its FDB says so. */
function fromStranger(drop: DropEvent, evidence: Evidence): Maybe<Verdict | 'none'> | undefined {
  const mac = drop.packet.ethernet?.destination;
  if (mac === undefined || drop.interface === undefined) return undefined;
  const peer = peerOf(evidence, drop.netns, drop.interface);
  if (peer === undefined) return undefined;
  if (isUnavailable(peer)) return peer.unavailable === 'pending' ? peer : undefined;
  if (peer.link.master === undefined) return undefined;
  const table = fdb(evidence, peer.netns);
  if (isUnavailable(table)) return table.unavailable === 'pending' ? table : undefined;
  const entry = table.find((f) => f.mac === mac && f.device === peer.link.name && f.bridge !== undefined);
  if (entry === undefined) return undefined;
  return backwards(evidence, drop, peer.netns, peer.link.master, entry.device, mac, entry.state);
}

function fromSilence(symptom: Symptom, evidence: Evidence): Maybe<Verdict | 'none'> | undefined {
  const hop = nextHopOf(evidence, symptom);
  if (hop === undefined) return undefined;
  if (isUnavailable(hop)) return hop.unavailable === 'pending' ? hop : undefined;
  if (symptom.kind === 'call' && hop.entry !== undefined && hop.entry.states.some((s) => s === 'REACHABLE' || s === 'PERMANENT')) return undefined;
  const wire = walkWire(evidence, symptom.netns, hop.device, hop.address);
  if (isUnavailable(wire)) return wire.unavailable === 'pending' ? wire : undefined;
  const { obstacle } = wire;
  if (obstacle?.port === undefined) return undefined;
  const all = links(evidence, obstacle.netns);
  const ports = bridgePorts(evidence, obstacle.netns);
  if (isUnavailable(all) || isUnavailable(ports)) return undefined;
  const bridge = all.find((l) => l.name === obstacle.port?.bridge);
  // the sender asks again by itself, but only after a pause: have it forget the failure at once
  const again = askAgain(evidence, symptom.netns, hop);
  const prompt = (v: Verdict): Verdict => ({ ...v, remedies: v.remedies.map((r) => (r.command === undefined ? r : { ...r, command: `${r.command} && ${again}` })) });
  if (obstacle.kind === 'stp') return prompt(stp(evidence, obstacle.netns, obstacle.port, bridge, 0.96));
  if (obstacle.kind === 'flood') return prompt(floodOff(evidence, obstacle.netns, obstacle.port, 'bcast_flood', 'ff:ff:ff:ff:ff:ff', 0.96));
  const twin = ports.find((p) => p.bridge === obstacle.port?.bridge && p.isolated && p.name !== obstacle.port?.name);
  return obstacle.kind === 'isolated' && twin !== undefined ? prompt(isolated(evidence, obstacle.netns, twin, obstacle.port, 0.96)) : undefined;
}

const set = (evidence: Evidence, ns: Netns, port: string, what: string): string => iproute(evidence, ns, 'bridge', `link set dev ${shellQuote(port)} ${what}`);

function stp(evidence: Evidence, netns: Netns, port: BridgePort, bridge: Link | undefined, confidence: number): Verdict {
  const running = bridge !== undefined && Number(bridge.data['stp_state'] ?? 0) !== 0;
  const NUMBERS: Readonly<Record<string, number>> = { disabled: 0, listening: 1, learning: 2, forwarding: 3, blocking: 4 };
  // br_dev_stop puts all ports into state disabled: the bridge itself is what is switched off
  const off = bridge !== undefined && !bridge.up;
  const remedies: Remedy[] = off
    ? [{ text: `Switch the bridge ${port.bridge} on: while it is down all of its ports are disabled.`, command: iproute(evidence, netns, 'ip', `link set dev ${shellQuote(port.bridge)} up`), undo: iproute(evidence, netns, 'ip', `link set dev ${shellQuote(port.bridge)} down`), risk: 'low' }]
    : running
    ? [{ text: `Spanning tree runs on ${port.bridge} and keeps the port from forwarding: switch it off where there is no second path, and let the port forward at once.`, command: `${iproute(evidence, netns, 'ip', `link set dev ${shellQuote(port.bridge)} type bridge stp_state 0`)} && ${set(evidence, netns, port.name, 'state 3')}`, undo: iproute(evidence, netns, 'ip', `link set dev ${shellQuote(port.bridge)} type bridge stp_state 1`), risk: 'medium' }]
    : [{ text: `Let port ${port.name} forward.`, command: set(evidence, netns, port.name, 'state 3'), undo: set(evidence, netns, port.name, `state ${NUMBERS[port.state] ?? 1}`), risk: 'low' }];
  return {
    cause: 'stp-blocked', netns, bridge: port.bridge, port: port.name, setting: `state ${port.state}`, confidence, remedies,
    why: `The port is in state ${port.state}, and only a forwarding port passes frames${off ? `; the bridge ${port.bridge} itself is down` : running ? '; spanning tree put it there' : '; spanning tree is off, so somebody set it by hand'}.`,
    lines: [{ source: 'bridge -d link', text: `${port.name} master ${port.bridge} state ${port.state}` }, ...(bridge === undefined ? [] : [{ source: 'ip -d link', text: `${bridge.name} stp_state ${Number(bridge.data['stp_state'] ?? 0)}` }])],
    fields: { state: port.state },
  };
}

function isolated(evidence: Evidence, netns: Netns, from: BridgePort, to: BridgePort, confidence: number): Verdict {
  return {
    cause: 'port-isolated', netns, bridge: to.bridge, port: to.name, setting: 'isolated on', confidence,
    why: `Both ${from.name}, where they come in, and ${to.name}, where they should leave, are isolated: isolated ports talk only with those that are not.`,
    lines: [{ source: 'bridge -d link', text: `${from.name} isolated on, ${to.name} isolated on` }],
    remedies: [
      { text: `End the isolation of ${to.name}; one of the two is enough.`, command: set(evidence, netns, to.name, 'isolated off'), undo: set(evidence, netns, to.name, 'isolated on'), risk: 'medium' },
      { text: `Or that of ${from.name}.`, command: set(evidence, netns, from.name, 'isolated off'), undo: set(evidence, netns, from.name, 'isolated on'), risk: 'medium' },
    ],
    fields: { isolated: [from.name, to.name] },
  };
}

function locked(evidence: Evidence, netns: Netns, port: BridgePort, mac: string, confidence: number): Verdict {
  return {
    cause: 'port-locked', netns, bridge: port.bridge, port: port.name, setting: 'locked on', confidence,
    why: `The port is locked: it takes frames only from MAC addresses that the FDB has on it, and ${mac} is not there.`,
    lines: [{ source: 'bridge -d link', text: `${port.name} locked on` }, { source: 'bridge fdb', text: `no entry for ${mac} on ${port.name}` }],
    remedies: [
      { text: `Admit ${mac} at ${port.name}.`, command: iproute(evidence, netns, 'bridge', `fdb replace ${mac} dev ${shellQuote(port.name)} master static`), undo: iproute(evidence, netns, 'bridge', `fdb del ${mac} dev ${shellQuote(port.name)} master`), risk: 'low' },
      { text: `Or unlock the port for everyone.`, command: set(evidence, netns, port.name, 'locked off'), undo: set(evidence, netns, port.name, 'locked on'), risk: 'medium' },
    ],
    fields: { mac },
  };
}

function floodOff(evidence: Evidence, netns: Netns, port: BridgePort, kind: string, mac: string, confidence: number): Verdict {
  const what = kind === 'flood' ? `frames for a MAC that the bridge has not learned (${mac})` : kind === 'bcast_flood' ? 'broadcast frames' : 'multicast frames';
  return {
    cause: 'flood-off', netns, bridge: port.bridge, port: port.name, setting: `${kind} off`, confidence,
    why: `${kind} is off there, so ${what} are not sent to it, and no other port takes them.`,
    lines: [{ source: 'bridge -d link', text: `${port.name} ${kind} off` }, { source: 'bridge fdb', text: kind === 'flood' ? `no entry for ${mac} in ${port.bridge}` : `${mac} is a group address` }],
    remedies: [{ text: `Flood such frames to ${port.name} again.`, command: set(evidence, netns, port.name, `${kind} on`), undo: set(evidence, netns, port.name, `${kind} off`), risk: 'low' }],
    fields: { mac, flood: kind },
  };
}

function backwards(evidence: Evidence, drop: DropEvent, netns: Netns, bridge: string, port: string, mac: string, state: string): Maybe<Verdict | 'none'> {
  const owner = findOwnerOfMac(evidence, netns, mac);
  if (owner !== undefined && isUnavailable(owner) && owner.unavailable === 'pending') return owner;
  let right: string | undefined;
  if (owner !== undefined && !isUnavailable(owner)) {
    const peer = peerOf(evidence, owner.netns, owner.link.name);
    if (peer !== undefined && isUnavailable(peer) && peer.unavailable === 'pending') return peer;
    if (peer !== undefined && !isUnavailable(peer) && peer.netns === netns) right = peer.link.name;
  }
  const fixed = state === 'static' || state === 'permanent';
  if (right === port && drop.netns !== netns) return 'none';
  if (right === port || (right === undefined && !fixed && drop.netns === netns)) return hairpin(evidence, netns, bridge, port, mac, right === port);
  const del = iproute(evidence, netns, 'bridge', `fdb del ${mac} dev ${shellQuote(port)} master`);
  return {
    cause: 'fdb-wrong', netns, bridge, port, setting: `fdb ${mac} ${state === '' ? 'learned' : state}`, confidence: right !== undefined || fixed ? 0.97 : 0.9,
    why: `The FDB has ${mac} on ${port} (${state === '' ? 'learned' : state})${drop.netns === netns ? ', which is where the frames for it come from' : ''}${right === undefined ? '' : `, but its owner is behind ${right}`}.`,
    lines: [{ source: 'bridge fdb', text: `${mac} dev ${port} master ${bridge} ${state === '' ? 'learned' : state}` }, ...(right === undefined ? [] : [{ source: 'ip link', text: `${mac} is behind ${right}` }])],
    remedies: [{ text: 'Delete the entry; the bridge then floods and learns anew.', command: del, undo: iproute(evidence, netns, 'bridge', `fdb add ${mac} dev ${shellQuote(port)} master static`), risk: 'low' }],
    fields: { mac, state },
  };
}

/** Both hosts are behind one port (a switch, macvlan in mode vepa, a VM host): a bridge sends nothing back where it came from, unless told to. */
function hairpin(evidence: Evidence, netns: Netns, bridge: string, port: string, mac: string, sure: boolean): Verdict {
  const set = (value: 'on' | 'off'): string => iproute(evidence, netns, 'bridge', `link set dev ${shellQuote(port)} hairpin ${value}`);
  return {
    cause: 'fdb-wrong', netns, bridge, port, setting: 'hairpin off', confidence: sure ? 0.95 : 0.9,
    why: `The FDB has ${mac} on ${port} (learned), which is also where the frames for it come from: sender and receiver are behind the same port, and hairpin is off there. If the receiver has moved to another port a moment ago, the entry is old.`,
    lines: [{ source: 'bridge fdb', text: `${mac} dev ${port} master ${bridge} learned` }, { source: 'bridge -d link', text: `${port}: hairpin off` }],
    remedies: [
      { text: `Let ${bridge} send frames back by ${port}. What is behind it must not loop them.`, command: set('on'), undo: set('off'), risk: 'medium' },
      { text: 'Or, where the receiver is behind another port now, delete the entry; the bridge then floods and learns anew.', command: iproute(evidence, netns, 'bridge', `fdb del ${mac} dev ${shellQuote(port)} master`), undo: iproute(evidence, netns, 'bridge', `fdb add ${mac} dev ${shellQuote(port)} master dynamic`), risk: 'low' },
    ],
    fields: { mac, state: 'learned' },
  };
}

function vlanVerdict(evidence: Evidence, netns: Netns, port: BridgePort | undefined, bridge: Link | undefined, tag: number | undefined): Maybe<Verdict> | undefined {
  if (port === undefined || bridge === undefined || Number(bridge.data['vlan_filtering'] ?? 0) === 0) return undefined;
  const vlans: Maybe<readonly import('../../model/network.ts').BridgeVlan[]> = bridgeVlans(evidence, netns);
  if (isUnavailable(vlans)) return vlans.unavailable === 'pending' ? (vlans satisfies Unavailable) : undefined;
  const own = vlans.filter((v) => v.device === port.name);
  const pvid = own.find((v) => v.flags.includes('PVID'))?.first;
  const vid = tag ?? pvid;
  const allowed = vid !== undefined && own.some((v) => vid >= v.first && vid <= v.last);
  if (allowed) return undefined;
  const wanted = vid ?? Number(bridge.data['vlan_default_pvid'] ?? 1);
  const flags = tag === undefined ? ' pvid untagged' : '';
  return {
    cause: 'vlan-filter', netns, bridge: port.bridge, port: port.name, setting: tag === undefined ? 'no PVID' : `VLAN ${tag} not allowed`, confidence: 0.95,
    why: tag === undefined ? `VLAN filtering is on, the frames carry no tag, and the port has no PVID.` : `VLAN filtering is on, and VLAN ${tag} is not among those of the port (${own.map((v) => (v.first === v.last ? v.first : `${v.first}-${v.last}`)).join(', ') || 'none'}).`,
    lines: [{ source: 'bridge vlan', text: `${port.name}: ${own.map((v) => `${v.first}${v.last === v.first ? '' : `-${v.last}`} ${v.flags.join(' ')}`.trim()).join(', ') || 'no VLANs'}` }],
    remedies: [{ text: `Add the VLAN to the port.`, command: iproute(evidence, netns, 'bridge', `vlan add dev ${shellQuote(port.name)} vid ${wanted}${flags}`), undo: iproute(evidence, netns, 'bridge', `vlan del dev ${shellQuote(port.name)} vid ${wanted}`), risk: 'low' }],
    fields: { vlan: wanted },
  };
}
