import { gatewayTo } from '../../evidence/network/gateway.ts';
import { findOwnerOfAddress, peerOf } from '../../evidence/network/hosts.ts';
import { askAgain, carries, nextHopOf, unresolved, type NextHop } from '../../evidence/network/nexthop.ts';
import { addresses, linkNamed, sysctls } from '../../evidence/network/read.ts';
import { ipv4Conf, sysctlNumber, sysctlSet } from '../../evidence/network/sysctl.ts';
import { walkWire } from '../../evidence/network/wire.ts';
import { decideRoute } from '../../evidence/network/routing.ts';
import { sourceOf, symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { inNetns, iproute, netnsText } from '../../evidence/netns.ts';
import { deleteRule, place, ruleset } from '../../evidence/rules/index.ts';
import type { Netns } from '../../base/brand.ts';
import { shellQuote } from '../../base/text.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Culprit, EvidenceLine, Remedy } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const PLACES = /^(neigh_invalidate|arp_error_report|ndisc_error_report|__neigh_event_send|neigh_timer_handler)$/;

export const cause: Cause = {
  id: 'neigh.unresolved',
  title: 'nobody answers for that address on the link',
  needs: ['link', 'address', 'route', 'route6', 'rule', 'rule6', 'neighbour', 'sysctl', 'bridge-link', 'nft', 'arptables', 'iptables', 'iptables-legacy', 'ip6tables', 'ip6tables-legacy', 'ipset'],
  knowledge: {
    what: 'The next hop is on the link, but nobody answered the ARP request or neighbour solicitation for its address, so there is no MAC to send to. After some tries the waiting packets are dropped. The host is off, has another address, does not answer ARP by its settings, or lives on another link than the prefix claims.',
    signs: ['NEIGH_FAILED at neigh_invalidate (IPv4); NOT_SPECIFIED at the same place (IPv6)', 'EHOSTUNREACH ("No route to host") at the sender', '`ip neigh` shows FAILED or INCOMPLETE; seen there after a second, before the kernel gives up', 'On the host that stays silent nothing is to be seen: ARP that arp_ignore, arp_filter or rp_filter refuse leaves neither a drop event nor a counter; watch the sender'],
    fixes: ['`ip neigh show ADDRESS`, `arping ADDRESS`', 'On the neighbour: does it have the address, is arp_ignore 0, does arptables let ARP in?', 'Is the prefix length of the own address right?'],
    functions: ['neigh_invalidate', 'neigh_timer_handler', '__neigh_event_send', 'arp_error_report', 'ndisc_error_report'],
    reasons: ['NEIGH_FAILED', 'NEIGH_QUEUEFULL'],
    errnos: ['EHOSTUNREACH'],
    versions: ['NEIGH_FAILED exists since 5.18, for IPv4 only up to 6.18'],
    sources: ['net/core/neighbour.c', 'net/ipv4/arp.c', 'RFC 826', 'RFC 4861', 'arp(7)'],
  },
  judge,
};

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind === 'drop') {
    const { reason } = symptom.drop;
    if (!PLACES.test(symbolOf(symptom.drop)) && reason.name !== 'NEIGH_FAILED') return NOT_APPLICABLE;
    // QUEUE_PURGE: those that waited behind the one that was reported
    if (!['NEIGH_FAILED', 'NEIGH_QUEUEFULL', 'NOT_SPECIFIED', 'NEIGH_DEAD', 'QUEUE_PURGE'].includes(reason.name)) return NOT_APPLICABLE;
  } else if (symptom.kind === 'counter') {
    if (symptom.neighbour === undefined) return NOT_APPLICABLE;
  } else if (symptom.kind !== 'call' || (symptom.call.errno !== 'EHOSTUNREACH' && symptom.call.attempt === undefined)) return NOT_APPLICABLE;
  const hop = nextHopOf(evidence, symptom);
  if (hop === undefined) return NOT_APPLICABLE;
  if (isUnavailable(hop)) return cannotTell(unavailableText(hop), 'the routes and the neighbour table');
  const wire = walkWire(evidence, symptom.netns, hop.device, hop.address);
  const alive = carries(evidence, symptom.netns, hop.device);
  if (symptom.kind === 'call' && (hop.entry === undefined || !unresolved(hop.entry))) return ruledOut(`the neighbour ${hop.address} is no unresolved one`);
  if (alive === false) return ruledOut(`${hop.device} itself is down or without carrier`);
  if (isUnavailable(wire)) return cannotTell(unavailableText(wire), 'the other namespaces on the wire');
  if (wire.obstacle !== undefined && (wire.obstacle.kind === 'down' || wire.obstacle.kind === 'peer-down')) return ruledOut(`${wire.obstacle.text}: the wire is broken before the neighbour`);
  if (symptom.kind === 'drop' && symptom.drop.reason.name === 'NEIGH_QUEUEFULL') {
    const family = hop.address.includes(':') ? 'ipv6' : 'ipv4';
    const queue = sysctlNumber(evidence, symptom.netns, `net/${family}/neigh/${hop.device}/unres_qlen_bytes`);
    if (!unresolved(hop.entry) || (!isUnavailable(queue) && queue < 65536)) return ruledOut('the queue is short, and that is what lost them');
  }
  const resolved = !unresolved(hop.entry);
  const here = filteredHere(evidence, symptom.netns, hop) ?? nowhere(evidence, symptom.netns, hop) ?? carrierFiltered(evidence, symptom.netns, hop);
  if (here === 'pending') return cannotTell('the rules are still being looked at', 'their listing');
  const verdict = here ?? why(evidence, symptom, hop, wire.reached, wire.obstacle?.text);
  if (verdict === undefined) return cannotTell('the other namespaces are still being looked at', 'their answers');
  const where = netnsText(evidence, symptom.netns);
  const waited = symptom.kind === 'counter' ? symptom.neighbour?.waitedMs : undefined;
  const protocol = hop.address.includes(':') ? 'neighbour solicitations' : 'ARP requests';
  return {
    outcome: 'found',
    // a drop, which knows its packet, says it better
    confidence: resolved ? 0.6 : symptom.kind === 'counter' ? (verdict.sure ? 0.94 : 0.9) : verdict.sure ? 0.96 : 0.91,
    // what the rules here drop is an incident of its own, and this one its consequence
    severity: resolved || here !== undefined ? 'info' : 'warning',
    identity: `${hop.address}|${hop.device}`,
    ...(here !== undefined || hop.gateway || verdict.culprit.kind !== 'neighbour' ? {} : {
      wider: {
        identity: `many|${hop.device}`,
        explanation: `Nobody answers the ${protocol} for many addresses on ${hop.device} in ${where}, ${hop.address} among them, so packets to them were dropped after some tries. Somebody scans the subnet, answers go to forged sources, or its hosts are gone.`,
        remedies: [{ text: `See who sends to these addresses; give the hosts that should be there back to ${hop.device}.`, risk: 'low' as const }],
      },
    }),
    explanation: resolved
      ? `Packets for ${hop.destination} waited for the neighbour ${hop.address} on ${hop.device} in ${where} and were dropped, but it answers now. It was slow, or had just come up. Nothing need be done unless it happens often.`
      : `${symptom.kind === 'counter' ? `Nobody has answered the ${protocol} for ${hop.address} on ${hop.device} in ${where} so far${waited === undefined ? '' : ` (${(waited / 1000).toFixed(1)} s)`}, so packets ${hop.gateway ? 'for which it is the router' : 'to it'} wait and are dropped after some tries.` : `Nobody answered the ${protocol} for ${hop.address} on ${hop.device} in ${where}, so packets ${hop.gateway ? `to ${hop.destination}, for which it is the router,` : 'to it'} were dropped after some tries.`} ${verdict.why} ${symptom.kind !== 'drop' || !symptom.drop.softirq ? 'Senders' : 'Local senders'} see EHOSTUNREACH.`,
    culprit: verdict.culprit,
    evidence: [
      ...(symptom.kind === 'counter' ? [] : [symptomLine(evidence, symptom)]),
      { source: 'ip neigh', text: hop.entry === undefined ? `${hop.address} dev ${hop.device}: no entry any more` : `${hop.address} dev ${hop.device} ${hop.entry.mac === undefined ? '' : `lladdr ${hop.entry.mac} `}${hop.entry.states.join(',')}` },
      ...verdict.lines,
    ],
    // the sender asks again by itself, but only after a pause: have it forget the failure at once
    remedies: verdict.remedies.map((r, i) => (i > 0 || r.command === undefined || r.undo === undefined || / route (replace|add) /.test(r.command) ? r : { ...r, command: `${r.command} && ${askAgain(evidence, symptom.netns, hop)}` })),
  };
}

