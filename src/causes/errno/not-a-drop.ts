import { netnsText } from '../../evidence/netns.ts';
import { callLine } from '../../evidence/socket/lines.ts';
import type { Cause } from '../../model/cause.ts';
import { NOT_APPLICABLE } from '../../model/finding.ts';
import { ERRNOS, meaningOf } from './knowledge.ts';

/** EPERM and EACCES have causes of their own; where none fits, `unknown` says so. */
const OWN = new Set(['EPERM', 'EACCES']);

export const cause: Cause = {
  id: 'errno.not-a-drop',
  title: 'the call failed before a packet was made',
  needs: [],
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
