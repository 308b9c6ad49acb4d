import { netnsText } from '../../evidence/netns.ts';
import { hookText, tupleText, type Suspicion } from '../../evidence/conntrack/index.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, type CannotTell } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

/** `The packet udp 10.0.0.1:5 → 10.0.0.2:53 was dropped at POSTROUTING in network namespace blue, and sendto of dig (pid 7) failed with EPERM.` */
export function whatHappened(s: Suspicion, evidence: Evidence): string {
  const subject = s.original === undefined ? 'A packet' : `The packet ${tupleText(s.original)}`;
  const hook = hookText(s);
  const call = s.call === undefined ? '' : `${s.call.syscall} of ${s.call.task.comm} (pid ${s.call.task.pid}) failed with ${s.call.errno}`;
  if (s.drop === undefined) return `${call.charAt(0).toUpperCase()}${call.slice(1)} in ${netnsText(evidence, s.netns)}, and conntrack counted a packet that it dropped.`;
  return `${subject} was dropped${hook === undefined ? '' : ` at ${hook}`} in ${netnsText(evidence, s.netns)}${call === '' ? '' : `, and ${call}`}.`;
}

/** The two things that stand behind "no rule did it": nothing of it known is no proof. */
export function innocence(s: Suspicion): string | undefined {
  return isUnavailable(s.innocent) ? undefined : s.innocent;
}

/** For when neither the packet's own entry nor the counters can be seen. */
export function blind(s: Suspicion): CannotTell | undefined {
  if (!isUnavailable(s.losses)) return undefined;
  if (s.unconfirmed !== undefined) return undefined;
  return cannotTell(`conntrack's counters from before and after the loss: ${unavailableText(s.losses)}`, 'watching from before the loss, so that insert_failed and drop of /proc/net/stat/nf_conntrack can be compared');
}
