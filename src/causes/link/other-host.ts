import { findOwnerOfAddress, findOwnerOfMac, namespaces } from '../../evidence/network/hosts.ts';
import { addresses, linkNamed, neighbours } from '../../evidence/network/read.ts';
import { isLocalAddress } from '../../evidence/network/routing.ts';
import { dropLine, isMulticastMac, symbolOf } from '../../evidence/network/words.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { matchesPrefix } from '../../base/inet.ts';
import { shellQuote } from '../../base/text.ts';
import type { Netns } from '../../base/brand.ts';
import type { Cause } from '../../model/cause.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Neighbour } from '../../model/network.ts';
import { isUnavailable, unavailableText, type Maybe } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'link.other-host',
  title: 'the frame is addressed to another MAC',
  needs: ['link', 'address', 'neighbour', 'route', 'route6'],
  knowledge: {
    what: 'The frame reached this host, but its destination MAC is another one\'s, so IP drops it. When the IP address inside is this host\'s own, the sender has a wrong neighbour entry: a permanent one that is out of date, or one that somebody else answered for. When it is not, a switch or bridge flooded the frame to everyone, which is normal.',
    signs: ['OTHERHOST at ip_rcv_core or ip6_rcv_core', 'rx counters of the interface rise while no protocol counter does', 'tcpdump here shows the packets'],
    fixes: ['At the sender: `ip neigh show ADDRESS`, compare with `ip link` here', '`ip neigh del ADDRESS dev DEV` there, so that it asks again', 'Look for a second host with the same address'],
    functions: ['eth_type_trans', 'ip_rcv_core', 'ip6_rcv_core'],
    reasons: ['OTHERHOST'],
    errnos: [],
    versions: ['OTHERHOST exists since 5.18'],
    sources: ['net/ethernet/eth.c', 'net/ipv4/ip_input.c', 'ip-neighbour(8)'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'drop' ? judge(symptom.drop, evidence) : NOT_APPLICABLE),
};

