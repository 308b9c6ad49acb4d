import { plural } from '../../base/text.ts';
import { hookText, occupancy, ruleDidIt, suspicionOf, tableFullLines, type Occupancy, type Suspicion } from '../../evidence/conntrack/index.ts';
import { inNetns, netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { EvidenceLine, Remedy } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';
import { whatHappened } from './words.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  const s = suspicionOf(symptom, evidence);
  if (s === undefined) return NOT_APPLICABLE;
  if (s.stage === 'confirm') return ruledOut(`it died at ${hookText(s) ?? 'confirm'}, behind the place where the table's limit is looked at`);
  if (s.unconfirmed !== undefined && s.untracked !== true) return ruledOut('the packet carried a connection entry, so there was room for one');
  const full = occupancy(evidence, s.netns);
  const log = tableFullLines(evidence, s.netns, s.at);
  const said = isUnavailable(log) ? [] : log;
  const counted = isUnavailable(s.losses) ? undefined : s.losses.dropOnly;
  if (isUnavailable(full)) {
    if (full.unavailable === 'missing' || full.unavailable === 'unsupported') return ruledOut('no connections are tracked here');
    return cannotTell(unavailableText(full), 'net.netfilter.nf_conntrack_count and nf_conntrack_max');
  }
  // entries time out within seconds, so a table may have room again when it is looked at
  const atLimit = full.limit > 0 && full.count >= full.limit * 0.95;
  const other = ruleDidIt(s);
  if (other !== undefined && (counted ?? 0) === 0) return ruledOut('a rule fits the packet, and conntrack counted no drop');
  if (!atLimit && said.length === 0) return ruledOut(`the table holds ${full.count} of at most ${full.limit} entries, and the kernel's log does not say that it was full`);
  if (counted === 0) return ruledOut(`the table holds ${full.count} of at most ${full.limit} entries, but conntrack's drop counter did not move`);
  return verdict(s, evidence, full, said, counted, atLimit);
}

function verdict(s: Suspicion, evidence: Evidence, full: Occupancy, said: readonly { text: string }[], counted: number | undefined, atLimit: boolean): Finding {
  const where = netnsText(evidence, s.netns);
  const top = full.sources[0], goal = full.destinations[0];
  const share = (n: number): string => (full.listed === 0 ? '' : `${Math.round((100 * n) / full.listed)} %`);
  const holders = top === undefined ? '' : `; ${share(top.count)} of the ${full.listed < full.count * 0.9 ? `${full.listed} listed` : 'entries'} come from ${top.address}${goal === undefined ? '' : `, ${share(goal.count)} go to ${goal.address}`}`;
  const lines: EvidenceLine[] = [
    ...s.lines,
    { source: 'sysctl', time: evidence.iso(evidence.now), text: `net.netfilter.nf_conntrack_count = ${full.count}, nf_conntrack_max = ${full.limit}` },
    ...said.slice(-1).map((l) => ({ source: 'kernel log', text: l.text })),
    ...(full.listed === 0 ? [] : [{ source: 'conntrack table', text: `most entries by source: ${full.sources.slice(0, 3).map((h) => `${h.address} ${h.count}`).join(', ')}; by destination: ${full.destinations.slice(0, 3).map((h) => `${h.address} ${h.count}`).join(', ')}; ${full.unreplied} of ${full.listed} never saw an answer` }]),
  ];
  return {
    outcome: 'found',
    confidence: (counted ?? 0) > 0 || said.length > 0 ? (atLimit ? 0.98 : 0.92) : s.stage === 'track' ? 0.88 : 0.7,
    severity: 'critical',
    identity: 'nf_conntrack_max',
    explanation: `${whatHappened(s, evidence)} The connection tracking table of ${where} ${atLimit ? 'is' : 'was'} full: ${full.count} of at most ${full.limit} entries (net.netfilter.nf_conntrack_max)${holders}. A packet that begins a new connection gets no entry then and is dropped; connections that have one go on.`,
    culprit: { kind: 'sysctl', text: `net.netfilter.nf_conntrack_max = ${full.limit}, and ${where} holds ${full.count} entries${holders}`, sysctl: 'net.netfilter.nf_conntrack_max', value: full.limit, count: full.count, limit: full.limit, sources: full.sources, destinations: full.destinations },
    ...(hookText(s) === undefined ? {} : { hook: hookText(s)! }),
    evidence: lines,
    remedies: remedies(s, evidence, full),
  };
}

function remedies(s: Suspicion, evidence: Evidence, full: Occupancy): Remedy[] {
  const wish = Math.max(262_144, 2 ** Math.ceil(Math.log2(full.limit * 4)));
  const top = full.sources[0];
  const most = top !== undefined && top.count > full.listed / 2 && full.listed > 20;
  return [
    { text: `Raise the limit (it is one number for the host, set in its first namespace; an entry takes about 320 bytes, so ${wish} take up to ${Math.round((wish * 320) / 1_048_576)} MB).`, command: `sysctl -w net.netfilter.nf_conntrack_max=${wish}`, undo: `sysctl -w net.netfilter.nf_conntrack_max=${full.limit}`, risk: 'low' },
    ...(most ? [{ text: `Or free what ${top.address} holds (${plural(top.count, 'entry', 'entries')} of those listed), and look at what it does: its connections that are alive get new entries.`, command: inNetns(evidence, s.netns, `conntrack -D -s ${top.address}`), risk: 'medium' } as const] : []),
    { text: 'Let entries go sooner that need not stay (net.netfilter.nf_conntrack_udp_timeout, nf_conntrack_tcp_timeout_established), or exempt traffic that needs no state (NOTRACK).', risk: 'medium' },
  ];
}

export const cause: Cause = {
  id: 'conntrack.table-full',
  title: 'the connection tracking table is full',
  needs: ['sysctl', 'conntrack-table', 'kernel-log', 'proc', 'conntrack-stats', 'nft', 'iptables', 'ip6tables', 'iptables-legacy', 'ip6tables-legacy', 'link', 'ipset', 'route-get', 'address', 'ebtables', 'arptables', 'process', 'socket-owner'],
  knowledge: {
    what: 'Connection tracking keeps one entry for each connection that passes. When nf_conntrack_max entries are there and none can be given up early, the first packet of every new connection is dropped; existing connections go on. A local sender gets EPERM. The limit is one number for the host, but it is compared with the count of each network namespace on its own.',
    signs: ['nf_conntrack: table full, dropping packet (kernel log, rate limited)', 'drop grows in /proc/net/stat/nf_conntrack while insert_failed does not; early_drop before that', 'NETFILTER_DROP at nf_hook_slow under ip_rcv (PREROUTING) or __ip_local_out (OUTPUT)', 'new connections fail while old ones work'],
    fixes: ['sysctl -w net.netfilter.nf_conntrack_max=N in the first namespace', 'find who holds the entries: conntrack -L, conntrack -D -s ADDRESS', 'shorter nf_conntrack_*_timeout', 'NOTRACK for traffic that needs no state'],
    functions: ['nf_hook_slow', 'nf_conntrack_in', '__nf_conntrack_alloc', 'early_drop'],
    reasons: ['NETFILTER_DROP'],
    errnos: ['EPERM'],
    versions: ['4.7 and later: one hash table for all namespaces, the limit compared with each namespace\'s own count', '6.15 and later name the namespace in the log line (not checked on every release)'],
    sources: ['net/netfilter/nf_conntrack_core.c', 'Documentation/networking/nf_conntrack-sysctl.rst'],
  },
  judge,
};
