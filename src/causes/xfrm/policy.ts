import { routedPacket } from '../../evidence/network/packet.ts';
import { procLines, xfrmBlockedByDefault, xfrmPolicies, xfrmStates } from '../../evidence/network/read.ts';
import { isForwarded, symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { policyFor, policyText } from '../../evidence/network/xfrm.ts';
import { iproute, netnsText } from '../../evidence/netns.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import type { XfrmPolicy, XfrmState } from '../../model/network.ts';
import type { Topic } from '../../model/question.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const xfrmNeeds: readonly Topic[] = ['xfrm-policy', 'xfrm-state', 'proc', 'link'];

/** No state where one is needed: the dead end that xfrm gives such packets, and the input path of ESP and AH. */
const STATELESS = /^(dst_discard|dst_discard_out|xdst_queue_output|xfrm_input|xfrm4_rcv_encap|xfrm6_rcv_spi|xfrm_output_resume|xfrm_output2|xfrm4_rcv|esp_input)$/;

/** Judges a symptom against the IPsec policies: one that blocks or demands protection, or one whose state is missing. */
export function judgeXfrm(kind: 'policy-block' | 'no-state', symptom: Symptom, evidence: Evidence): Finding {
  const reason = symptom.kind === 'drop' ? symptom.drop.reason.name : '';
  if (symptom.kind === 'drop') {
    const stateless = reason === 'NOT_SPECIFIED' && STATELESS.test(symbolOf(symptom.drop));
    if (reason !== 'XFRM_POLICY' && !stateless && !reason.startsWith('XFRM_')) return NOT_APPLICABLE;
  } else if (symptom.kind !== 'call' || !['EPERM', 'EAGAIN', 'ESRCH', 'ENETUNREACH', 'EHOSTUNREACH'].includes(symptom.call.errno)) return NOT_APPLICABLE;
  else if (symptom.call.errno !== 'EPERM' && kind === 'policy-block') return NOT_APPLICABLE;
  const routed = routedPacket(evidence, symptom);
  if (routed === undefined) return NOT_APPLICABLE;
  if (isUnavailable(routed)) return cannotTell(unavailableText(routed), 'the interfaces');
  const policies = xfrmPolicies(evidence, symptom.netns);
  const states = xfrmStates(evidence, symptom.netns);
  if (isUnavailable(policies)) return cannotTell(unavailableText(policies), 'ip xfrm policy');
  const directions = symptom.kind === 'call' || !routed.received ? (['out'] as const) : isForwarded(symptom.drop) ? (['fwd', 'out'] as const) : reason === 'XFRM_POLICY' ? (['in', 'fwd'] as const) : (['out', 'in'] as const);
  const policy = directions.map((d) => policyFor(policies, d, routed.packet)).find((p) => p !== undefined);
  if (policy === undefined) {
    const blocked = xfrmBlockedByDefault(evidence, symptom.netns);
    const direction = isUnavailable(blocked) ? undefined : directions.find((d) => blocked.includes(d));
    if (kind === 'policy-block' && (reason === 'XFRM_POLICY' || (direction !== undefined && symptom.kind === 'call' && symptom.call.errno === 'EPERM'))) return defaultBlock(symptom, evidence, direction ?? directions[0], direction !== undefined);
    return ruledOut(policies.length === 0 ? 'there are no IPsec policies' : 'no IPsec policy matches this flow');
  }
  if (policy.action === 'block') return kind === 'policy-block' ? found(symptom, evidence, policy, routed.to, 'block') : NOT_APPLICABLE;
  if (policy.templates.length === 0) return ruledOut(`the IPsec policy ${policyText(policy)} allows it`);
  if (policy.direction !== 'out') return kind === 'policy-block' && reason === 'XFRM_POLICY' ? found(symptom, evidence, policy, routed.to, 'unprotected') : NOT_APPLICABLE;
  if (kind === 'policy-block') return NOT_APPLICABLE;
  if (isUnavailable(states)) return cannotTell(unavailableText(states), 'ip xfrm state');
  const missing = policy.templates.filter((t) => !t.optional && !states.some((s) => fits(s, t, routed.to)));
  if (missing.length === 0) return ruledOut('the states that the IPsec policy asks for are there');
  return found(symptom, evidence, policy, routed.to, 'no state');
}

function fits(s: XfrmState, t: XfrmPolicy['templates'][number], to: string): boolean {
  const end = t.destination === '0.0.0.0' || t.destination === '::' || t.destination === '' ? to : t.destination;
  return s.protocol === t.protocol && s.destination === end && (t.reqid === undefined || t.reqid === 0 || s.reqid === t.reqid);
}

function found(symptom: Symptom, evidence: Evidence, policy: XfrmPolicy, to: string, what: 'block' | 'unprotected' | 'no state'): Finding {
  const where = netnsText(evidence, symptom.netns);
  const text = policyText(policy);
  const stat = procLines(evidence, symptom.netns, 'net/xfrm_stat');
  if (isUnavailable(stat) && stat.unavailable === 'pending') return cannotTell(unavailableText(stat), '/proc/net/xfrm_stat');
  const counters = isUnavailable(stat) ? '' : stat.filter((l) => /(PolBlock|NoStates|NoPols|TmplMismatch)\s+[1-9]/.test(l)).map((l) => l.trim().replace(/\s+/, ' ')).join(', ');
  const t = policy.templates[0];
  const template = t === undefined ? '' : `${t.protocol} ${t.mode ?? ''} from ${t.source} to ${t.destination}${t.reqid === undefined ? '' : ` reqid ${t.reqid}`}`.replace(/ {2,}/g, ' ');
  const del = iproute(evidence, symptom.netns, 'ip', `xfrm policy del ${text}`);
  const add = iproute(evidence, symptom.netns, 'ip', `xfrm policy add ${text}${policy.action === 'block' ? ' action block' : ''} priority ${policy.priority}${policy.templates.map((p) => ` tmpl src ${p.source} dst ${p.destination} proto ${p.protocol}${p.reqid === undefined ? '' : ` reqid ${p.reqid}`}${p.mode === undefined ? '' : ` mode ${p.mode}`}`).join('')}`);
  const remedies: Remedy[] = [];
  if (what === 'no state') remedies.push({ text: `Set the states up: start the key daemon (IKE) or see why its negotiation fails.`, risk: 'low' });
  remedies.push({ text: what === 'block' ? 'Delete the policy that blocks.' : 'Or delete the policy: the packets then travel unprotected.', command: del, undo: add, risk: what === 'block' ? 'medium' : 'high' });
  if (remedies[0]?.command === undefined) remedies.reverse();
  const call = symptom.kind === 'call' ? ` The caller gets ${symptom.call.errno}, and no packet is ever made.` : '';
  const why = what === 'block' ? 'Its action is to block whatever matches.'
    : what === 'unprotected' ? `It lets packets in only when they came through IPsec (${template}), and these did not.`
    : `It asks for IPsec (${template}), and there is no such state, so the packets go nowhere while keys are missing.`;
  return {
    outcome: 'found',
    confidence: what === 'unprotected' ? 0.93 : 0.97,
    severity: 'warning',
    identity: `xfrm|${text}`,
    explanation: `Packets for ${to} were refused by IPsec policy in ${where}. The policy ${text} (priority ${policy.priority}) matches them. ${why}${call}`,
    culprit: { kind: 'xfrm-policy', text: `xfrm policy ${text} action ${policy.action} priority ${policy.priority}`, direction: policy.direction, source: policy.selector.source, destination: policy.selector.destination, action: policy.action, priority: policy.priority, index: policy.index },
    evidence: [symptomLine(evidence, symptom), { source: 'ip xfrm policy', text: `${text} action ${policy.action} priority ${policy.priority}${template === '' ? '' : ` tmpl ${template}`}` }, ...(what === 'no state' ? [{ source: 'ip xfrm state', text: `no state ${template}` }] : []), ...(counters === '' ? [] : [{ source: '/proc/net/xfrm_stat', text: counters }])],
    remedies,
  };
}

function defaultBlock(symptom: Symptom, evidence: Evidence, direction: 'in' | 'out' | 'fwd', seen: boolean): Finding {
  const where = netnsText(evidence, symptom.netns);
  return {
    outcome: 'found', confidence: seen ? 0.97 : 0.75, severity: 'warning', identity: `xfrm default|${direction}`,
    explanation: `IPsec policy refused packets in ${where}, and no policy in the list matches them. ${seen ? `The default policy of direction ${direction} is to block what no other matches (ip xfrm policy getdefault).` : `So it is the default policy of direction ${direction}, set to block, or a policy of the socket itself. \`ip xfrm policy getdefault\` tells.`}${symptom.kind === 'call' ? ` The caller gets ${symptom.call.errno}, and no packet is ever made.` : ''}`,
    culprit: { kind: 'xfrm-policy', text: `xfrm default policy, direction ${direction}`, direction, action: 'block' },
    evidence: [symptomLine(evidence, symptom), { source: 'ip xfrm policy', text: `no policy matches${seen ? `; default policy: ${direction} block` : ''}` }],
    remedies: [{ text: 'Set the default policy to accept.', command: iproute(evidence, symptom.netns, 'ip', `xfrm policy setdefault ${direction} accept`), undo: iproute(evidence, symptom.netns, 'ip', `xfrm policy setdefault ${direction} block`), risk: 'high' }],
  };
}
