import { droppedByNetfilter, hookOf, trial } from '../../evidence/rules/index.ts';
import { ask } from '../../evidence/fact.ts';
import { identityOf } from '../../evidence/process/facts.ts';
import { hindranceOf, hindranceRemedy } from '../../evidence/process/state.ts';
import { processText } from '../../evidence/process/words.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Cause } from '../../model/cause.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';
import { judgeRules } from './verdict.ts';

export const cause: Cause = {
  id: 'netfilter.queue-no-listener',
  title: 'a rule sends it to a queue that nobody reads',
  needs: ['nft', 'iptables', 'iptables-legacy', 'ip6tables', 'ip6tables-legacy', 'ebtables', 'arptables', 'ipset', 'link', 'route-get', 'proc', 'process'],
  knowledge: {
    what: 'An NFQUEUE or queue rule hands packets to a program in user space (an intrusion detection system, a proxy). When no program has that queue open, the kernel drops them; when the program is too slow and the queue full, as well. With the bypass flag they would be accepted instead.',
    signs: ['drop at nf_queue, reason NOT_SPECIFIED', '/proc/net/netfilter/nfnetlink_queue has no line for the queue number', 'the rule\'s counter rises'],
    fixes: ['start the program that reads the queue', 'add bypass to the rule (--queue-bypass, queue flags bypass)', 'delete the rule'],
    functions: ['nf_queue', 'nfqnl_enqueue_packet'],
    reasons: ['NOT_SPECIFIED', 'NETFILTER_DROP'],
    errnos: [],
    versions: ['4.10: a sender on this host is told nothing'],
    sources: ['net/netfilter/nf_queue.c', 'net/netfilter/nfnetlink_queue.c', 'iptables-extensions(8)', 'nft(8)'],
  },
  judge,
};

function judge(symptom: Symptom, evidence: Evidence): Finding {
  if (symptom.kind !== 'drop' || !droppedByNetfilter(symptom) || hookOf(symptom)?.by !== 'queue') return NOT_APPLICABLE;
  const finding = judgeRules(symptom, evidence, (found) => found.action === 'queue');
  const found = trial(evidence, symptom);
  if (finding.outcome !== 'found' || found === undefined || isUnavailable(found)) return finding;
  const action = found.culprit?.rule?.action;
  if (action?.do !== 'queue') return finding;
  const answer = evidence.answer(ask('proc', symptom.netns, 'net/netfilter/nfnetlink_queue'));
  if (isUnavailable(answer) && answer.unavailable !== 'missing') return answer.unavailable === 'pending' ? cannotTell(unavailableText(answer), 'the list of queues') : finding;
  // queue number, port id of the reader, packets waiting, copy mode, copy range, dropped by full queue, dropped on the way to the reader, id, 1
  const text = isUnavailable(answer) ? '' : typeof answer.body === 'string' ? answer.body : new TextDecoder().decode(answer.body);
  const readers = new Map(text.split('\n').map((l) => l.trim().split(/\s+/).map(Number)).filter((w) => w.length >= 7).map((w) => [w[0] as number, w] as const));
  const queues = Array.from({ length: Math.min(64, action.last - action.first + 1) }, (_, i) => action.first + i);
  const unread = queues.filter((q) => !readers.has(q));
  const name = action.first === action.last ? `queue ${action.first}` : `queues ${action.first} to ${action.last}`;
  if (unread.length === 0) {
    const dropped = queues.reduce((n, q) => n + (readers.get(q)?.[5] ?? 0) + (readers.get(q)?.[6] ?? 0), 0);
    if (dropped === 0) return ruledOut(`${name} is read by port id ${readers.get(action.first)?.[1] ?? 0}, and nothing was lost on the way to it`);
    return full(finding, evidence, name, queues.map((q) => readers.get(q) ?? []).reduce((worst, r) => ((r[5] ?? 0) + (r[6] ?? 0) > (worst[5] ?? 0) + (worst[6] ?? 0) ? r : worst)), dropped);
  }
  return {
    ...finding, confidence: Math.max(finding.confidence, 0.97),
    evidence: [...finding.evidence, { source: '/proc/net/netfilter/nfnetlink_queue', text: readers.size === 0 ? 'no queue has a reader' : `queues with a reader: ${[...readers.keys()].join(', ')}; not ${unread.slice(0, 8).join(', ')}` }],
    remedies: [...finding.remedies, { text: `Or start the program that reads ${name}`, risk: 'low' }],
  };
}

/** The queue has a reader that does not keep up, or does not read at all. `row`: the queue's line of nfnetlink_queue. */
function full(finding: Extract<Finding, { outcome: 'found' }>, evidence: Evidence, name: string, row: readonly number[], dropped: number): Finding {
  const [, port = 0, waiting = 0] = row;
  // a netlink socket's port id is its program's pid, as long as it is the first one that the program opens
  const process = identityOf(evidence, port);
  if (isUnavailable(process) && process.unavailable === 'pending') return cannotTell(unavailableText(process), 'the process that reads the queue');
  const reader = isUnavailable(process) ? undefined : process;
  const hindrance = reader === undefined ? undefined : hindranceOf(evidence, reader.pid);
  const who = reader === undefined ? `a program (netlink port id ${port})` : processText(reader);
  const state = hindrance === 'stopped' ? ', which is stopped' : hindrance === 'traced' ? ', which a debugger holds' : '';
  return {
    ...finding,
    confidence: Math.min(finding.confidence, 0.9),
    identity: `${finding.identity} full`,
    explanation: `${finding.explanation.replace('because nobody reads the queue it was sent to', 'because the queue it was sent to is full')} ${name.charAt(0).toUpperCase()}${name.slice(1)} is read by ${who}${state}, but it does not give its verdicts fast enough: ${waiting} packets wait, and ${dropped} were dropped because the queue was full.`,
    culprit: { ...finding.culprit, text: `${finding.culprit.text}, full: ${reader === undefined ? who : `${reader.comm} (pid ${reader.pid})`}${state} does not keep up`, ...(reader === undefined ? {} : { pid: reader.pid }) },
    evidence: [...finding.evidence, { source: '/proc/net/netfilter/nfnetlink_queue', text: `${name}: reader ${port}, ${waiting} waiting, ${dropped} dropped because it is too slow` }],
    remedies: [
      ...(reader !== undefined && hindrance !== undefined ? [hindranceRemedy(reader, hindrance)] : []),
      ...finding.remedies,
      { text: `Or let ${reader?.comm ?? 'the program'} use a longer queue and several of them (--queue-balance), or have the kernel accept what does not fit (NFQA_CFG_F_FAIL_OPEN).`, risk: 'low' },
    ],
  };
}
