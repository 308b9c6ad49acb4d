import { conntrackTable, hookText, ruleDidIt, suspicionOf, sysctlOf } from '../../evidence/conntrack/index.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { blind, whatHappened } from './words.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  const s = suspicionOf(symptom, evidence);
  if (s === undefined) return NOT_APPLICABLE;
  if (s.stage === 'track') return NOT_APPLICABLE;
  if (s.unconfirmed === false) return NOT_APPLICABLE;
  if (isUnavailable(s.losses)) return s.drop === undefined ? NOT_APPLICABLE : (blind({ ...s, losses: s.losses }) ?? ruledOut('its counter (chainlength in /proc/net/stat/nf_conntrack) could not be compared'));
  if (s.losses.chainTooLong === 0) return ruledOut('chainlength in /proc/net/stat/nf_conntrack did not move');
  if (ruleDidIt(s) !== undefined) return ruledOut('a rule fits the packet');
  const buckets = sysctlOf(evidence, evidence.host.home, 'nf_conntrack_buckets');
  const count = sysctlOf(evidence, s.netns, 'nf_conntrack_count');
  const table = conntrackTable(evidence, s.netns);
  const top = isUnavailable(table) ? undefined : mostAlike(table.entries.map((e) => e.original.destination));
  const wish = Math.max(65_536, (buckets ?? 16_384) * 4);
  const clash = s.losses.clash + s.losses.dropOnly;
  return {
    outcome: 'found', confidence: clash === 0 ? 0.95 : 0.8, severity: 'critical', identity: 'nf_conntrack_buckets',
    explanation: `${whatHappened(s, evidence)} The hash chain that its new entry belongs to was too long (the kernel allows some 50 to 80 entries in one), so it was not inserted; conntrack counted ${s.losses.chainTooLong} of these. ${netnsText(evidence, s.netns).replace(/^./, (c) => c.toUpperCase())} holds ${count ?? 'an unknown number of'} entries and the host's table has ${buckets ?? 'an unknown number of'} buckets, which is ${buckets !== undefined && count !== undefined && count > buckets * 4 ? 'too few' : 'enough on average, so many entries share one bucket: usually connections alike but for one field'}.`,
    culprit: { kind: 'sysctl', text: `net.netfilter.nf_conntrack_buckets = ${buckets ?? '?'} with ${count ?? '?'} entries`, sysctl: 'net.netfilter.nf_conntrack_buckets', value: buckets, count },
    ...(hookText(s) === undefined ? {} : { hook: hookText(s)! }),
    evidence: [...s.lines, { source: 'sysctl', text: `nf_conntrack_buckets = ${buckets ?? '?'}, nf_conntrack_count = ${count ?? '?'}` }, ...(top === undefined ? [] : [{ source: 'conntrack table', text: `${top.count} entries go to ${top.value}` }])],
    remedies: [
      { text: `Give the table more buckets (host-wide, set in the first namespace; 8 bytes each).`, command: `sysctl -w net.netfilter.nf_conntrack_buckets=${wish}`, ...(buckets === undefined ? {} : { undo: `sysctl -w net.netfilter.nf_conntrack_buckets=${buckets}` }), risk: 'low' },
      { text: 'Let idle entries go sooner, or exempt the traffic that makes so many of them (NOTRACK).', risk: 'medium' },
    ],
  };
}

function mostAlike(values: readonly string[]): { value: string; count: number } | undefined {
  const counts = new Map<string, number>();
  for (const v of values) counts.set(v, (counts.get(v) ?? 0) + 1);
  let best: { value: string; count: number } | undefined;
  for (const [value, count] of counts) if (best === undefined || count > best.count) best = { value, count };
  return best;
}

export const cause: Cause = {
  id: 'conntrack.chain-too-long',
  title: 'a hash chain of the connection table was too long',
  needs: ['proc', 'conntrack-stats', 'sysctl', 'conntrack-table', 'nft', 'iptables', 'ip6tables', 'iptables-legacy', 'ip6tables-legacy', 'link', 'ipset', 'route-get', 'address', 'ebtables', 'arptables', 'process', 'socket-owner'],
  knowledge: {
    what: 'The connection table is a hash table shared by all namespaces. An entry whose chain has grown beyond a limit (randomly between some 50 and 80) is not inserted, and the packet that began the connection is dropped. It means that there are far too few buckets, or that somebody makes connections that fall into one bucket.',
    signs: ['chainlength in /proc/net/stat/nf_conntrack (chaintoolong of conntrack -S) grows, together with insert_failed', 'NETFILTER_DROP at nf_hook_slow at POSTROUTING or INPUT', 'EPERM for a local sender'],
    fixes: ['sysctl -w net.netfilter.nf_conntrack_buckets=N in the first namespace', 'shorter timeouts', 'NOTRACK'],
    functions: ['nf_hook_slow', '__nf_conntrack_confirm', 'nf_nat_setup_info'],
    reasons: ['NETFILTER_DROP'],
    errnos: ['EPERM'],
    versions: ['5.15: the limit was introduced; the column delete_list became chainlength'],
    sources: ['net/netfilter/nf_conntrack_core.c'],
  },
  judge,
};
