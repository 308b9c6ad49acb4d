import { nextHopOf } from '../../evidence/network/nexthop.ts';
import { sysctlNumber, sysctlSet } from '../../evidence/network/sysctl.ts';
import { dropLine } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const DEFAULT = 212992; // SK_WMEM_MAX, the kernel's own default of unres_qlen_bytes

export const cause: Cause = {
  id: 'neigh.queue-full',
  title: 'the queue of packets that wait for a neighbour overflowed',
  needs: ['sysctl', 'neighbour', 'route', 'route6', 'rule', 'rule6', 'link'],
  knowledge: {
    what: 'While a neighbour\'s MAC is being asked for, packets to it wait in a queue of its own. When they are more than unres_qlen_bytes, the oldest are dropped. A short queue, a slow answer or a large burst to a host that was silent for a while bring it about.',
    signs: ['NEIGH_QUEUEFULL at __neigh_event_send', 'unres_discards in /proc/net/stat/arp_cache rises', 'The first packets of a burst are lost, later ones pass'],
    fixes: ['`sysctl -w net.ipv4.neigh.IFACE.unres_qlen_bytes=212992` (the default)', 'Find out why the neighbour answers late: proxy_delay, a busy host', 'A permanent neighbour entry avoids the wait'],
    functions: ['__neigh_event_send', 'neigh_resolve_output'],
    reasons: ['NEIGH_QUEUEFULL'],
    errnos: [],
    versions: ['NEIGH_QUEUEFULL exists since 5.18', 'The default was 65,536 bytes before 4.15'],
    sources: ['net/core/neighbour.c', 'Documentation/networking/ip-sysctl.rst'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop' || symptom.drop.reason.name !== 'NEIGH_QUEUEFULL') return NOT_APPLICABLE;
    const hop = nextHopOf(evidence, symptom);
    if (hop === undefined) return NOT_APPLICABLE;
    if (isUnavailable(hop)) return cannotTell(unavailableText(hop), 'the routes and the neighbour table');
    const family = hop.address.includes(':') ? 'ipv6' : 'ipv4';
    const path = `net/${family}/neigh/${hop.device}/unres_qlen_bytes`;
    const size = sysctlNumber(evidence, symptom.netns, path);
    if (isUnavailable(size)) return cannotTell(unavailableText(size), path);
    const failed = hop.entry?.states.includes('FAILED') === true;
    if (failed && size >= 65536) return ruledOut(`${hop.address} never answers; a longer queue would not help`);
    const key = hop.device.includes('.') ? path : `net.${family}.neigh.${hop.device}.unres_qlen_bytes`;
    const wanted = size < DEFAULT ? DEFAULT : size * 8;
    const where = netnsText(evidence, symptom.netns);
    return {
      outcome: 'found',
      confidence: size < DEFAULT ? 0.97 : 0.9,
      severity: 'warning',
      identity: `unres_qlen|${hop.device}`,
      explanation: `Packets for ${hop.destination} waited on ${hop.device} in ${where} for the neighbour ${hop.address} to answer, and their queue overflowed. It holds ${size} bytes (unres_qlen_bytes)${size < DEFAULT ? `, less than the kernel's default of ${DEFAULT}` : ''}. Those that found it full pushed older ones out.`,
      culprit: { kind: 'sysctl', text: `${key} = ${size} (unres_qlen_bytes, queue for ${hop.address})`, name: key, value: size, effective: size, interface: hop.device, ip: hop.address },
      evidence: [dropLine(evidence, symptom.drop), { source: 'sysctl', text: `${key} = ${size}` }, { source: 'ip neigh', text: `${hop.address} dev ${hop.device} ${hop.entry?.states.join(',') ?? 'no entry'}` }],
      remedies: [{ text: `Let more packets wait for a neighbour on ${hop.device}.`, command: sysctlSet(evidence, symptom.netns, [[key, wanted]]), undo: sysctlSet(evidence, symptom.netns, [[key, size]]), risk: 'low' }],
    };
  },
};
