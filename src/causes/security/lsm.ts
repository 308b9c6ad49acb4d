import { attachedAt, bpfPrograms, programText } from '../../evidence/bpf-program/programs.ts';
import { netnsText } from '../../evidence/netns.ts';
import { identityOf } from '../../evidence/process/facts.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import { denials, labelOf } from '../../evidence/security/denials.ts';
import { eliminate } from '../../evidence/security/refusal.ts';
import { callLine, dropLine } from '../../evidence/socket/lines.ts';
import { ownerOf } from '../../evidence/socket/owner.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent, DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { EvidenceLine } from '../../model/incident.ts';
import { isUnavailable } from '../../model/unavailable.ts';

function judgeCall(call: CallEvent, evidence: Evidence): Finding {
  if (call.errno !== 'EACCES' && call.errno !== 'EPERM') return NOT_APPLICABLE;
  const log = denials(evidence);
  const label = labelOf(evidence, call.task.pid);
  const programs = bpfPrograms(evidence);
  const rest = eliminate(evidence, call);
  const identity = identityOf(evidence, call.task.pid, call.task.comm);
  const who = isUnavailable(identity) ? `${call.task.comm} (pid ${call.task.pid})` : processText(identity);
  const name = isUnavailable(identity) ? `${call.task.comm} (pid ${call.task.pid})` : processName(identity);
  const where = netnsText(evidence, call.netns);
  const lines: EvidenceLine[] = [callLine(evidence, call)];

  const told = isUnavailable(log) ? undefined : log.findLast((d) => d.pid === call.task.pid || (d.pid === undefined && d.comm === call.task.comm));
  if (told !== undefined) {
    return {
      outcome: 'found', confidence: 0.97, severity: 'warning', identity: `${told.module}|${call.task.comm}|${call.syscall}`,
      explanation: `${told.module} refused ${call.syscall} of ${name} in ${where}${told.profile === undefined ? '' : `: the process runs as ${told.profile}`}. The kernel log says so. No packet was made, and no firewall has a part in it.`,
      culprit: { kind: 'policy', text: `${told.module}${told.profile === undefined ? '' : ` (${told.profile})`} refuses ${told.operation ?? call.syscall} to ${who}`, pid: call.task.pid, module: told.module, ...(told.profile === undefined ? undefined : { profile: told.profile }) },
      evidence: [...lines, { source: 'kernel log', text: told.line }],
      remedies: [{ text: moduleRemedy(told.module, told.profile), risk: 'medium' }],
    };
  }
  if (rest.suspects.length > 0) return ruledOut(`more likely: ${rest.suspects[0]}`);
  const facts = isUnavailable(rest.process) ? undefined : rest.process;
  const bpf = isUnavailable(programs) ? [] : programs.filter((p) => p.type === 'lsm' && (p.attached.length > 0 || p.heldBy.length > 0));
  const seccomp = call.seccomp ?? facts?.seccomp === 2;
  // Landlock knows connect and bind of TCP, and answers EACCES; it takes no_new_privs or CAP_SYS_ADMIN to install
  const landlock = call.errno === 'EACCES' && (call.syscall === 'connect' || call.syscall === 'bind') && (call.socket === undefined || call.socket.protocol === 6) && facts?.noNewPrivs === true;
  const suspects = [
    ...(label === undefined ? [] : [`the LSM profile ${label}`]),
    ...(landlock ? ['a Landlock domain (it refuses TCP connect and bind with EACCES, and the process has set no_new_privs)'] : []),
    ...bpf.map((p) => `the BPF LSM program ${programText(p)}`),
  ];
  if (suspects.length === 0 && isUnavailable(rest.process) && isUnavailable(log)) return cannotTell('neither the process nor the kernel log could be looked at', 'dmesg, and /proc/PID/attr/current of the process while it runs');
  if (suspects.length === 0 && (call.errno !== 'EACCES' || seccomp)) return ruledOut(isUnavailable(rest.process) ? 'no security module wrote a denial to the kernel log' : 'no security module has a profile for the process, and none wrote a denial');
  const main = landlock && label === undefined && bpf.length === 0 ? 'Landlock' : label !== undefined ? `the profile ${label}` : 'a security module';
  const confidence = landlock && label === undefined ? (seccomp ? 0.6 : 0.88) : suspects.length > 0 ? (seccomp ? 0.5 : 0.7) : 0.45;
  return {
    outcome: 'found', confidence, severity: 'warning', identity: `${main}|${call.task.comm}|${call.syscall}`,
    explanation: `${call.syscall} of ${name} failed with ${call.errno} in ${where} before any packet was made. ${suspects.length === 0 ? 'A security module (Landlock, AppArmor, SELinux, BPF LSM) is what is left' : `It may be refused by ${suspects.join(', or by ')}`}, for the rest has been ruled out: ${rest.cleared.join('; ')}. ${landlock ? 'A Landlock domain cannot be seen from outside; kernels since 6.15 write its refusals to the audit log.' : 'Whether the module refused is told by its own log (journalctl -k, auditd) only.'}`,
    culprit: { kind: 'policy', text: `${main === 'Landlock' ? `a Landlock domain of ${who}` : `${main}, for ${who}`}: ${call.syscall}${call.destination === undefined ? '' : ` to ${call.destination}`} refused with ${call.errno}`, pid: call.task.pid, comm: call.task.comm, module: main },
    evidence: [...lines, ...(label === undefined ? [] : [{ source: `/proc/${call.task.pid}/attr/current`, text: label }]), ...(facts === undefined ? [] : [{ source: `/proc/${call.task.pid}/status`, text: `NoNewPrivs: ${facts.noNewPrivs ? 1 : 0}, Seccomp: ${facts.seccomp}` }]), ...rest.cleared.map((text) => ({ source: 'ruled out', text })), ...rest.unread.map((text) => ({ source: 'not read', text }))],
    remedies: [
      landlock && label === undefined
        ? { text: `Let ${call.task.comm}, or the sandbox that starts it, allow this port in its Landlock rules (LANDLOCK_ACCESS_NET_CONNECT_TCP or _BIND_TCP), or start it without the sandbox.`, risk: 'low' }
        : { text: `Look for the refusal in the module's log: journalctl -k | grep -E 'apparmor="DENIED"|avc: *denied', ausearch -m avc -ts recent; then allow it in the policy.`, risk: 'low' },
    ],
  };
}

