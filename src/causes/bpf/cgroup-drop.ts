import { shellQuote } from '../../base/text.ts';
import { cgroupDirectory, cgroupPrograms, bpfPrograms, programText } from '../../evidence/bpf-program/programs.ts';
import { netnsText } from '../../evidence/netns.ts';
import { processFacts } from '../../evidence/process/facts.ts';
import { processName } from '../../evidence/process/words.ts';
import { callLine, dropLine } from '../../evidence/socket/lines.ts';
import { ownerOf, receiverProcess } from '../../evidence/socket/owner.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const SOCKET_DELIVERY = /^(?:udp6?_queue_rcv_one_skb|udpv6_queue_rcv_one_skb|udp_queue_rcv_skb|tcp_v[46]_rcv|tcp_filter|tcp_v[46]_do_rcv|raw_rcv|rawv6_rcv|raw_rcv_skb|sk_filter_trim_cap|sock_queue_rcv_skb_reason|sctp_rcv|ping_queue_rcv_skb)$/;

interface Suspicion {
  readonly direction: 'ingress' | 'egress' | 'call';
  readonly types: readonly string[];
  /** The kernel itself says that it was such a program. */
  readonly certain: boolean;
}

function suspicionOf(symptom: Symptom): Suspicion | undefined {
  if (symptom.kind === 'drop') {
    const { reason, place, stack } = symptom.drop;
    if (reason.name === 'BPF_CGROUP_EGRESS') return { direction: 'egress', types: ['inet_egress'], certain: true };
    if (reason.name === 'SOCKET_FILTER') return { direction: 'ingress', types: ['inet_ingress'], certain: false };
    // before the reasons existed
    if (reason.name === 'NOT_SPECIFIED' && SOCKET_DELIVERY.test(place.name ?? '') && stack.some((f) => /sk_filter|cgroup_bpf_run_filter_skb/.test(f.name ?? ''))) return { direction: 'ingress', types: ['inet_ingress'], certain: false };
    if (/^(?:ip|ip6|ip_mc)_finish_output$/.test(place.name ?? '') && reason.name === 'NOT_SPECIFIED') return { direction: 'egress', types: ['inet_egress'], certain: false };
    return undefined;
  }
  if (symptom.kind !== 'call' || (symptom.call.errno !== 'EPERM' && symptom.call.errno !== 'EACCES')) return undefined;
  const { syscall, args } = symptom.call;
  if (/^(?:send|write|io_uring)/.test(syscall)) return { direction: 'call', types: ['udp4_sendmsg', 'udp6_sendmsg', 'unix_sendmsg', 'inet_egress'], certain: false };
  if (syscall === 'connect') return { direction: 'call', types: ['inet4_connect', 'inet6_connect', 'unix_connect'], certain: false };
  if (syscall === 'bind') return { direction: 'call', types: ['inet4_bind', 'inet6_bind', 'inet4_post_bind', 'inet6_post_bind'], certain: false };
  if (syscall === 'socket' && args.length > 0) return { direction: 'call', types: ['inet_sock_create'], certain: false };
  if (syscall === 'setsockopt' || syscall === 'getsockopt') return { direction: 'call', types: [syscall], certain: false };
  return undefined;
}