interface Why {
  readonly why: string;
  readonly sure: boolean;
  readonly culprit: Culprit;
  readonly lines: readonly EvidenceLine[];
  readonly remedies: readonly Remedy[];
}

/** Why the neighbour stays silent; undefined while answers are missing that will come. */
function why(evidence: Evidence, symptom: Symptom, hop: NextHop, reached: { readonly netns: Netns; readonly device: string } | undefined, obstacle: string | undefined): Why | undefined {
  const neighbour = (extra: string): Culprit => ({ kind: 'neighbour', text: `neighbour ${hop.address} on ${hop.device}${extra}`, ip: hop.address, dev: hop.device, state: hop.entry?.states[0] ?? 'none' });
  if (reached !== undefined) {
    const silent = mute(evidence, reached, hop) ?? distrusted(evidence, symptom, reached, hop) ?? filtered(evidence, reached, hop);
    if (silent === 'pending') return undefined;
    if (silent !== undefined) return silent;
    const at = netnsText(evidence, reached.netns);
    return {
      why: obstacle === undefined ? `${hop.address} is configured on ${reached.device} in ${at}, which gives no answer.` : `${hop.address} is in ${at}, but ${obstacle}.`,
      sure: false,
      culprit: neighbour(` (${reached.device} in ${at} does not answer)`),
      lines: [{ source: 'ip address', text: `${hop.address} is on ${reached.device} in ${at}` }],
      remedies: [{ text: `Look at what keeps ${at} from answering: arptables, an XDP or tc program, a firewall for neighbour discovery.`, risk: 'low' }],
    };
  }
  const far = acrossTunnel(evidence, symptom.netns, hop);
  if (far === 'pending') return undefined;
  if (far !== undefined) return far;
  const gateway = gatewayTo(evidence, symptom.netns, hop.destination);
  if (gateway !== undefined && isUnavailable(gateway) && gateway.unavailable === 'pending') return undefined;
  const own = addresses(evidence, symptom.netns);
  const six = hop.destination.includes(':') ? '-6 ' : '';
  // whom the packets are for that wait behind a router is not known yet
  if (gateway !== undefined && !isUnavailable(gateway) && gateway.address !== hop.address && !(symptom.kind === 'counter' && hop.gateway)) {
    const mine = isUnavailable(own) ? undefined : own.find((a) => a.device === hop.device && a.family === (hop.address.includes(':') ? 6 : 4) && a.scope === 'global');
    const route = `${hop.destination}/${hop.destination.includes(':') ? 128 : 32} via ${gateway.address} dev ${shellQuote(gateway.device)}`;
    return {
      why: hop.gateway ? `No host on that wire has ${hop.address}, but ${gateway.address} in ${netnsText(evidence, gateway.netns)} could carry the packets.` : `${hop.destination} is not on that wire: the prefix of ${mine === undefined ? hop.device : `${mine.address}/${mine.prefixLength}`} wrongly covers it, it lies behind ${gateway.address}.`,
      sure: true,
      culprit: neighbour(hop.gateway ? ', a router that nobody is' : `: ${hop.address} is taken for a neighbour by the prefix ${mine === undefined ? '' : `${mine.address}/${mine.prefixLength}`}`),
      lines: [{ source: 'ip address in all namespaces', text: `nobody on the wire of ${hop.device} has ${hop.address}; ${gateway.address} is there` }],
      remedies: [{ text: `Send packets for ${hop.destination} by ${gateway.address}.`, command: iproute(evidence, symptom.netns, 'ip', `${six}route replace ${route}`), undo: iproute(evidence, symptom.netns, 'ip', `${six}route del ${route}`), risk: 'low' }],
    };
  }
  const peer = peerOf(evidence, symptom.netns, hop.device);
  if (peer !== undefined && isUnavailable(peer) && peer.unavailable === 'pending') return undefined;
  const remedies: Remedy[] = [];
  const prefix = isUnavailable(own) ? undefined : own.find((a) => a.device === hop.device && a.family === (hop.address.includes(':') ? 6 : 4) && a.scope === 'global')?.prefixLength;
  if (peer !== undefined && !isUnavailable(peer) && peer.link.master === undefined) {
    remedies.push({ text: `The only host on that wire is ${netnsText(evidence, peer.netns)}. If ${hop.address} is to be its address, give it back; else correct the destination at the sender.`, command: iproute(evidence, peer.netns, 'ip', `addr add ${hop.address}/${prefix ?? (hop.address.includes(':') ? 128 : 32)} dev ${shellQuote(peer.link.name)}${hop.address.includes(':') ? ' nodad' : ''}`), undo: iproute(evidence, peer.netns, 'ip', `addr del ${hop.address}/${prefix ?? (hop.address.includes(':') ? 128 : 32)} dev ${shellQuote(peer.link.name)}`), risk: 'medium' });
  }
  remedies.push({ text: `Start the host that has ${hop.address}, or correct the address that is sent to.`, risk: 'low' });
  return {
    why: peer !== undefined && !isUnavailable(peer) ? `No namespace of this host on that wire has ${hop.address}.` : `The host with that address is off, has another address or is on another link.`,
    sure: peer !== undefined && !isUnavailable(peer),
    culprit: neighbour(': no host on the link has this address'),
    lines: [],
    remedies,
  };
}