function judgeDrop(drop: DropEvent, evidence: Evidence): Finding {
  if (drop.reason.name !== 'SECURITY_HOOK') return NOT_APPLICABLE;
  const log = denials(evidence);
  const last = isUnavailable(log) ? undefined : log.at(-1);
  const owner = ownerOf(evidence, { kind: 'drop', netns: drop.netns, first: drop.time, drop });
  const programs = bpfPrograms(evidence);
  const bpf = isUnavailable(programs) ? [] : programs.filter((p) => p.type === 'lsm');
  const where = netnsText(evidence, drop.netns);
  const onLink = isUnavailable(programs) ? [] : attachedAt(programs, 'other', (a) => a.kind === 'tracing');
  return {
    outcome: 'found', confidence: last === undefined ? 0.85 : 0.93, severity: 'warning', identity: `hook|${drop.place.name ?? ''}`,
    explanation: `A security module dropped packets in ${where} (reason SECURITY_HOOK). ${last === undefined ? 'Its policy does not let the receiver have them' : `${last.module} wrote to the kernel log`}${isUnavailable(owner) ? '' : `; the receiver is ${processName(owner)}`}. ${bpf.length === 0 ? '' : `BPF LSM programs are loaded: ${bpf.map(programText).join(', ')}.`}`.trim(),
    culprit: { kind: 'policy', text: last === undefined ? `the policy of a security module${bpf.length === 0 ? '' : ` (BPF LSM: ${bpf.map(programText).join(', ')})`}` : `${last.module}${last.profile === undefined ? '' : ` (${last.profile})`}`, programs: bpf.map((p) => p.id), links: onLink.length },
    evidence: [dropLine(evidence, drop), ...(last === undefined ? [] : [{ source: 'kernel log', text: last.line }])],
    remedies: [{ text: last === undefined ? 'Look for the refusal in the log of the module (journalctl -k, ausearch -m avc), and allow it in the policy.' : moduleRemedy(last.module, last.profile), risk: 'medium' }],
  };
}

function moduleRemedy(module: string, profile: string | undefined): string {
  switch (module) {
    case 'AppArmor':
      return `Allow it in the AppArmor profile${profile === undefined ? '' : ` ${profile}`} (a network rule), and load it again with apparmor_parser -r; to try it once, aa-complain${profile === undefined ? '' : ` ${profile}`}.`;
    case 'SELinux':
      return `Make a policy module of the denial (ausearch -m avc -ts recent | audit2allow -M local), or set the right context or boolean.`;
    case 'Landlock':
      return 'Allow the port in the Landlock rules of the sandbox.';
    default:
      return `Allow it in the policy of ${module}.`;
  }
}

export const cause: Cause = {
  id: 'security.lsm',
  title: 'a security module refused it',
  needs: ['kernel-log', 'proc', 'process', 'bpf-programs', 'xfrm-policy', 'address', 'route-get', 'sysctl', 'sockets', 'socket-owner'],
  knowledge: {
    what: 'Security modules (SELinux, AppArmor, Smack, Landlock, BPF LSM) are asked at every socket call, and may refuse it with EACCES or EPERM before a packet is made. SELinux and Smack can also drop packets at the socket. They write their refusals to the audit log; Landlock only since Linux 6.15, BPF programs not at all.',
    signs: ['EACCES from connect, bind or sendto where no broadcast address and no prohibit route is involved', 'drop reason SECURITY_HOOK', 'apparmor="DENIED" or avc: denied in the kernel log', '/proc/PID/attr/current names a profile'],
    fixes: ['the policy or profile', 'the rules of the sandbox for Landlock'],
    functions: ['security_socket_sendmsg', 'security_socket_connect', 'security_socket_bind', 'security_sock_rcv_skb', 'hook_socket_connect'],
    reasons: ['SECURITY_HOOK', 'SOCKET_FILTER'],
    errnos: ['EACCES', 'EPERM'],
    versions: ['Landlock for TCP since Linux 6.7, its audit lines since 6.15'],
    sources: ['security/security.c', 'landlock(7)', 'apparmor(7)'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'call' ? judgeCall(symptom.call, evidence) : symptom.kind === 'drop' ? judgeDrop(symptom.drop, evidence) : NOT_APPLICABLE),
};