function judge(drop: DropEvent, evidence: Evidence): Finding {
  if (drop.reason.name === 'IP_INADDRERRORS' && symbolOf(drop) === 'ip_error') return misdirected(drop, evidence);
  if (drop.reason.name !== 'OTHERHOST' && !(/^(ip_rcv_core|ip6_rcv_core|ip_rcv|ipv6_rcv)$/.test(symbolOf(drop)) && drop.reason.name === 'NOT_SPECIFIED')) return NOT_APPLICABLE;
  const { ethernet, ip } = drop.packet;
  const device = linkNamed(evidence, drop.netns, drop.interface);
  if (ip === undefined) return NOT_APPLICABLE;
  const local = isLocalAddress(evidence, drop.netns, ip.destination);
  const own = addresses(evidence, drop.netns);
  const mac = ethernet?.destination;
  const from = ethernet?.source;
  const owner = from === undefined ? undefined : findOwnerOfMac(evidence, drop.netns, from);
  if (isUnavailable(device) && device.unavailable === 'pending') return cannotTell(unavailableText(device), 'the interface');
  if (isUnavailable(local)) return cannotTell(unavailableText(local), 'the local addresses');
  const myMac = isUnavailable(device) ? undefined : device.address;
  if (drop.reason.name !== 'OTHERHOST' && (mac === undefined || isMulticastMac(mac) || mac === myMac)) return NOT_APPLICABLE;
  if (mac !== undefined && mac === myMac) return ruledOut(`the frame's destination ${mac} is that of ${drop.interface}`);
  if (owner !== undefined && isUnavailable(owner) && owner.unavailable === 'pending') return cannotTell(unavailableText(owner), 'the other namespaces');
  const holder = mac === undefined ? undefined : entryFor(evidence, drop.netns, owner === undefined || isUnavailable(owner) ? undefined : owner.netns, mac, new Set(isUnavailable(own) ? [] : own.map((a) => a.address)), ip.destination);
  if (holder !== undefined && isUnavailable(holder)) return cannotTell(unavailableText(holder), 'the neighbour tables of the other namespaces');
  const where = netnsText(evidence, drop.netns);
  if (!local.local && holder === undefined) {
    return {
      outcome: 'found', confidence: 0.9, severity: 'info', identity: `flooded|${drop.interface ?? ''}`,
      explanation: `Frames for ${mac ?? 'another MAC'} reached ${drop.interface ?? 'an interface'} in ${where}, and neither their MAC nor the address ${ip.destination} in them is its own. A bridge or switch floods frames whose port it does not know. Dropping them is right.`,
      culprit: { kind: 'interface', text: `${drop.interface ?? '?'} hears frames for ${mac ?? 'others'}`, interface: drop.interface, mac },
      evidence: [dropLine(evidence, drop), { source: 'ip address', text: `${ip.destination} is not an address of ${where}` }],
      remedies: [{ text: 'Nothing need be done.', risk: 'low' }],
    };
  }
  const lines = [
    { ...dropLine(evidence, drop), text: `${dropLine(evidence, drop).text}, frame from ${from ?? '?'} to ${mac ?? '?'}` },
    ...(myMac === undefined ? [] : [{ source: 'ip link', text: `${drop.interface} has MAC ${myMac}` }]),
  ];
  if (holder === undefined) {
    return {
      outcome: 'found', confidence: 0.88, severity: 'warning', identity: `mac|${mac ?? ''}|${ip.destination}`,
      explanation: `Packets from ${ip.source} to ${ip.destination} reached ${drop.interface ?? 'the interface'} in ${where} in frames addressed to ${mac ?? 'another MAC'}, but its MAC is ${myMac ?? 'another'}. IP drops frames for others. The sender, MAC ${from ?? '?'}, has a wrong neighbour entry for ${ip.destination}.`,
      culprit: { kind: 'neighbour', text: `neighbour entry of ${ip.source} (MAC ${from ?? '?'}): ${ip.destination} lladdr ${mac ?? '?'}`, ip: ip.destination, mac },
      evidence: lines,
      remedies: [{ text: `At the sender ${ip.source}: delete its entry, so that it asks again: \`ip neigh del ${ip.destination} dev DEVICE\`.`, risk: 'low' }],
    };
  }
  const { netns, entry } = holder;
  const at = netnsText(evidence, netns);
  const permanent = entry.states.includes('PERMANENT') || entry.states.includes('NOARP');
  const six = entry.family === 6 ? '-6 ' : '';
  return {
    outcome: 'found',
    confidence: 0.98,
    severity: 'warning',
    identity: `${netns}|${entry.address}|${entry.mac ?? ''}`,
    explanation: `Packets from ${ip.source} to ${ip.destination} reached ${drop.interface ?? 'the interface'} in ${where} in frames addressed to ${mac}, but its MAC is ${myMac ?? 'another'}, so IP dropped them. The sender in ${at} has the ${permanent ? 'permanent ' : ''}neighbour entry ${entry.address} lladdr ${entry.mac ?? '?'} on ${entry.device}. ${permanent ? 'A permanent entry is never checked: it has outlived the card it was made for.' : 'Somebody else answered for that address, or its MAC has changed since.'}`,
    culprit: { kind: 'neighbour', text: `neighbour ${entry.address} lladdr ${entry.mac ?? '?'} dev ${entry.device} ${entry.states.join(',')} in ${at}`, ip: entry.address, mac: entry.mac, dev: entry.device, state: entry.states[0], netns: evidence.host.netnsNames.get(netns) ?? netns },
    evidence: [...lines, { source: `ip neigh in ${at}`, text: `${entry.address} dev ${entry.device} lladdr ${entry.mac ?? '?'} ${entry.states.join(',')}` }],
    remedies: [{ text: `Delete the wrong entry; ${at} then asks for the MAC again.`, command: iproute(evidence, netns, 'ip', `${six}neigh del ${entry.address} dev ${shellQuote(entry.device)}`), undo: iproute(evidence, netns, 'ip', `${six}neigh replace ${entry.address} lladdr ${entry.mac ?? ''} dev ${shellQuote(entry.device)}${permanent ? ' nud permanent' : ''}`), risk: 'low' }],
  };
}

