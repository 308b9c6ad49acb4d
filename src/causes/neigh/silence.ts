import { gatewayTo } from '../../evidence/network/gateway.ts';
import { findOwnerOfAddress, peerOf } from '../../evidence/network/hosts.ts';
import type { NextHop } from '../../evidence/network/nexthop.ts';
import { addresses, linkNamed, sysctls } from '../../evidence/network/read.ts';
import { ipv4Conf, sysctlSet } from '../../evidence/network/sysctl.ts';
import { decideRoute } from '../../evidence/network/routing.ts';
import { sourceOf } from '../../evidence/network/words.ts';
import { inNetns, iproute, netnsText } from '../../evidence/netns.ts';
import { deleteRule, place, ruleset } from '../../evidence/rules/index.ts';
import type { Netns } from '../../base/brand.ts';
import { shellQuote } from '../../base/text.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Culprit, EvidenceLine, Remedy } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';

/** Why a neighbour stays silent, with who makes it so. */
export interface Why {
  readonly why: string;
  readonly sure: boolean;
  readonly culprit: Culprit;
  readonly lines: readonly EvidenceLine[];
  readonly remedies: readonly Remedy[];
}

/** Why nothing that is asked leaves this host, or no answer gets in: for what is decided in the sender's own namespace. */
export function whyHere(evidence: Evidence, netns: Netns, hop: NextHop): Why | 'pending' | undefined {
  return filteredHere(evidence, netns, hop) ?? nowhere(evidence, netns, hop) ?? carrierFiltered(evidence, netns, hop);
}

/** Why the neighbour stays silent; undefined while answers are missing that will come. */
export function whyThere(evidence: Evidence, symptom: Symptom, hop: NextHop, reached: { readonly netns: Netns; readonly device: string } | undefined, obstacle: string | undefined): Why | undefined {
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