const ETH_P_ARP = 0x0806, ETH_P_IPV6 = 0x86dd; //   linux/if_ether.h

/** The requests or their answers are dropped by netfilter in the sender's own namespace: the counters of the probe say so. */
function filteredHere(evidence: Evidence, netns: Netns, hop: NextHop): Why | 'pending' | undefined {
  const six = hop.address.includes(':');
  const lost = evidence.dropCounts().find((c) => c.netns === netns && c.reason.name === 'NETFILTER_DROP' && c.protocol === (six ? ETH_P_IPV6 : ETH_P_ARP) && c.packets > 0);
  if (lost === undefined) return undefined;
  const rule = filtered(evidence, { netns, device: hop.device }, hop);
  // IPv6 packets are dropped for many reasons: there a rule for neighbour discovery has to be seen
  if (rule === 'pending' || (six && rule === undefined)) return rule;
  const at = netnsText(evidence, netns);
  const text = `netfilter in ${at} itself drops ${six ? 'IPv6' : 'ARP'} packets (${lost.packets} so far)`;
  return {
    why: `The requests did not get out, or the answers not in: ${text}. The rule is an incident of its own; this follows from it.`,
    sure: rule !== undefined,
    culprit: rule?.culprit ?? { kind: 'neighbour', text: `neighbour ${hop.address} on ${hop.device}: ${text}`, ip: hop.address, dev: hop.device },
    lines: [{ source: 'drop probe', text }, ...(rule?.lines ?? [])],
    remedies: rule?.remedies ?? [{ text: 'Do what the incident about the rule says.', risk: 'low' }],
  };
}