function judge(symptom: Symptom, evidence: Evidence): Finding {
  const suspicion = suspicionOf(symptom);
  if (suspicion === undefined) return NOT_APPLICABLE;
  const programs = bpfPrograms(evidence);
  const owner = suspicion.direction === 'ingress' && symptom.kind === 'drop' ? receiverProcess(evidence, symptom.drop) : ownerOf(evidence, symptom);
  const process = isUnavailable(owner) ? undefined : owner;
  const facts = process === undefined ? undefined : processFacts(evidence, process.pid);
  const cgroup = facts === undefined || isUnavailable(facts) ? undefined : facts.cgroup;
  const where = netnsText(evidence, symptom.netns);
  const line = symptom.kind === 'drop' ? dropLine(evidence, symptom.drop) : symptom.kind === 'call' ? callLine(evidence, symptom.call) : undefined;
  if (line === undefined) return NOT_APPLICABLE;
  const who = process === undefined ? 'a process' : processName(process);
  if (isUnavailable(programs)) {
    if (!suspicion.certain) return cannotTell(unavailableText(programs), 'the list of BPF programs attached to cgroups (bpftool cgroup tree)');
    return {
      outcome: 'found', confidence: 0.85, severity: 'warning', identity: `egress|${cgroup ?? '?'}`,
      explanation: `A BPF program on a cgroup dropped what ${who} sent in ${where}. The kernel gives the reason BPF_CGROUP_EGRESS. Which program it is cannot be told: ${unavailableText(programs)}.`,
      culprit: { kind: 'bpf-program', text: `an egress program on cgroup ${cgroup ?? 'of the sender'} or above`, ...(cgroup === undefined ? undefined : { cgroup }) },
      evidence: [line],
      remedies: [{ text: 'List the programs on cgroups and detach the one that drops.', command: 'bpftool cgroup tree', risk: 'low' }],
    };
  }
  const candidates = cgroupPrograms(programs, suspicion.types, cgroup);
  const chosen = candidates[0];
  if (chosen === undefined) {
    if (!suspicion.certain) return ruledOut(cgroup === undefined ? 'no cgroup has a program of that kind' : `neither cgroup ${cgroup} nor one above it has a program of that kind`);
    return cannotTell(`no egress program is attached to ${cgroup ?? 'any cgroup'} now`, 'the list of programs at the time of the drop; it has been detached since');
  }
  const directory = cgroupDirectory(chosen.at);
  const type = chosen.at.attachType;
  const remedies: Remedy[] = [];
  const detach = `bpftool cgroup detach ${shellQuote(directory)} ${bpftoolType(type)} id ${chosen.program.id}`;
  if (chosen.at.link === undefined) remedies.push({ text: `Detach the program from the cgroup.`, command: detach, risk: 'medium' });
  else remedies.push({ text: `Detach the BPF link that holds the program there.`, command: `bpftool link detach id ${chosen.at.link}`, risk: 'medium' });
  const unit = process?.unit;
  if (unit !== undefined) remedies.push({ text: `If ${unit} sets IPAddressDeny= or RestrictNetworkInterfaces=, change that instead: systemd attaches the program again at every start.`, risk: 'low' });
  else remedies.push({ text: `Or run the program outside of the cgroup ${directory}.`, risk: 'medium' });
  const action = suspicion.direction === 'ingress' ? `packets that ${who} was to receive were dropped` : suspicion.direction === 'egress' ? `packets that ${who} sent were dropped${symptom.kind === 'drop' && symptom.call !== undefined ? `, and ${symptom.call.syscall} failed with ${symptom.call.errno}` : ''}` : `${symptom.kind === 'call' ? symptom.call.syscall : 'a call'} of ${who} failed with ${symptom.kind === 'call' ? symptom.call.errno : 'EPERM'}`;
  const sure = suspicion.certain || cgroup !== undefined;
  const confidence = suspicion.certain ? (candidates.length === 1 ? 0.97 : 0.9) : suspicion.direction === 'ingress' ? (sure ? 0.93 : 0.75) : sure ? 0.92 : 0.6;
  return {
    outcome: 'found',
    confidence,
    severity: 'warning',
    identity: `${type}|${directory}|${chosen.program.id}`,
    explanation: `The BPF program ${programText(chosen.program)} is attached to the cgroup ${directory} (${type}), and ${action} in ${where}. ${cgroup === undefined ? 'It runs for every process in that cgroup and below it.' : `The process is in the cgroup ${cgroup}, so the program decides about its packets.`} The same program started outside of that cgroup is not affected.`,
    culprit: { kind: 'bpf-program', text: `BPF program ${programText(chosen.program)}, attached as ${type} to cgroup ${directory}`, program: chosen.program.id, name: chosen.program.name, cgroup: directory, attachType: type, ...(process === undefined ? undefined : { pid: process.pid }) },
    evidence: [line, { source: 'bpf-programs', text: `${programText(chosen.program)}, type ${chosen.program.type}, tag ${chosen.program.tag}, at ${directory}${candidates.length > 1 ? `; ${candidates.length - 1} more on this path` : ''}` }, ...(cgroup === undefined || process === undefined ? [] : [{ source: `/proc/${process.pid}/cgroup`, text: cgroup }])],
    remedies,
  };
}

/** The word that bpftool takes: Debian 12's bpftool 7.1 wants `cgroup_inet_egress`, newer ones take it too. */
function bpftoolType(type: string): string {
  const plain = type.toLowerCase().replace(/^bpf_/, '');
  return plain.startsWith('cgroup_') ? plain : `cgroup_${plain}`;
}

export const cause: Cause = {
  id: 'bpf.cgroup-drop',
  title: 'a BPF program on a cgroup refused it',
  needs: ['bpf-programs', 'process', 'socket-owner', 'sockets'],
  knowledge: {
    what: 'BPF programs can be attached to a cgroup (v2); they then decide about every packet and many calls of all processes in it and below it. systemd does so for IPAddressDeny= and RestrictNetworkInterfaces=, container tools and Cilium too. A refused packet on its way out gives the sender EPERM; on its way in it is dropped at the socket as if by a socket filter. Programs for sendmsg, connect and bind refuse the call before any packet is made.',
    signs: ['drop reason BPF_CGROUP_EGRESS at ip_finish_output, with EPERM', 'drop reason SOCKET_FILTER at udp_queue_rcv_one_skb or tcp_v4_rcv', 'EPERM from sendto or connect without a drop', 'the program works when it is started outside of its service'],
    fixes: ['bpftool cgroup tree lists them', 'bpftool cgroup detach PATH TYPE id N', 'systemctl show -p IPAddressDeny UNIT'],
    functions: ['__cgroup_bpf_run_filter_skb', '__cgroup_bpf_run_filter_sock_addr', 'ip_finish_output', 'sk_filter_trim_cap'],
    reasons: ['BPF_CGROUP_EGRESS', 'SOCKET_FILTER'],
    errnos: ['EPERM', 'EACCES'],
    versions: ['The reason BPF_CGROUP_EGRESS exists since Linux 5.18; ingress never had one of its own'],
    sources: ['kernel/bpf/cgroup.c', 'net/ipv4/ip_output.c', 'systemd.resource-control(5)'],
  },
  judge,
};