/** The frame is for this MAC, the packet for a neighbour on the same link: the sender's entry for that neighbour has our MAC. */
function misdirected(drop: DropEvent, evidence: Evidence): Finding {
  const { ethernet, ip } = drop.packet;
  const own = addresses(evidence, drop.netns);
  if (ethernet === undefined || ip === undefined || drop.interface === undefined) return NOT_APPLICABLE;
  if (isUnavailable(own)) return cannotTell(unavailableText(own), 'the addresses');
  const local = isLocalAddress(evidence, drop.netns, ip.destination);
  if (isUnavailable(local) ? local.unavailable === 'pending' : false) return cannotTell('the local addresses are still being read', 'the local routing table');
  if (!isUnavailable(local) && local.local) return ruledOut(`${ip.destination} is an address of ${netnsText(evidence, drop.netns)} itself`);
  if (!own.some((a) => a.device === drop.interface && a.scope === 'global' && matchesPrefix(ip.destination, `${a.address}/${a.prefixLength}`))) return NOT_APPLICABLE;
  const owner = findOwnerOfMac(evidence, drop.netns, ethernet.source);
  if (owner === undefined) return NOT_APPLICABLE;
  if (isUnavailable(owner)) return cannotTell(unavailableText(owner), 'the other namespaces');
  const table = neighbours(evidence, owner.netns);
  if (isUnavailable(table)) return cannotTell(unavailableText(table), 'the neighbour table of the sender');
  const entry = table.find((n) => n.address === ip.destination && n.mac === ethernet.destination);
  if (entry === undefined) return NOT_APPLICABLE;
  const at = netnsText(evidence, owner.netns);
  const where = netnsText(evidence, drop.netns);
  const permanent = entry.states.includes('PERMANENT');
  // an entry that was learned says that this host has answered for the address: it had it then, and nobody else has it now
  const elsewhere = permanent ? undefined : findOwnerOfAddress(evidence, drop.netns, ip.destination);
  if (elsewhere !== undefined && isUnavailable(elsewhere) && elsewhere.unavailable === 'pending') return cannotTell(unavailableText(elsewhere), 'the addresses of the other namespaces');
  if (!permanent && elsewhere === undefined) return ruledOut(`nobody else has ${ip.destination}, and the entry of the sender was learned here`);
  return {
    outcome: 'found', confidence: 0.98, severity: 'warning', identity: `${owner.netns}|${entry.address}|${entry.mac ?? ''}`,
    explanation: `Packets from ${ip.source} to ${ip.destination} reached ${drop.interface} in ${where}, which does not have that address and does not forward. Their frames were addressed to its MAC ${ethernet.destination}, for the sender in ${at} has the ${permanent ? 'permanent ' : ''}neighbour entry ${entry.address} lladdr ${entry.mac} on ${entry.device}. That MAC is not the one of ${ip.destination}.`,
    culprit: { kind: 'neighbour', text: `neighbour ${entry.address} lladdr ${entry.mac} dev ${entry.device} ${entry.states.join(',')} in ${at}`, ip: entry.address, mac: entry.mac, dev: entry.device, state: entry.states[0], netns: evidence.host.netnsNames.get(owner.netns) ?? owner.netns },
    evidence: [dropLine(evidence, drop), { source: `ip neigh in ${at}`, text: `${entry.address} dev ${entry.device} lladdr ${entry.mac} ${entry.states.join(',')}` }],
    remedies: [{ text: `Delete the wrong entry; ${at} then asks for the MAC again.`, command: iproute(evidence, owner.netns, 'ip', `${entry.family === 6 ? '-6 ' : ''}neigh del ${entry.address} dev ${shellQuote(entry.device)}`), undo: iproute(evidence, owner.netns, 'ip', `neigh replace ${entry.address} lladdr ${entry.mac} dev ${shellQuote(entry.device)}${permanent ? ' nud permanent' : ''}`), risk: 'low' }],
  };
}

/** The neighbour entry with that MAC for one of our addresses, or for the packet's destination: at the sender first. */
function entryFor(evidence: Evidence, near: Netns, sender: Netns | undefined, mac: string, own: ReadonlySet<string>, destination: string): Maybe<{ netns: Netns; entry: Neighbour }> | undefined {
  const list = sender === undefined ? namespaces(evidence, near).filter((n) => n !== near) : [sender];
  let pending: Maybe<never> | undefined;
  let best: { netns: Netns; entry: Neighbour } | undefined;
  for (const netns of list) {
    const near = neighbours(evidence, netns);
    if (isUnavailable(near)) {
      if (near.unavailable === 'pending') pending = near;
      continue;
    }
    const entry = near.find((n) => n.mac === mac && (own.has(n.address) || n.address === destination));
    if (entry !== undefined) best ??= { netns, entry };
  }
  return pending ?? best;
}
