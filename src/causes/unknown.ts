import type { Cause } from '../model/cause.ts';
import { NOT_APPLICABLE } from '../model/finding.ts';
import { netnsText } from '../evidence/netns.ts';

/**
 * None of the other causes fits. Always found, with the least confidence: it says what was seen, and what would tell.
 */
export const cause: Cause = {
  id: 'unknown',
  title: 'the reason is not known yet',
  needs: [],
  knowledge: {
    what: 'A packet was dropped or a call failed, and none of the causes that whydrop knows explains it with the evidence at hand. The place in the kernel and the stack are the best clue.',
    signs: ['A drop reason or an errno that no other cause claims'],
    fixes: ['`whydrop explain SYMBOL` says what the kernel function does', '`whydrop doctor` says which probes are missing'],
    functions: [],
    reasons: [],
    errnos: [],
    versions: [],
    sources: [],
  },
  judge: (symptom, evidence) => {
    const where = netnsText(evidence, symptom.netns);
    switch (symptom.kind) {
      case 'drop': {
        const { place, reason, interface: device, stack } = symptom.drop;
        const symbol = place.name ?? `0x${place.address.toString(16)}`;
        const nameless = place.name === undefined && stack.every((f) => f.name === undefined);
        return {
          outcome: 'found',
          confidence: 0.1,
          severity: 'warning',
          identity: `${symbol}|${reason.name}`,
          explanation: `The kernel dropped packets in ${symbol} with reason ${reason.name}${device === undefined ? '' : ` on ${device}`} in ${where}. None of the causes whydrop knows fits what was seen. ${nameless ? 'Kernel addresses have no names for this user (CAP_SYSLOG is missing, or kernel.kptr_restrict hides them), and most causes are known by the place.' : stack.length > 0 ? 'The stack below says which path the packet took.' : 'No stack was recorded; it would say which path the packet took.'}`,
          culprit: { kind: 'unknown', text: `${symbol}, reason ${reason.name}`, symbol, reason: reason.name },
          evidence: [{ source: 'drop probe', time: evidence.iso(symptom.first), text: `${reason.name} at ${symbol}${stack.length > 0 ? ` from ${stack.slice(0, 6).map((f) => f.name ?? '?').join(' < ')}` : ''}` }],
          remedies: [...(nameless ? [{ text: 'Run whydrop as root or also with CAP_SYSLOG: then the place has a name, and the causes that belong to it are judged.', risk: 'low' as const }] : []), { text: `Read what the kernel function does (whydrop explain ${symbol}) and record the loss for someone who knows this path (whydrop record -o drop.whydrop).`, risk: 'low' }],
        };
      }
      case 'call': {
        const { call } = symptom;
        return {
          outcome: 'found',
          confidence: 0.1,
          severity: 'warning',
          identity: `${call.syscall}|${call.errno}|${call.task.comm}`,
          explanation: `${call.syscall} of ${call.task.comm} (pid ${call.task.pid}) failed with ${call.errno} in ${where}, and no packet was dropped with it. The kernel refused the call before it made a packet. None of the causes whydrop knows fits what was seen.`,
          culprit: { kind: 'unknown', text: `${call.syscall} of ${call.task.comm}: ${call.errno}`, pid: call.task.pid },
          evidence: [{ source: 'call probe', time: evidence.iso(symptom.first), text: `${call.syscall} = -${call.errno}${call.destination === undefined ? '' : ` to ${call.destination}`}` }],
          remedies: [{ text: `Run the program under whydrop why to see every failed call with its arguments.`, risk: 'low' }],
        };
      }
      case 'counter':
        if (symptom.clue === true) return NOT_APPLICABLE;
        return {
          outcome: 'found',
          confidence: 0.1,
          severity: 'warning',
          identity: symptom.counter,
          explanation: `The counter ${symptom.counter} rose by ${symptom.after - symptom.before} in ${where}. It counts losses, and no event told of them.`,
          culprit: { kind: 'unknown', text: symptom.counter },
          evidence: [{ source: 'counters', time: evidence.iso(symptom.first), text: `${symptom.counter}: ${symptom.before} → ${symptom.after}` }],
          remedies: [{ text: `Look the counter up: whydrop explain "${symptom.counter}".`, risk: 'low' }],
        };
      case 'log':
        return NOT_APPLICABLE;
    }
  },
};