/** The device is a tunnel whose far end no route leads to: the requests do not get out. An incident of its own. */
function nowhere(evidence: Evidence, netns: Netns, hop: NextHop): Why | 'pending' | undefined {
  const link = linkNamed(evidence, netns, hop.device);
  if (isUnavailable(link)) return link.unavailable === 'pending' ? 'pending' : undefined;
  const lost = evidence.dropCounts().find((c) => c.netns === netns && c.ifindex === link.index && c.reason.name === 'IP_OUTNOROUTES' && c.packets > 0);
  if (lost === undefined) return undefined;
  const text = `the tunnel ${hop.device} has no route to its far end (${lost.packets} packets lost there so far)`;
  return {
    why: `The requests did not get out: ${text}. That is an incident of its own; this follows from it.`,
    sure: false,
    culprit: { kind: 'tunnel', text, interface: hop.device },
    lines: [{ source: 'drop probe', text }],
    remedies: [{ text: `Give this namespace a route to the far end of ${hop.device}.`, risk: 'low' }],
  };
}

/** The neighbour is at the other end of a tunnel: no wire that could be followed leads there, and its prefix is right. */
function acrossTunnel(evidence: Evidence, netns: Netns, hop: NextHop): Why | 'pending' | undefined {
  const link = linkNamed(evidence, netns, hop.device);
  if (isUnavailable(link)) return link.unavailable === 'pending' ? 'pending' : undefined;
  if (TUNNELS[link.kind ?? ''] === undefined) return undefined;
  const owner = findOwnerOfAddress(evidence, netns, hop.address);
  if (owner === undefined || isUnavailable(owner)) return owner?.unavailable === 'pending' ? 'pending' : undefined;
  if (owner.netns === netns) return undefined;
  const there = linkNamed(evidence, owner.netns, owner.address.device);
  if (isUnavailable(there)) return there.unavailable === 'pending' ? 'pending' : undefined;
  if (there.kind !== link.kind) return undefined;
  const remote = link.data['remote'] ?? link.data['remote6'] ?? link.data['group'] ?? link.data['group6'];
  const at = `${there.name} in ${netnsText(evidence, owner.netns)}`;
  const tunnel = `${link.kind} ${hop.device}${typeof link.data['id'] === 'number' ? ` id ${link.data['id']}` : ''}${typeof remote === 'string' ? ` remote ${remote}` : ' without a remote'}`;
  return {
    why: `${hop.address} is at the other end of the tunnel, on ${at}. The requests or their answers are lost between the two: the packets that carry them (${tunnel}) do not arrive, or are refused there.`,
    sure: false,
    culprit: { kind: 'tunnel', text: `tunnel ${tunnel}: ${hop.address} on ${at} does not get the requests, or its answers are lost`, interface: hop.device, ip: hop.address },
    lines: [{ source: 'ip -d link', text: tunnel }, { source: 'ip address', text: `${hop.address} is on ${at}` }],
    remedies: [{ text: `Watch ${netnsText(evidence, owner.netns)} and the way to ${typeof remote === 'string' ? remote : 'the far end'}: id, port and remote address of both ends, and the firewalls between them.`, risk: 'low' }],
  };
}

