import { askAgain, carries, nextHopOf, unresolved } from '../../evidence/network/nexthop.ts';
import { sysctlNumber } from '../../evidence/network/sysctl.ts';
import { walkWire } from '../../evidence/network/wire.ts';
import { symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';
import { whyHere, whyThere } from './silence.ts';

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
  const here = whyHere(evidence, symptom.netns, hop);
  if (here === 'pending') return cannotTell('the rules are still being looked at', 'their listing');
  const verdict = here ?? whyThere(evidence, symptom, hop, wire.reached, wire.obstacle?.text);
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
