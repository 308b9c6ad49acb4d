import { bpfPrograms, programText, tcxPrograms } from '../../evidence/bpf-program/programs.ts';
import { netnsText } from '../../evidence/netns.ts';
import { filters } from '../../evidence/network/read.ts';
import { dropLine } from '../../evidence/socket/lines.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind !== 'drop') return NOT_APPLICABLE;
  const { drop } = symptom;
  const direction = drop.reason.name === 'TC_INGRESS' ? 'ingress' : drop.reason.name === 'TC_EGRESS' ? 'egress' : undefined;
  const netkit = /^netkit_xmit$/.test(drop.place.name ?? '');
  if (direction === undefined && !netkit) return NOT_APPLICABLE;
  const programs = bpfPrograms(evidence);
  const device = drop.interface;
  const listed = device === undefined || direction === undefined ? undefined : filters(evidence, drop.netns, device);
  if (isUnavailable(programs)) return cannotTell(unavailableText(programs), 'the BPF links on the interface (bpftool link)');
  const here = tcxPrograms(programs, drop.netns, drop.ifindex, direction ?? 'ingress').filter((a) => (a.at.where === 'netkit') === netkit);
  const on = device ?? `interface ${drop.ifindex}`;
  if (here.length === 0) return ruledOut(`no tcx or netkit link is on ${on} for ${direction ?? 'netkit'}`);
  const rivals = listed === undefined || isUnavailable(listed) ? undefined : listed.filter((f) => f.direction === direction).length;
  const last = here[here.length - 1];
  const first = here[0];
  if (first === undefined || last === undefined) return NOT_APPLICABLE;
  const kind = netkit ? 'netkit' : `tcx ${direction}`;
  const names = here.map((a) => `${programText(a.program)}, link ${a.at.link}`).join('; ');
  return {
    outcome: 'found',
    confidence: here.length > 1 ? 0.85 : rivals === undefined ? 0.85 : rivals === 0 ? 0.97 : 0.7,
    severity: 'warning',
    identity: `${on}|${kind}|${first.at.link}`,
    explanation: `A BPF program on ${on} (${kind}) dropped packets in ${netnsText(evidence, drop.netns)}. It is ${names}. A BPF link holds it there: neither tc filter show nor an old bpftool net lists it${rivals === 0 ? ', and no tc filter is on the interface' : rivals === undefined || rivals === 0 ? '' : `; ${rivals} tc filters are there too`}.`,
    culprit: { kind: 'bpf-program', text: `BPF program ${programText(first.program)} on ${on} (${kind}, link ${first.at.link})`, program: first.program.id, name: first.program.name, interface: on, link: first.at.link },
    evidence: [dropLine(evidence, drop), { source: 'bpf-programs', text: names }],
    remedies: [
      ...here.map((a) => ({ text: `Detach the link of ${programText(a.program)}${a.program.heldBy.length > 0 ? ` (pid ${a.program.heldBy.slice(0, 3).join(', ')} holds the program)` : ''}.`, command: `bpftool link detach id ${a.at.link}`, risk: 'medium' as const })),
      { text: 'Or stop or reconfigure the program that attached it.', risk: 'low' },
    ],
  };
}

export const cause: Cause = {
  id: 'bpf.tcx-drop',
  title: 'a BPF program on the interface (tcx) dropped it',
  needs: ['bpf-programs', 'filter'],
  knowledge: {
    what: 'Since Linux 6.6 BPF programs can sit on an interface by a BPF link (tcx), without qdisc and filter. Such a program runs before tc filters, on the way in and on the way out, and its TCX_DROP ends the packet. The sender is not told. Cilium and other agents use it; netkit devices have programs of the same kind.',
    signs: ['drop reason TC_INGRESS or TC_EGRESS while tc filter show lists nothing', 'bpftool link shows tcx (old versions: type 11)'],
    fixes: ['bpftool link detach id N', 'the agent that attached it'],
    functions: ['__netif_receive_skb_core', '__dev_queue_xmit', 'tcx_run', 'sch_handle_ingress', 'sch_handle_egress', 'netkit_xmit'],
    reasons: ['TC_INGRESS', 'TC_EGRESS'],
    errnos: [],
    versions: ['tcx since Linux 6.6, netkit since 6.7'],
    sources: ['kernel/bpf/tcx.c', 'net/core/dev.c'],
  },
  judge,
};