const TUNNELS: Readonly<Record<string, number>> = { vxlan: 4789, geneve: 6081 };

/** The device is a tunnel, and a rule here drops the packets that carry its frames: by its port, or by the address of its far end. */
function carrierFiltered(evidence: Evidence, netns: Netns, hop: NextHop): Why | 'pending' | undefined {
  const link = linkNamed(evidence, netns, hop.device);
  if (isUnavailable(link)) return link.unavailable === 'pending' ? 'pending' : undefined;
  const usual = TUNNELS[link.kind ?? ''];
  if (usual === undefined || !evidence.dropCounts().some((c) => c.netns === netns && c.reason.name === 'NETFILTER_DROP' && c.packets > 0)) return undefined;
  const listing = ruleset(evidence, netns, ['ip', 'ip6']);
  if (isUnavailable(listing)) return listing.unavailable === 'pending' ? 'pending' : undefined;
  const port = Number(link.data['port'] ?? usual), remote = link.data['remote'] ?? link.data['remote6'];
  const words = [String(port), ...(typeof remote === 'string' ? [remote] : [])].map((w) => w.replaceAll('.', '\\.'));
  const named = new RegExp(`(^|[^0-9a-f:.])(${words.join('|')})([^0-9a-f:.]|$)`, 'i');
  for (const table of listing.ruleset.tables) for (const chain of table.chains.values()) for (const rule of chain.rules) {
    if ((rule.action.do !== 'drop' && rule.action.do !== 'reject') || !named.test(rule.text)) continue;
    const text = `${table.family} ${table.name} ${place(table, rule)}: ${rule.text}`;
    const step = deleteRule(table, rule);
    return {
      why: `${hop.device} is a tunnel, and a rule in ${netnsText(evidence, netns)} itself drops the packets that carry its frames: "${rule.text}". The rule is an incident of its own; this follows from it.`,
      sure: false,
      culprit: { kind: 'rule', text: `${text} (drops what carries ${hop.device})`, family: table.family, table: table.name, chain: rule.chain, handle: rule.handle, rule: rule.text },
      lines: [{ source: 'rules', text }],
      remedies: [{ text: 'Delete the rule.', command: inNetns(evidence, netns, step.command), undo: inNetns(evidence, netns, step.undo), risk: 'low' }],
    };
  }
  return undefined;
}

