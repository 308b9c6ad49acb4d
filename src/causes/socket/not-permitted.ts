import { netnsText } from '../../evidence/netns.ts';
import { processFacts } from '../../evidence/process/facts.ts';
import { privilegeOf } from '../../evidence/security/privilege.ts';
import { callLine } from '../../evidence/socket/lines.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import { isUnavailable } from '../../model/unavailable.ts';

/** Ancillary data of sendmsg that needs a privilege cannot be seen from outside; a process without the privilege may have sent it. */
function judge(call: CallEvent, evidence: Evidence): Finding {
  if (call.errno !== 'EPERM' && call.errno !== 'EACCES') return NOT_APPLICABLE;
  const who = `${call.task.comm} (pid ${call.task.pid})`;
  const where = netnsText(evidence, call.netns);
  const option = privilegeOf(call);
  if (call.syscall === 'setsockopt' && option !== undefined && option.anyOf.length === 0) {
    return {
      outcome: 'found', confidence: 0.85, severity: 'warning', identity: `${call.task.comm}|${option.what}`,
      explanation: `setsockopt(${option.what}) of ${who} failed with ${call.errno} in ${where}. The filter of the socket is locked (SO_LOCK_FILTER), or the BPF program may not be used by this process. The socket goes on without the option.`,
      culprit: { kind: 'process', text: `${who}: ${option.what} refused`, pid: call.task.pid, option: option.what },
      evidence: [callLine(evidence, call)],
      remedies: [{ text: `Let ${call.task.comm} set the option before it locks the filter (SO_LOCK_FILTER).`, risk: 'low' }],
    };
  }
  const unixSocket = call.socket?.family === 1;
  if (unixSocket && call.errno === 'EPERM' && call.syscall.startsWith('send')) {
    return {
      outcome: 'found', confidence: 0.85, severity: 'warning', identity: `${call.task.comm}|unix`,
      explanation: `${call.syscall} of ${who} on a unix socket failed with EPERM in ${where}. The socket it sends to is connected to another one and takes messages from there only, or the credentials it sends along are not its own. No network is involved.`,
      culprit: { kind: 'process', text: `${who} sends to a unix socket that is connected elsewhere`, pid: call.task.pid },
      evidence: [callLine(evidence, call)],
      remedies: [{ text: 'Let the receiver leave its socket unconnected, or let the sender connect to the socket that accepts it.', risk: 'low' }],
    };
  }
  if (call.errno !== 'EPERM' || (call.syscall !== 'sendmsg' && call.syscall !== 'sendmmsg')) return NOT_APPLICABLE;
  const facts = processFacts(evidence, call.task.pid);
  if (!isUnavailable(facts) && (facts.capabilities.includes('CAP_NET_ADMIN') || facts.capabilities.includes('CAP_NET_RAW'))) return ruledOut('the process may set SO_MARK and priorities with its messages');
  return {
    outcome: 'found', confidence: isUnavailable(facts) ? 0.3 : 0.5, severity: 'warning', identity: `${call.task.comm}|cmsg`,
    explanation: `${call.syscall} of ${who} failed with EPERM in ${where}, and no packet was dropped with it. The process has neither CAP_NET_ADMIN nor CAP_NET_RAW, so it may not give SO_MARK, a priority above 6 or IPv6 header options along with a message. What it gave along cannot be seen from outside.`,
    culprit: { kind: 'capability', text: `${who} lacks cap_net_admin for ancillary data of ${call.syscall} (SO_MARK, SO_PRIORITY)`, pid: call.task.pid, capability: 'cap_net_admin' },
    evidence: [callLine(evidence, call)],
    remedies: [{ text: `Look at the control messages of the call (strace -e trace=${call.syscall} -p ${call.task.pid}); start ${call.task.comm} with CAP_NET_ADMIN, or let it leave the option out.`, risk: 'low' }],
  };
}

export const cause: Cause = {
  id: 'socket.not-permitted',
  title: 'the socket may not do that',
  needs: ['process'],
  knowledge: {
    what: 'The call asked for something that the socket or process may not do: a mark or priority in the control message of sendmsg without privilege, a locked socket filter, a unix socket that is connected to someone else. The kernel answers EPERM before a packet is made.',
    signs: ['EPERM from sendmsg, sendmmsg or setsockopt', 'no drop event', 'the same program works as root'],
    fixes: ['leave the option out, or give the process CAP_NET_ADMIN', 'set filters before SO_LOCK_FILTER'],
    functions: ['__sock_cmsg_send', 'ip6_datagram_send_ctl', 'sk_setsockopt', 'unix_dgram_sendmsg', 'scm_check_creds'],
    reasons: [],
    errnos: ['EPERM', 'EACCES'],
    versions: [],
    sources: ['net/core/sock.c', 'net/unix/af_unix.c', 'socket(7), cmsg(3)'],
  },
  judge: (symptom, evidence) => (symptom.kind === 'call' ? judge(symptom.call, evidence) : NOT_APPLICABLE),
};
