import { bpfPrograms, netfilterPrograms, programText } from '../../evidence/bpf-program/programs.ts';
import { netnsText } from '../../evidence/netns.ts';
import { hookName, hookOf } from '../../evidence/rules/hook.ts';
import { dropLine } from '../../evidence/socket/lines.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind !== 'drop' || symptom.drop.reason.name !== 'NETFILTER_DROP') return NOT_APPLICABLE;
  const { drop } = symptom;
  const point = hookOf(symptom);
  if (point?.by === 'nft' || drop.place.name === 'nft_do_chain') return NOT_APPLICABLE; // an nf_tables rule or policy
  const programs = bpfPrograms(evidence);
  if (isUnavailable(programs)) return cannotTell(unavailableText(programs), 'the BPF links on netfilter hooks (bpftool link)');
  const family = point?.family === 'ip6' || drop.packet.ip?.version === 6 ? 6 : 4;
  const here = netfilterPrograms(programs, drop.netns, family, point?.hook);
  if (here.length === 0) return ruledOut(`no BPF program is attached to a netfilter hook${point === undefined ? '' : ` (${hookName(point.hook)}, IPv${family})`}`);
  const first = here[0];
  if (first === undefined) return NOT_APPLICABLE;
  const known = point !== undefined;
  const certainNetns = here.some((a) => a.at.netns === drop.netns);
  const hook = known ? hookName(point.hook) : first.at.hook.toUpperCase();
  const names = here.map((a) => `${programText(a.program)}, link ${a.at.link}, priority ${a.at.priority}`).join('; ');
  return {
    outcome: 'found',
    confidence: known ? (certainNetns ? 0.93 : 0.9) : 0.7,
    severity: 'warning',
    identity: `${family}|${hook}|${first.at.link}`,
    hook,
    explanation: `A BPF netfilter program at hook ${hook} (IPv${family}) dropped packets in ${netnsText(evidence, drop.netns)}. It is ${names}. No rule listing shows it: nft and iptables know nothing of BPF links.`,
    culprit: { kind: 'bpf-program', text: `BPF netfilter program ${programText(first.program)} at hook ${hook} (link ${first.at.link})`, program: first.program.id, name: first.program.name, hook, link: first.at.link },
    evidence: [dropLine(evidence, drop), { source: 'bpf-programs', text: names }],
    remedies: [
      ...here.map((a) => ({ text: `Detach the link of ${programText(a.program)}${a.program.heldBy.length > 0 ? ` (pid ${a.program.heldBy.slice(0, 3).join(', ')} holds the program)` : ''}.`, command: `bpftool link detach id ${a.at.link}`, risk: 'medium' as const })),
      { text: 'Or stop or reconfigure the program that attached it.', risk: 'low' },
    ],
  };
}

export const cause: Cause = {
  id: 'bpf.netfilter-drop',
  title: 'a BPF netfilter program dropped it',
  needs: ['bpf-programs'],
  knowledge: {
    what: 'Since Linux 6.4 a BPF program can be attached to a netfilter hook by a BPF link, beside iptables and nftables. When it answers NF_DROP the packet is dropped at the hook like by a rule, and a local sender gets EPERM, but no rule listing shows it.',
    signs: ['drop reason NETFILTER_DROP at nf_hook_slow (not nft_do_chain)', 'bpftool link shows netfilter (old versions: type 10)'],
    fixes: ['bpftool link detach id N', 'the agent that attached it'],
    functions: ['nf_hook_slow', 'nf_hook_run_bpf'],
    reasons: ['NETFILTER_DROP'],
    errnos: ['EPERM'],
    versions: ['Linux 6.4'],
    sources: ['net/netfilter/nf_bpf_link.c'],
  },
  judge,
};
