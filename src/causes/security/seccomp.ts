import { netnsText } from '../../evidence/netns.ts';
import { identityOf } from '../../evidence/process/facts.ts';
import { processName, processText } from '../../evidence/process/words.ts';
import { eliminate } from '../../evidence/security/refusal.ts';
import { callLine } from '../../evidence/socket/lines.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import { isUnavailable } from '../../model/unavailable.ts';

/** What profiles give: EPERM (Docker, Podman, systemd's SystemCallErrorNumber=EPERM), EACCES, ENOSYS. */
const ERRNOS = new Set(['EPERM', 'EACCES', 'ENOSYS']);

function judge(call: CallEvent, evidence: Evidence): Finding {
  if (!ERRNOS.has(call.errno)) return NOT_APPLICABLE;
  const rest = eliminate(evidence, call);
  const identity = identityOf(evidence, call.task.pid, call.task.comm);
  const facts = isUnavailable(rest.process) ? undefined : rest.process;
  const filtered = call.seccomp ?? (facts === undefined ? undefined : facts.seccomp === 2);
  if (filtered === false) return ruledOut('no seccomp filter is installed in the task');
  if (filtered === undefined) return cannotTell('the process has ended, and the call probe did not tell whether a filter was installed', 'Seccomp in /proc/PID/status');
  const who = isUnavailable(identity) ? `${call.task.comm} (pid ${call.task.pid})` : processText(identity);
  const name = isUnavailable(identity) ? `${call.task.comm} (pid ${call.task.pid})` : processName(identity);
  const container = isUnavailable(identity) ? undefined : identity.container;
  const unit = isUnavailable(identity) ? undefined : identity.unit;
  const alone = rest.suspects.length === 0;
  const confidence = alone ? (call.errno === 'EPERM' || call.errno === 'ENOSYS' ? (rest.unread.length === 0 ? 0.93 : 0.85) : 0.7) : 0.4;
  return {
    outcome: 'found',
    confidence,
    severity: 'warning',
    identity: `${call.task.comm}|${call.syscall}|${call.errno}`,
    explanation: `${call.syscall} of ${name} failed with ${call.errno} in ${netnsText(evidence, call.netns)} before any packet was made. A seccomp filter is installed in the process, and such a filter can answer a system call with an errno of its choice. ${alone ? `Everything else that could refuse it was looked at and has not: ${rest.cleared.join('; ')}.` : `It may also be: ${rest.suspects.join('; ')}.`}`,
    culprit: { kind: 'process', text: `the seccomp filter of ${who} refuses ${call.syscall} with ${call.errno}`, pid: call.task.pid, comm: call.task.comm, syscall: call.syscall },
    evidence: [
      callLine(evidence, call),
      { source: call.seccomp === undefined ? `/proc/${call.task.pid}/status` : 'call probe', text: 'Seccomp: 2, a filter is installed' },
      ...rest.cleared.map((text) => ({ source: 'ruled out', text })),
      ...rest.unread.map((text) => ({ source: 'not read', text })),
    ],
    remedies: [
      container !== undefined
        ? { text: `Allow ${call.syscall} in the seccomp profile of the container (docker run --security-opt seccomp=PROFILE.json; Kubernetes: securityContext.seccompProfile); to try it once, seccomp=unconfined.`, risk: 'medium' }
        : unit !== undefined
          ? { text: `Allow ${call.syscall} in ${unit}: SystemCallFilter= (add it or the group @network-io), then restart it.`, risk: 'low' }
          : { text: `Allow ${call.syscall} in the filter that ${call.task.comm} or whoever starts it installs (sandbox option, launcher, container profile).`, risk: 'low' },
      { text: `To see it: the kernel log has a line type=1326 for filters that log; strace -f -e trace=${call.syscall} shows the call refused.`, risk: 'low' },
    ],
  };
}

export const cause: Cause = {
  id: 'security.seccomp',
  title: 'a seccomp filter refused the call',
  needs: ['process', 'bpf-programs', 'xfrm-policy', 'address', 'route-get', 'sysctl'],
  knowledge: {
    what: 'A process, or whoever started it, can install a seccomp filter that decides about each system call. A filter may answer with an errno, often EPERM, before the kernel does anything: no packet is made, no firewall asked. Containers and systemd units have such filters. The filter itself cannot be read from outside; it is inferred when all else has been ruled out.',
    signs: ['EPERM or ENOSYS from a socket call, and no drop event', 'Seccomp: 2 in /proc/PID/status', 'the program works outside of its container or unit'],
    fixes: ['the seccomp profile of the container', 'SystemCallFilter= of the unit'],
    functions: ['__secure_computing', 'seccomp_run_filters'],
    reasons: [],
    errnos: ['EPERM', 'EACCES', 'ENOSYS'],
    versions: ['Filters since Linux 3.5; Seccomp_filters in /proc/PID/status since 5.9'],
    sources: ['kernel/seccomp.c', 'seccomp(2)'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'call' ? judge(symptom.call, evidence) : NOT_APPLICABLE),
};