/** A rule of the neighbour's firewall that drops what asks for its address. */
function filtered(evidence: Evidence, reached: { readonly netns: Netns; readonly device: string }, hop: NextHop): Why | 'pending' | undefined {
  const six = hop.address.includes(':');
  const listing = ruleset(evidence, reached.netns, six ? ['ip6'] : ['arp']);
  if (isUnavailable(listing)) return listing.unavailable === 'pending' ? 'pending' : undefined;
  for (const table of listing.ruleset.tables) {
    if (six ? table.family !== 'ip6' && table.family !== 'inet' : table.family !== 'arp') continue;
    for (const chain of table.chains.values()) {
      const rule = chain.rules.find((r) => r.action.do === 'drop' && (!six || /icmpv6|ipv6-icmp|icmp6/.test(r.text)));
      if (rule === undefined) continue;
      const at = netnsText(evidence, reached.netns);
      const step = deleteRule(table, rule);
      const name = `${table.tool === 'nft' ? '' : `${table.tool} `}${table.family} ${table.name} ${place(table, rule)}`;
      return {
        why: `The address is one of ${at}, but a rule there drops ${six ? 'neighbour discovery' : 'ARP'}: "${rule.text}" in ${name}.`,
        sure: false,
        culprit: { kind: 'rule', text: `${name}: ${rule.text} (drops ${six ? 'neighbour solicitations' : 'ARP requests'} for ${hop.address})`, family: table.family, table: table.name, chain: rule.chain, handle: rule.handle, rule: rule.text },
        lines: [{ source: `rules in ${at}`, text: `${name}: ${rule.text}` }],
        remedies: [{ text: 'Delete the rule.', command: inNetns(evidence, reached.netns, step.command), undo: inNetns(evidence, reached.netns, step.undo), risk: 'low' }],
      };
    }
  }
  return undefined;
}

/** The address that this namespace asks with, as far as its routes say. */
function ownSource(evidence: Evidence, netns: Netns, hop: NextHop): string | 'pending' | undefined {
  const way = decideRoute(evidence, netns, { to: hop.address });
  if (isUnavailable(way)) return way.unavailable === 'pending' ? 'pending' : undefined;
  return way.route?.source;
}

