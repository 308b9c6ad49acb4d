import { countedHere } from '../../evidence/network/counted.ts';
import { dropLine, symbolOf } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'normal.elsewhere',
  title: 'a loss in another network namespace',
  needs: ['proc'],
  knowledge: {
    what: 'Without BPF, drops of received packets are seen for the whole host, and the trace does not say in which network namespace they happened. Many of them raise a counter of their namespace. Where that counter stands still in the namespace that is watched, the loss is another one\'s.',
    signs: ['Only with --probe tracefs, or on kernels without BPF'],
    fixes: ['Watch the other namespaces, one at a time', 'BPF tells the namespace of every drop: whydrop doctor says what is missing for it'],
    functions: [],
    reasons: [],
    errnos: [],
    versions: [],
    sources: ['include/trace/events/skb.h: kfree_skb has no device'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop' || symptom.drop.probe !== 'tracefs' || !symptom.drop.softirq) return NOT_APPLICABLE;
    const { drop } = symptom;
    const counted = countedHere(evidence, drop);
    if (counted === undefined) return NOT_APPLICABLE;
    if (isUnavailable(counted)) return counted.unavailable === 'pending' ? cannotTell(unavailableText(counted), 'the counters of this namespace') : NOT_APPLICABLE;
    if (counted.by > 0) return ruledOut(`${counted.counter} rose by ${counted.by} here`);
    return {
      outcome: 'found',
      confidence: 0.98,
      severity: 'info',
      identity: 'elsewhere',
      explanation: `Packets were dropped at ${symbolOf(drop)} (${drop.reason.name}) somewhere on this host, and not in ${netnsText(evidence, drop.netns)}. ${counted.counter}, which rises with every such loss, stands still there. The trace itself does not name the namespace.`,
      culprit: { kind: 'unknown', text: `another namespace: ${drop.reason.name} at ${symbolOf(drop)}`, symbol: symbolOf(drop), reason: drop.reason.name },
      evidence: [dropLine(evidence, drop), { source: 'counters', text: `${counted.counter} +0` }],
      remedies: [{ text: 'Nothing need be done here.', risk: 'low' }],
    };
  },
};
