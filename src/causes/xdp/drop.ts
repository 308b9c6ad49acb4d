import { shellQuote } from '../../base/text.ts';
import { attachedAt, bpfPrograms } from '../../evidence/bpf-program/programs.ts';
import { xdpPrograms, xdpWord } from '../../evidence/bpf-program/xdp.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import { dropLine } from '../../evidence/socket/lines.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

/** `veth_xdp_rcv_skb`, `do_xdp_generic`, `virtnet_receive_xdp_buff`, `mlx5e_xdp_handle`… Redirection targets (`xdp_devmap`) are not meant. */
const XDP_FUNCTION = /(?:^|_)xdp(?:_|$)/;

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind !== 'drop') return NOT_APPLICABLE;
  const { drop } = symptom;
  const place = drop.place.name ?? '';
  if (drop.reason.name !== 'XDP' && !XDP_FUNCTION.test(place)) return NOT_APPLICABLE;
  const list = xdpPrograms(evidence, drop.netns);
  const loaded = bpfPrograms(evidence);
  const generic = /generic/.test(place);
  const where = netnsText(evidence, drop.netns);
  const device = drop.interface ?? (isUnavailable(list) ? undefined : list.find((p) => p.ifindex === drop.ifindex)?.device);
  const here = isUnavailable(list) ? [] : list.filter((p) => (drop.ifindex === 0 || p.ifindex === drop.ifindex) && (drop.ifindex !== 0 || device === undefined || p.device === device));
  const program = here.find((p) => (p.mode === 'generic') === generic) ?? here[0];
  const link = isUnavailable(loaded) || program === undefined ? undefined : attachedAt(loaded, 'xdp', (at) => at.ifindex === drop.ifindex && (at.netns === undefined || at.netns === drop.netns)).find((a) => a.program.id === program.id);
  const holders = isUnavailable(loaded) || program === undefined ? [] : (loaded.find((p) => p.id === program.id)?.heldBy ?? []);
  const on = device ?? 'an interface';
  const modeText = program === undefined ? (generic ? 'generic' : 'native') : program.mode;
  const name = program === undefined ? 'an XDP program' : `XDP program ${program.name === undefined ? '' : `${program.name} `}(id ${program.id}, ${modeText} mode)`;
  const remedies: Remedy[] = [];
  if (link !== undefined) remedies.push({ text: 'Detach the BPF link that holds the program on the interface.', command: `bpftool link detach id ${link.at.link}`, risk: 'medium' });
  else if (device !== undefined) {
    const word = program === undefined ? (generic ? 'xdpgeneric' : 'xdp') : xdpWord(program.mode);
    remedies.push({ text: `Take the program off ${device}.`, command: iproute(evidence, drop.netns, 'ip', `link set dev ${shellQuote(device)} ${word} off`), risk: 'medium' });
  }
  remedies.push({ text: `Or correct the tables of the program (bpftool map dump), so that it lets these packets pass.`, risk: 'low' });
  return {
    outcome: 'found',
    confidence: program === undefined ? 0.85 : 0.97,
    severity: 'warning',
    identity: `${on}|${program?.id ?? '?'}`,
    explanation: `An XDP program on ${on} in ${where} dropped packets as they came in, before routing, firewall and packet capture. ${program === undefined ? (isUnavailable(list) ? `Which program it is cannot be told: ${unavailableText(list)}.` : 'No program is attached there now, it has been taken off since.') : `It is ${name}${program.tag === undefined ? '' : `, tag ${program.tag}`}.`} tcpdump on this host does not see such packets.`,
    culprit: { kind: 'bpf-program', text: `${name} on ${on}`, interface: on, mode: modeText, ...(program === undefined ? undefined : { program: program.id, name: program.name }) },
    evidence: [dropLine(evidence, drop), ...(program === undefined ? [] : [{ source: 'ip -j -d link', text: `${program.device}: ${xdpWord(program.mode)} prog id ${program.id}${program.name === undefined ? '' : ` name ${program.name}`}` }]), ...(holders.length === 0 ? [] : [{ source: 'bpf-programs', text: `held open by pid ${holders.slice(0, 4).join(', ')}` }])],
    remedies,
  };
}

export const cause: Cause = {
  id: 'xdp.drop',
  title: 'an XDP program dropped it',
  needs: ['link', 'bpf-programs'],
  knowledge: {
    what: 'An XDP program runs in the network driver (native mode) or right behind it (generic mode), before anything else sees the packet. When it answers XDP_DROP or XDP_ABORTED, or its redirect fails, the packet is gone: neither tcpdump nor the firewall sees it. DDoS filters, load balancers and Cilium use XDP.',
    signs: ['drop in a function with xdp in its name (veth_xdp_rcv_skb, do_xdp_generic), often with reason NOT_SPECIFIED', 'ip link shows xdp, xdpgeneric or xdpoffload', 'rx_xdp_drops in ethtool -S; drivers that drop before an skb is made leave no drop event'],
    fixes: ['ip link set dev X xdp off (xdpgeneric off, xdpoffload off: the word must fit the mode)', 'bpftool link detach id N for programs that a link holds', 'the tables of the program'],
    functions: ['veth_xdp_rcv_skb', 'do_xdp_generic', 'bpf_prog_run_generic_xdp', 'netif_receive_generic_xdp'],
    reasons: ['XDP', 'NOT_SPECIFIED'],
    errnos: [],
    versions: ['The reason XDP is given in generic mode by some kernels; 6.18 gives NOT_SPECIFIED'],
    sources: ['net/core/dev.c', 'drivers/net/veth.c', 'ip-link(8)'],
  },
  judge,
};