/** The neighbour ignores ARP requests whose sender it would not answer by the same device: rp_filter and arp_filter look at the way back. */
function distrusted(evidence: Evidence, symptom: Symptom, reached: { readonly netns: Netns; readonly device: string }, hop: NextHop): Why | 'pending' | undefined {
  const source = symptom.kind === 'drop' ? symptom.drop.packet.arp?.sender ?? symptom.drop.packet.ip?.source : symptom.kind === 'call' ? sourceOf(symptom.call) : ownSource(evidence, symptom.netns, hop);
  if (source === 'pending') return source;
  if (source === undefined || source.includes(':')) return undefined;
  const { netns, device } = reached;
  const filter = ipv4Conf(evidence, netns, 'rp_filter', device);
  const back = decideRoute(evidence, netns, { to: source });
  const strict = ipv4Conf(evidence, netns, 'arp_filter', device);
  for (const a of [filter, back, strict]) if (isUnavailable(a) && a.unavailable === 'pending') return 'pending';
  if (isUnavailable(filter) || isUnavailable(back)) return undefined;
  const by = back.kind === 'route' ? back.route?.device : undefined;
  if (by === device) return undefined;
  const at = netnsText(evidence, netns);
  if (!isUnavailable(strict) && strict.effective !== 0 && by !== undefined && (filter.effective === 0 || filter.effective === 2)) {
    const settings = ([[strict.allKey, strict.all], [strict.key, strict.device]] as const).filter(([, v]) => v > 0);
    return {
      why: `The address is one of ${at}, but arp_filter is on for its ${device}, and the route back to ${source} leaves by ${by}: then it does not answer there.`,
      sure: true,
      culprit: { kind: 'sysctl', text: `${settings[0]?.[0] ?? strict.key} arp_filter = 1 in ${at}, so ${hop.address} does not answer ${source}`, name: settings[0]?.[0] ?? strict.key, value: strict.device, all: strict.all, effective: strict.effective, interface: device, ip: hop.address },
      lines: [{ source: `sysctl in ${at}`, text: `${strict.key} = ${strict.device}, ${strict.allKey} = ${strict.all}` }, { source: `ip route in ${at}`, text: `${source} dev ${shellQuote(by)}` }],
      remedies: [{ text: `Have ${at} answer ARP on ${device} wherever the way back leads.`, command: sysctlSet(evidence, netns, settings.map(([k]) => [k, 0] as const)), undo: sysctlSet(evidence, netns, settings), risk: 'low' }],
    };
  }
  if (filter.effective === 0 || (by !== undefined && filter.effective === 2)) return undefined;
  const none = by === undefined;
  return {
    why: `The address is one of ${at}, but it ignores requests from ${source}: rp_filter is ${filter.effective} on its ${device}, and ${none ? 'no route leads back to that source' : `the route back leaves by ${by}`}.`,
    sure: true,
    culprit: { kind: 'sysctl', text: `${filter.key} rp_filter = ${filter.effective} in ${at}, so ${hop.address} does not answer ${source}`, name: filter.key, value: filter.device, all: filter.all, effective: filter.effective, interface: device, ip: hop.address },
    lines: [{ source: `sysctl in ${at}`, text: `${filter.key} = ${filter.device}, ${filter.allKey} = ${filter.all}` }, { source: `ip route in ${at}`, text: none ? `no route to ${source}` : `${source} dev ${shellQuote(by)}` }],
    remedies: none
      ? [{ text: `Add the way back to ${source} in ${at}; answers need it, too.`, command: iproute(evidence, netns, 'ip', `route add ${source}/32 dev ${shellQuote(device)}`), undo: iproute(evidence, netns, 'ip', `route del ${source}/32 dev ${shellQuote(device)}`), risk: 'low' }]
      : [{ text: `Loose mode on ${device}: a route back by any interface is then enough.`, command: sysctlSet(evidence, netns, [[filter.key, 2]]), undo: sysctlSet(evidence, netns, [[filter.key, filter.device]]), risk: 'low' }],
  };
}

