import { neighbours } from '../../evidence/network/read.ts';
import { sysctlNumber, sysctlSet } from '../../evidence/network/sysctl.ts';
import { symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'neigh.table-overflow',
  title: 'the neighbour table is full',
  needs: ['sysctl', 'neighbour'],
  knowledge: {
    what: 'Every host on the link needs an entry in the neighbour table. When it holds gc_thresh3 entries and none can be thrown out, packets to new neighbours are dropped. The limit is one for the whole host; entries of all namespaces count.',
    signs: ['NEIGH_CREATEFAIL at ip_finish_output2 or ip6_finish_output2', 'ENOBUFS (IPv4) or EINVAL (IPv6) at the sender', '"neighbour: arp_cache: neighbor table overflow!" in the kernel log', 'table_fulls in /proc/net/stat/arp_cache rises'],
    fixes: ['`sysctl -w net.ipv4.neigh.default.gc_thresh3=8192` (and gc_thresh2) in the host\'s own namespace', 'Smaller subnets, or no scan through them'],
    functions: ['neigh_alloc', 'neigh_forced_gc', '___neigh_create', 'ip_finish_output2', 'ip6_finish_output2'],
    reasons: ['NEIGH_CREATEFAIL'],
    errnos: ['ENOBUFS', 'EINVAL'],
    versions: ['NEIGH_CREATEFAIL exists since 5.18', 'Permanent entries do not count since 5.0'],
    sources: ['net/core/neighbour.c', 'arp(7)'],
  },
  judge: (symptom, evidence) => {
    const drop = symptom.kind === 'drop' && (symptom.drop.reason.name === 'NEIGH_CREATEFAIL' || (symptom.drop.reason.name === 'NOT_SPECIFIED' && /^(ip6?_finish_output2|neigh_create)$/.test(symbolOf(symptom.drop))));
    if (!drop) return NOT_APPLICABLE;
    const six = symptom.drop.packet.ip?.version === 6;
    const family = six ? 'ipv6' : 'ipv4';
    const home = evidence.host.home;
    const limit = sysctlNumber(evidence, home, `net/${family}/neigh/default/gc_thresh3`);
    const second = sysctlNumber(evidence, home, `net/${family}/neigh/default/gc_thresh2`);
    const near = neighbours(evidence, symptom.netns);
    if (isUnavailable(limit)) return cannotTell(unavailableText(limit), `net.${family}.neigh.default.gc_thresh3`);
    const count = isUnavailable(near) ? undefined : near.filter((n) => (n.family === 6) === six && !n.states.includes('PERMANENT') && !n.proxy).length;
    if (symptom.drop.reason.name !== 'NEIGH_CREATEFAIL' && (count === undefined || count < limit / 2)) return ruledOut(`the neighbour table holds ${count ?? '?'} entries of ${limit}`);
    const wanted = Math.max(limit * 4, 8192);
    const key3 = `net.${family}.neigh.default.gc_thresh3`, key2 = `net.${family}.neigh.default.gc_thresh2`;
    const two = isUnavailable(second) ? undefined : second;
    return {
      outcome: 'found',
      confidence: symptom.drop.reason.name === 'NEIGH_CREATEFAIL' ? 0.96 : 0.8,
      severity: 'critical',
      identity: `gc_thresh3|${family}`,
      explanation: `The ${six ? 'IPv6 neighbour' : 'ARP'} table is full: it may hold ${limit} entries (gc_thresh3) on the whole host${count === undefined ? '' : `, and ${netnsText(evidence, symptom.netns)} alone has ${count}`}. Packets to hosts without an entry are dropped, here to ${symptom.drop.packet.ip?.destination ?? 'a neighbour'}. Hosts that have an entry can still be reached.`,
      culprit: { kind: 'sysctl', text: `${key3} = ${limit} (neighbour table full)`, name: key3, value: limit, effective: limit, entries: count },
      evidence: [symptomLine(evidence, symptom), { source: 'sysctl', text: `${key3} = ${limit}${two === undefined ? '' : `, ${key2} = ${two}`}` }, ...(count === undefined ? [] : [{ source: 'ip neigh', text: `${count} ${family} entries in ${netnsText(evidence, symptom.netns)}` }])],
      remedies: [{ text: 'Let the table hold more entries; about 400 bytes of kernel memory each.', command: sysctlSet(evidence, home, two === undefined ? [[key3, wanted]] : [[key2, wanted / 2], [key3, wanted]]), undo: sysctlSet(evidence, home, two === undefined ? [[key3, limit]] : [[key3, limit], [key2, two]]), risk: 'low' }],
    };
  },
};
