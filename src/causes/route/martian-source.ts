import { findOwnerOfMac } from '../../evidence/network/hosts.ts';
import { incomingDevice } from '../../evidence/network/packet.ts';
import { routes } from '../../evidence/network/read.ts';
import { isLocalAddress } from '../../evidence/network/routing.ts';
import { ipv4Conf, sysctlSet } from '../../evidence/network/sysctl.ts';
import { dropLine, isMulticastAddress, symbolOf } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const REASONS = new Set(['IP_LOCAL_SOURCE', 'IP_INVALID_SOURCE', 'IP_LOCALNET']);

export const cause: Cause = {
  id: 'route.martian-source',
  title: 'the source address cannot come from there',
  needs: ['sysctl', 'route', 'route6', 'link'],
  knowledge: {
    what: 'The packet claims a source address that cannot arrive on this interface: one of this host itself, a loopback, multicast, broadcast or zero address. The kernel calls it a martian and drops it. An address that two hosts share is the usual reason; packets that a rewriting rule sends back to their sender are another.',
    signs: ['IP_LOCAL_SOURCE, IP_INVALID_SOURCE or IP_LOCALNET at ip_rcv_finish_core (newer kernels)', 'NOT_SPECIFIED at ip_rcv_finish_core before', '"martian source" in the kernel log when log_martians is on', 'InMartianSrc in rt_cache statistics'],
    fixes: ['Find who else has the address and give it another one', 'Where it is meant to be so: accept_local=1 on the interface (own addresses), route_localnet=1 (127.0.0.0/8)'],
    functions: ['__fib_validate_source', 'ip_route_input_slow', 'ip_handle_martian_source', 'ip_rcv_finish_core'],
    reasons: ['IP_LOCAL_SOURCE', 'IP_INVALID_SOURCE', 'IP_LOCALNET'],
    errnos: [],
    versions: ['Linux 6.18 has the reasons; 6.12 and older show NOT_SPECIFIED at ip_rcv_finish_core'],
    sources: ['net/ipv4/fib_frontend.c', 'net/ipv4/route.c', 'RFC 1812 section 5.3.7'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'drop' ? judge(symptom.drop, evidence) : NOT_APPLICABLE),
};

function judge(drop: DropEvent, evidence: Evidence): Finding {
  const { ip } = drop.packet;
  const symbol = symbolOf(drop);
  const six = symbol === 'ip6_forward' || symbol === 'ip6_rcv_core';
  if (ip === undefined || !(REASONS.has(drop.reason.name) || (drop.reason.name === 'NOT_SPECIFIED' && symbol === 'ip_rcv_finish_core') || (six && drop.reason.name === 'IPV6_INVALID_SOURCE') || symbol === 'ip6_forward')) return NOT_APPLICABLE;
  const source = ip.source;
  const kind = impossible(source) ?? (symbol === 'ip6_forward' ? unforwarded(source) : undefined);
  if (kind === undefined && symbol === 'ip6_forward') return NOT_APPLICABLE;
  if (kind === undefined && drop.reason.name === 'IP_LOCALNET') return NOT_APPLICABLE; // the destination is the loopback one
  const found = incomingDevice(evidence, drop) ?? drop.interface;
  const local = isLocalAddress(evidence, drop.netns, source);
  if (found !== undefined && isUnavailable(found)) return cannotTell(unavailableText(found), 'the interfaces');
  const device = found ?? '?';
  if (kind === undefined) {
    if (isUnavailable(local)) return cannotTell(unavailableText(local), 'the local routing table');
    if (!local.local) {
      if (!isBroadcast(evidence, drop, source)) return ruledOut(`${source} is neither an address of this host nor an impossible one`);
    }
  }
  const name = kind === 'loopback' ? 'route_localnet' : 'accept_local';
  const conf = kind === 'loopback' || (kind === undefined && !isUnavailable(local) && local.local) ? ipv4Conf(evidence, drop.netns, name, device) : undefined;
  const mac = drop.packet.ethernet?.source;
  const owner = mac === undefined ? undefined : findOwnerOfMac(evidence, drop.netns, mac);
  if (owner !== undefined && isUnavailable(owner) && owner.unavailable === 'pending') return cannotTell(unavailableText(owner), 'the other namespaces');
  if (conf !== undefined && !isUnavailable(conf) && conf.effective !== 0 && !REASONS.has(drop.reason.name)) return ruledOut(`${name} is on for ${device}`);
  const where = netnsText(evidence, drop.netns);
  const sender = owner === undefined || isUnavailable(owner) ? (mac === undefined ? 'an unknown host' : `the host with MAC ${mac}`) : `${owner.link.name} in ${netnsText(evidence, owner.netns)} (${mac})`;
  const why = kind === 'loopback' ? 'a loopback address, which only this host itself may use' : kind === LINK_LOCAL ? `${kind}, which is good on one link only and never forwarded` : kind !== undefined ? `${kind}, which no host can have` : `an address of ${where} itself${!isUnavailable(local) && local.device !== undefined ? ` (on ${local.device})` : ''}`;
  const remedies: Remedy[] = [];
  if (conf !== undefined && !isUnavailable(conf)) {
    remedies.push({ text: kind === 'loopback' ? `Allow loopback addresses on ${device}: only where the network behind it is trusted.` : `Accept packets on ${device} whose source is an address of this host. Answers still go to this host itself.`, command: sysctlSet(evidence, drop.netns, [[conf.key, 1]]), undo: sysctlSet(evidence, drop.netns, [[conf.key, conf.device]]), risk: kind === 'loopback' ? 'high' : 'medium' });
  }
  if (kind === LINK_LOCAL) remedies.push({ text: `Give ${sender} an address of the network, or let the program bind to the one it has: towards another network a link-local source cannot work.`, risk: 'low' });
  else remedies.push({ text: `Find out why ${sender} sends with source ${source}: the same address given twice, or a rule there that rewrites the source.`, risk: 'low' });
  return {
    outcome: 'found',
    confidence: REASONS.has(drop.reason.name) ? 0.96 : 0.85,
    severity: 'warning',
    identity: `martian source|${source}|${device}`,
    explanation: `Packets from ${source} to ${ip.destination} came in on ${device} in ${where} and were dropped as martians. ${source} is ${why}${kind === LINK_LOCAL ? '' : ', so it cannot be the source of a packet from the wire'}. They were sent by ${sender}.`,
    culprit: { kind: 'peer', text: `source address ${source} on packets that come in on ${device}, sent by ${sender}`, address: source, interface: device, mac },
    evidence: [
      dropLine(evidence, drop),
      { source: 'ip route show table local', text: kind === undefined ? `${source} is local` : `${source} is ${why}` },
      ...(conf === undefined || isUnavailable(conf) ? [] : [{ source: 'sysctl', text: `${conf.key} = ${conf.device}, ${conf.allKey} = ${conf.all}` }]),
    ],
    remedies,
  };
}

const LINK_LOCAL = 'a link-local address';

/** What no router passes on though it is fine on its own link (ip6_forward). */
const unforwarded = (source: string): string | undefined => (/^fe[89ab]/i.test(source) ? LINK_LOCAL : source === '::' ? 'the unspecified address' : undefined);

/** The source is the broadcast address of a subnet here. */
function isBroadcast(evidence: Evidence, drop: DropEvent, source: string): boolean {
  const all = routes(evidence, drop.netns, 4);
  return !isUnavailable(all) && all.some((r) => r.type === 'broadcast' && r.destination === source);
}

/** What makes an address unfit as a source, for IPv4 (ip_route_input_slow) and IPv6. */
export function impossible(address: string): string | undefined {
  if (address.includes(':')) return isMulticastAddress(address) ? 'a multicast address' : address === '::1' ? 'loopback' : undefined;
  if (address.startsWith('127.')) return 'loopback';
  if (isMulticastAddress(address)) return 'a multicast address';
  if (address === '255.255.255.255') return 'the broadcast address';
  if (address.startsWith('0.')) return 'in 0.0.0.0/8';
  return undefined;
}
