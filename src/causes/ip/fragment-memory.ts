import { procLines } from '../../evidence/network/read.ts';
import { sysctlNumber, sysctlSet } from '../../evidence/network/sysctl.ts';
import { dropLine, symbolOf } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const PLACES4 = /^(ip_defrag|ip_frag_queue|ip_local_deliver|nf_ct_ipv4_gather_frags|ipv4_conntrack_defrag)$/;
const PLACES6 = /^(ipv6_frag_rcv|ip6_frag_queue|nf_ct_frag6_gather|nf_ct_frag6_queue|ipv6_defrag)$/;
const USUAL = 4194304; // IPFRAG high threshold, 4 MiB

export const cause: Cause = {
  id: 'ip.fragment-memory',
  title: 'the memory for putting fragments together is used up',
  needs: ['sysctl', 'proc'],
  knowledge: {
    what: 'Fragments wait in memory until their packet is whole. When they hold more than ipfrag_high_thresh bytes in the namespace, no new packet is begun and its fragments are dropped at once. A limit set too low, or many packets whose fragments never all arrive, bring it about.',
    signs: ['NOT_SPECIFIED at ip_defrag (IPv4) or ipv6_frag_rcv (IPv6)', 'Ip ReasmFails in /proc/net/snmp rises without ReasmTimeout', 'FRAG memory in /proc/net/sockstat near the limit'],
    fixes: ['`sysctl -w net.ipv4.ipfrag_high_thresh=4194304` (the default)', 'Send packets that need no fragments'],
    functions: ['ip_defrag', 'inet_frag_find', 'inet_frag_create', 'ipv6_frag_rcv', 'nf_ct_frag6_gather'],
    reasons: ['NOT_SPECIFIED'],
    errnos: [],
    versions: ['No reason of its own up to 6.18', 'Since 4.17 there is no eviction: the limit simply refuses new packets'],
    sources: ['net/ipv4/inet_fragment.c', 'net/ipv4/ip_fragment.c', 'Documentation/networking/ip-sysctl.rst'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop' || symptom.drop.reason.name !== 'NOT_SPECIFIED') return NOT_APPLICABLE;
    const { drop } = symptom;
    const place = symbolOf(drop);
    const four = PLACES4.test(place), six = PLACES6.test(place);
    if (!four && !six) return NOT_APPLICABLE;
    const key = four ? 'net.ipv4.ipfrag_high_thresh' : place.startsWith('nf_ct') ? 'net.netfilter.nf_conntrack_frag6_high_thresh' : 'net.ipv6.ip6frag_high_thresh';
    const limit = sysctlNumber(evidence, drop.netns, key.replaceAll('.', '/'));
    const stat = procLines(evidence, drop.netns, four ? 'net/sockstat' : 'net/sockstat6');
    if (isUnavailable(limit)) return cannotTell(unavailableText(limit), key);
    if (isUnavailable(stat) && stat.unavailable === 'pending') return cannotTell(unavailableText(stat), '/proc/net/sockstat');
    const line = isUnavailable(stat) ? undefined : stat.find((l) => /^FRAG6?:/.test(l));
    const used = line === undefined ? undefined : Number(/memory (\d+)/.exec(line)?.[1] ?? NaN);
    const small = limit < USUAL;
    const full = used !== undefined && used > limit * 0.5;
    if (!small && !full) return ruledOut(`fragments hold ${used ?? '?'} of ${limit} bytes`);
    const wanted = small ? USUAL : limit * 4;
    const where = netnsText(evidence, drop.netns);
    const { ip } = drop.packet;
    return {
      outcome: 'found',
      confidence: small ? 0.95 : 0.92,
      severity: 'warning',
      identity: key,
      explanation: `Fragments${ip === undefined ? '' : ` from ${ip.source} to ${ip.destination}`} were dropped on arrival in ${where}: the memory for waiting fragments is used up. The limit is ${limit} bytes (${key})${small ? `, the usual one is ${USUAL}` : ''}${used === undefined ? '' : `; now ${used} are in use`}. ${small ? 'A packet of that size cannot be put together any more.' : 'Packets whose fragments never all arrive fill it.'}`,
      culprit: { kind: 'sysctl', text: `${key} = ${limit}`, name: key, value: limit, effective: limit },
      evidence: [dropLine(evidence, drop), { source: 'sysctl', text: `${key} = ${limit}` }, ...(line === undefined ? [] : [{ source: `/proc/net/sockstat${four ? '' : '6'}`, text: line }])],
      remedies: [{ text: `Allow ${wanted} bytes for waiting fragments.`, command: sysctlSet(evidence, drop.netns, [[key, wanted]]), undo: sysctlSet(evidence, drop.netns, [[key, limit]]), risk: 'low' }],
    };
  },
};
