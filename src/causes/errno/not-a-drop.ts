import { endpoint, splitEndpoint } from '../../base/inet.ts';
import { netnsText } from '../../evidence/netns.ts';
import { addresses, isOwn } from '../../evidence/socket/addresses.ts';
import { plainAddress } from '../../evidence/socket/flow.ts';
import { callLine } from '../../evidence/socket/lines.ts';
import type { Cause } from '../../model/cause.ts';
import type { CallEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import { isUnavailable } from '../../model/unavailable.ts';
import { ERRNOS, meaningOf } from './knowledge.ts';

/** EPERM and EACCES have causes of their own; where none fits, `unknown` says so. */
const OWN = new Set(['EPERM', 'EACCES']);

/** bind() to an address that no interface of the namespace has (bind(2), ip(7) ip_nonlocal_bind). */
function bindElsewhere(call: CallEvent, evidence: Evidence): Finding {
  const wanted = splitEndpoint(call.destination ?? call.socket?.local ?? '');
  const own = addresses(evidence, call.netns);
  const where = netnsText(evidence, call.netns);
  const who = `${call.task.comm} (pid ${call.task.pid})`;
  const at = wanted === undefined ? 'an address' : endpoint(plainAddress(wanted.address), wanted.port);
  if (wanted !== undefined && !isUnavailable(own) && isOwn(own, plainAddress(wanted.address))) return ruledOut(`${wanted.address} is an address of ${where}`);
  return {
    outcome: 'found', confidence: wanted === undefined || isUnavailable(own) ? 0.6 : 0.95, severity: 'warning', identity: `bind|${at}`,
    explanation: `${who} wanted to bind to ${at} in ${where}, and got EADDRNOTAVAIL. No interface there has that address (an IPv6 address that is still tentative counts as absent). Nothing can be received or sent by the socket.`,
    culprit: { kind: 'process', text: `${who} binds to ${at}, which is no address of ${where}`, pid: call.task.pid, comm: call.task.comm, errno: call.errno },
    evidence: [callLine(evidence, call)],
    remedies: [{ text: `Correct the address in the configuration of ${call.task.comm}, or add it to an interface (ip address add); net.ipv4.ip_nonlocal_bind allows foreign ones.`, risk: 'low' }],
  };
}

export const cause: Cause = {
  id: 'errno.not-a-drop',
  title: 'the call failed before a packet was made',
  needs: ['address'],
  knowledge: {
    what: 'A socket call failed, no packet was dropped with it, and no narrower cause fits. The errno itself says what the kernel objected to.',
    signs: ['an errno and no drop event'],
    fixes: ['what the errno says'],
    functions: [],
    reasons: [],
    errnos: Object.keys(ERRNOS).filter((e) => !OWN.has(e)),
    versions: [],
    sources: ['errno(3)', 'man 2 of the call'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'call' || OWN.has(symptom.call.errno)) return NOT_APPLICABLE;
    const { call } = symptom;
    if (call.syscall === 'bind' && call.errno === 'EADDRNOTAVAIL') return bindElsewhere(call, evidence);
    const meaning = meaningOf(call.errno, call.syscall);
    if (meaning === undefined) return NOT_APPLICABLE;
    const to = call.destination ?? call.socket?.remote;
    const who = `${call.task.comm} (pid ${call.task.pid})`;
    return {
      outcome: 'found',
      confidence: meaning.normal ? 0.45 : 0.3,
      severity: meaning.normal ? 'info' : 'warning',
      identity: `${call.task.comm}|${call.syscall}|${call.errno}|${to ?? ''}`,
      explanation: `${call.syscall} of ${who}${to === undefined ? '' : ` to ${to}`} failed with ${call.errno} in ${netnsText(evidence, call.netns)}. ${meaning.text} No packet was dropped with the call.`,
      culprit: { kind: 'process', text: `${call.syscall} of ${who}: ${call.errno}`, pid: call.task.pid, comm: call.task.comm, errno: call.errno },
      evidence: [callLine(evidence, call)],
      remedies: [{ text: meaning.normal ? meaning.advice : `Look at: ${meaning.advice}.`, risk: 'low' }],
    };
  },
};