/** Settings that make the neighbour mute though it has the address. */
function mute(evidence: Evidence, reached: { readonly netns: Netns; readonly device: string }, hop: NextHop): Why | 'pending' | undefined {
  const { netns, device } = reached;
  const at = netnsText(evidence, netns);
  const link = linkNamed(evidence, netns, device);
  const own = addresses(evidence, netns);
  if (hop.address.includes(':')) {
    const disabled = sysctls(evidence, netns, `net/ipv6/conf/${device}/disable_ipv6`);
    for (const a of [disabled, own, link]) if (isUnavailable(a) && a.unavailable === 'pending') return 'pending';
    const entry = isUnavailable(own) ? undefined : own.find((a) => a.address === hop.address);
    const bad = entry?.flags.find((f) => f === 'dadfailed' || f === 'tentative');
    if (entry !== undefined && bad !== undefined) {
      const text = `address ${hop.address} on ${entry.device} in ${at} is ${bad}`;
      return { why: `In ${at} it is ${bad === 'dadfailed' ? 'a duplicate: duplicate address detection failed' : 'not usable yet: duplicate address detection runs'}.`, sure: true, culprit: { kind: 'interface', text, interface: entry.device, address: hop.address, state: bad }, lines: [{ source: 'ip address', text }], remedies: [{ text: 'Add the address again without duplicate address detection, once it is sure that nobody else has it.', command: `${iproute(evidence, netns, 'ip', `-6 addr del ${hop.address}/${entry.prefixLength} dev ${shellQuote(entry.device)}`)} && ${iproute(evidence, netns, 'ip', `-6 addr add ${hop.address}/${entry.prefixLength} dev ${shellQuote(entry.device)} nodad`)}`, risk: 'medium' }] };
    }
  } else {
    const ignore = ipv4Conf(evidence, netns, 'arp_ignore', device);
    const filter = ipv4Conf(evidence, netns, 'arp_filter', device);
    for (const a of [ignore, filter, own, link]) if (isUnavailable(a) && a.unavailable === 'pending') return 'pending';
    const holder = isUnavailable(own) ? undefined : own.find((a) => a.address === hop.address)?.device;
    if (!isUnavailable(ignore) && (ignore.effective >= 3 || (ignore.effective > 0 && holder !== device))) {
      // the larger of the two counts
      const settings = ([[ignore.allKey, ignore.all], [ignore.key, ignore.device]] as const).filter(([, v]) => v > 0);
      return {
        why: `The address is one of ${at}, but arp_ignore is ${ignore.effective} on its ${device} (all ${ignore.all}, ${device} ${ignore.device}), so it ${ignore.effective === 8 ? 'answers no ARP request at all' : `does not answer for this address there`}.`,
        sure: true,
        culprit: { kind: 'sysctl', text: `${ignore.key} arp_ignore = ${ignore.effective} in ${at}, so ${hop.address} is not answered for`, name: settings[0]?.[0] ?? ignore.key, value: ignore.device, effective: ignore.effective, interface: device, ip: hop.address },
        lines: [{ source: `sysctl in ${at}`, text: `${ignore.key} = ${ignore.device}, ${ignore.allKey} = ${ignore.all}` }, { source: `ip address in ${at}`, text: `${hop.address} is on ${holder ?? '?'}` }],
        remedies: [{ text: `Have ${at} answer ARP for its addresses on ${device}.`, command: sysctlSet(evidence, netns, settings.map(([k]) => [k, 0] as const)), undo: sysctlSet(evidence, netns, settings), risk: 'low' }],
      };
    }
  }
  if (!isUnavailable(link) && link.flags.includes('NOARP')) {
    const text = `ARP is off on ${device} in ${at} (flag NOARP)`;
    return { why: `The address is one of ${at}, but ${text}.`, sure: true, culprit: { kind: 'interface', text: `${text}: ${hop.address} is not answered for`, interface: device, ip: hop.address }, lines: [{ source: `ip link in ${at}`, text: `${device}: <${link.flags.join(',')}>` }], remedies: [{ text: `Switch ARP on.`, command: iproute(evidence, netns, 'ip', `link set ${shellQuote(device)} arp on`), undo: iproute(evidence, netns, 'ip', `link set ${shellQuote(device)} arp off`), risk: 'low' }] };
  }
  return undefined;
}
