import { around, deletionText, deletions, exemption, hookText, ruleDidIt, suspicionOf, tupleText } from '../../evidence/conntrack/index.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Culprit } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { blind, whatHappened } from './words.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  const s = suspicionOf(symptom, evidence);
  if (s === undefined || s.stage === 'track' || s.unconfirmed === false) return NOT_APPLICABLE;
  if (s.untracked === true) return NOT_APPLICABLE;
  if (!s.dying) {
    if (isUnavailable(s.losses)) return s.unconfirmed === true ? ruledOut('its entry was not marked as dying') : (blind(s) ?? NOT_APPLICABLE);
    if (s.losses.dying === 0) return ruledOut('insert_failed did not move without drop or chainlength');
    if (s.unconfirmed === true) return ruledOut('its entry was not marked as dying');
  }
  if (ruleDidIt(s) !== undefined) return ruledOut('a rule fits the packet');
  const { from, to } = around(s.at);
  const deletion = deletions(evidence, s.netns, from, to).at(-1);
  const free = s.original === undefined ? undefined : exemption(evidence, s.netns, s.original);
  const culprit: Culprit = deletion === undefined
    ? { kind: 'unknown', text: 'whatever made the kernel give up new entries at that moment: a delete, an interface that went down (MASQUERADE drops its connections then), a namespace that ended' }
    : { kind: 'process', text: deletionText(deletion), ...(deletion.author.process === undefined ? { port: deletion.author.port } : { pid: deletion.author.process.pid, comm: deletion.author.process.comm, cmdline: deletion.author.process.cmdline }) };
  return {
    outcome: 'found', confidence: (s.dying ? 0.88 : 0.8) + (deletion === undefined ? 0 : 0.08), severity: 'warning',
    identity: `dying ${deletion?.author.process?.cmdline ?? ''}`,
    explanation: `${whatHappened(s, evidence)} Its new connection entry was deleted while the packet was on its way to ${hookText(s) ?? 'where it is inserted'}, and a packet whose entry is dying is dropped. ${deletion === undefined ? 'Who deleted it was not seen.' : `It was deleted by ${deletion.author.text}.`}`,
    culprit,
    ...(hookText(s) === undefined ? {} : { hook: hookText(s)! }),
    evidence: [...s.lines, ...(s.original === undefined ? [] : [{ source: 'drop probe', text: `the packet's entry ${tupleText(s.original)} ${s.dying ? 'was marked as dying' : 'was not in the table'}` }]), ...(deletion === undefined ? [] : [{ source: deletion.seen ? 'conntrack events' : 'exec probe', time: evidence.iso(deletion.first), text: deletionText(deletion) }])],
    remedies: [
      { text: 'Delete only the entries that must go (conntrack -D with a filter), not all while traffic goes on.', risk: 'low' },
      ...(free === undefined ? [] : [{ text: `Or exempt ${free.what} from connection tracking in both directions.`, command: free.command, undo: free.undo, risk: 'medium' } as const]),
    ],
  };
}

export const cause: Cause = {
  id: 'conntrack.dying-entry',
  title: 'the connection entry was deleted while its packet was under way',
  needs: ['proc', 'conntrack-stats', 'process', 'nft', 'iptables', 'ip6tables', 'iptables-legacy', 'ip6tables-legacy', 'link', 'ipset', 'route-get', 'address', 'sysctl', 'conntrack-table', 'ebtables', 'arptables', 'socket-owner'],
  knowledge: {
    what: 'A packet carries its new, not yet inserted connection entry through the hooks. When something deletes that entry meanwhile (a flush, an interface with MASQUERADE that goes down, a namespace that is torn down), the entry is marked as dying, and at POSTROUTING or INPUT the packet is dropped instead of inserted.',
    signs: ['insert_failed in /proc/net/stat/nf_conntrack grows alone, without drop and chainlength', 'NETFILTER_DROP at nf_hook_slow at POSTROUTING or INPUT', 'EPERM for a local sender, once'],
    fixes: ['conntrack -D with a filter instead of conntrack -F', 'look at what takes interfaces down'],
    functions: ['nf_hook_slow', '__nf_conntrack_confirm', 'nf_ct_iterate_cleanup', 'nf_ct_iterate_destroy'],
    reasons: ['NETFILTER_DROP'],
    errnos: ['EPERM'],
    versions: ['before 5.10 the counters do not tell it from a resolved clash'],
    sources: ['net/netfilter/nf_conntrack_core.c'],
  },
  judge,
};
