import { clip, plural } from '../../base/text.ts';
import { hookName, matchedInvalid, place, remediesFor, rulesInnocent, sources, trial, whereText, type DroppingRule, type Trial } from '../../evidence/rules/index.ts';
import { conversation } from '../../evidence/rules/flow-spec.ts';
import { protocolName } from '../../evidence/rules/protocol-name.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding, type Found } from '../../model/finding.ts';
import type { Culprit, EvidenceLine, Remedy } from '../../model/incident.ts';
import type { DropSymptom, Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

/** What the causes of this area have in common: they ask the same trial and differ in what they look for. */
export function judgeRules(symptom: Symptom, evidence: Evidence, wanted: (found: DroppingRule) => boolean): Finding {
  const found = trial(evidence, symptom);
  if (found === undefined || symptom.kind !== 'drop') return NOT_APPLICABLE;
  if (isUnavailable(found)) return cannotTell(`the rules could not be listed: ${unavailableText(found)}`, found.fix ?? 'nft or iptables-save, run as root');
  const { culprit } = found;
  if (culprit === undefined) {
    const innocent = rulesInnocent(evidence, symptom);
    return isUnavailable(innocent) ? cannotTell(unavailableText(innocent), 'a complete listing of the rules and the captured packet') : ruledOut(innocent);
  }
  if (!wanted(culprit)) return ruledOut(`${whereText(culprit)} ${culprit.action === 'policy' ? 'has the policy that dropped it' : `fits: ${culprit.rule?.text ?? ''}`}`);
  return verdict(symptom, evidence, found, culprit);
}

function verdict(symptom: DropSymptom, evidence: Evidence, found: Trial, culprit: DroppingRule): Found {
  const { table, chain, rule, hook } = culprit;
  const counter = counterText(culprit);
  const about = conversation(symptom.drop);
  const { remedies, forFlow, forAll } = remediesFor(evidence, symptom, found, culprit);
  // what makes a packet INVALID is the better answer, where there is one
  const confidence = matchedInvalid(culprit) ? Math.min(culprit.confidence, 0.93) : culprit.confidence;
  const object = `${table.tool} ${table.family} ${table.name} ${chain.name} ${rule === undefined ? 'policy' : (rule.handle ?? `${rule.position} ${rule.text}`)} ${culprit.hit?.element ?? ''}`;
  return {
    outcome: 'found', confidence, severity: about === 'background' ? 'info' : 'warning',
    identity: `${object}${forFlow || about === 'background' ? ` ${about}` : ''}`,
    ...(forFlow && about !== 'background' ? { wider: wider(symptom, evidence, culprit, object, found, forAll) } : {}),
    explanation: `${whatHappened(symptom, evidence, culprit)} ${whyIt(culprit, found)} ${how(culprit, counter)}`,
    culprit: culpritOf(culprit),
    hook: hookName(hook.hook),
    evidence: lines(symptom, evidence, found, culprit, counter),
    remedies,
  };
}

/** The same of many conversations: what lets all of them through, for the one who says that they are welcome. */
function wider(symptom: DropSymptom, evidence: Evidence, c: DroppingRule, identity: string, found: Trial, forAll: Remedy): NonNullable<Found['wider']> {
  return {
    identity: `${identity} and many more`,
    explanation: `Many different conversations end at ${hookName(c.hook.hook)} in ${netnsText(evidence, symptom.netns)}; one of them: ${flowText(symptom.drop)}. ${whyIt(c, found)} When one host tries many ports or addresses, this is what a scan looks like, and nothing needs changing.`,
    remedies: [forAll, { text: 'Or accept only those that are welcome, by address and port, before it.', risk: 'low' }],
  };
}

export function flowText(drop: DropEvent): string {
  const { ip, arp, transport, ethernet } = drop.packet;
  if (ip === undefined) {
    if (arp !== undefined) return arp.operation === 1 ? `the ARP request of ${arp.sender} (${arp.senderMac}) for ${arp.target}` : `the ARP reply of ${arp.sender} (${arp.senderMac}) to ${arp.target}`;
    return ethernet === undefined ? 'a packet' : `a frame from ${ethernet.source} to ${ethernet.destination}`;
  }
  const end = (address: string, port: number | undefined): string => (port === undefined ? address : ip.version === 6 ? `[${address}]:${port}` : `${address}:${port}`);
  const ports = transport !== undefined && 'sourcePort' in transport ? transport : undefined;
  const type = transport?.kind === 'icmp' || transport?.kind === 'icmp6' ? ` type ${transport.type}` : '';
  return `the ${protocolName(ip.protocol)} packet${type} ${end(ip.source, ports?.sourcePort)} → ${end(ip.destination, ports?.destinationPort)}`;
}

function whatHappened(symptom: DropSymptom, evidence: Evidence, c: DroppingRule): string {
  const subject = flowText(symptom.drop);
  const where = `at ${hookName(c.hook.hook)}${c.hook.bridged ? ' (for bridged frames, by br_netfilter)' : ''} in ${netnsText(evidence, symptom.netns)}`;
  const call = symptom.call === undefined ? '' : `, and ${symptom.call.syscall} of ${symptom.call.task.comm} (pid ${symptom.call.task.pid}) failed with ${symptom.call.errno}`;
  const verb = c.action === 'reject' ? 'rejected' : c.action === 'queue' ? 'dropped, because nobody reads the queue it was sent to' : 'dropped';
  return `${subject.charAt(0).toUpperCase()}${subject.slice(1)} was ${verb} ${where}${call}.`;
}

function whyIt(c: DroppingRule, found: Trial): string {
  if (c.rule === undefined) return `No rule of chain ${c.base.name} (${whereText(c)}) accepts it, and the chain's policy is drop; ${plural(found.rules, 'rule')} ${found.rules === 1 ? 'was' : 'were'} tried.`;
  const hit = c.hit === undefined || c.hit.set === '' ? '' : `, and its ${c.hit.kind === 'ipset' ? 'ipset' : 'set'} ${c.hit.set} holds ${c.hit.element}`;
  const proxy = c.action === 'steal' ? ' TPROXY hands packets to a socket that listens on its port; nobody listens there, and then it drops them.' : '';
  const last = c.via?.at(-1);
  const way = c.base === c.chain ? '' : `, reached from ${c.base.name}${last === undefined ? '' : ` by ${place(c.table, last)} (${clip(last.text, 120)})`},`;
  return `The rule is ${whereText(c)}${way} with the text "${clip(c.rule.text, 300)}"${hit}.${proxy}`;
}

function how(c: DroppingRule, counter: string | undefined): string {
  const doubt = c.doubts.length === 0 ? '' : ` Not evaluated: ${c.doubts.join('; ')}.`;
  const rivals = c.rivals.length === 0 ? '' : ` Also possible: ${c.rivals.map(whereText).join('; ')}.`;
  const sure = c.certain ? 'Every match of it was evaluated against this packet' : 'It is the rule that fits this packet';
  const head = c.rule === undefined ? 'Nothing at this hook fits it otherwise' : sure;
  return `${head}${counter === undefined ? '' : `, and ${counter}`}.${doubt}${rivals}`;
}

function counterText(c: DroppingRule): string | undefined {
  const subject = c.rule === undefined ? 'the counter of the policy' : 'its counter';
  if (c.moved !== undefined && c.counterBefore !== undefined && c.counterAfter !== undefined && c.moved > 0) return `${subject} went from ${c.counterBefore.packets} to ${c.counterAfter.packets} packets`;
  return c.counterAfter === undefined ? undefined : `${subject} stands at ${plural(c.counterAfter.packets, 'packet')}`;
}

function culpritOf(c: DroppingRule): Culprit {
  const { table, chain, rule } = c;
  const common = {
    tool: table.tool, family: table.family, table: table.name, chain: chain.name,
    ...(c.counterBefore === undefined ? {} : { counterBefore: c.counterBefore }), ...(c.counterAfter === undefined ? {} : { counterAfter: c.counterAfter }),
  };
  if (rule === undefined) return { kind: 'policy', text: `${whereText(c)}: policy drop`, ...common, policy: 'drop', hook: c.hook.hook };
  const hit = c.hit === undefined || c.hit.set === '' ? {} : { set: c.hit.set, element: c.hit.element };
  const queue = rule.action.do === 'queue' ? { queue: rule.action.first, ...(rule.action.last === rule.action.first ? {} : { queueLast: rule.action.last }) } : {};
  const words = table.tool === 'nft' ? `${table.family} ${table.name} ${chain.name} ${rule.text}` : `${table.tool} -t ${table.name} -A ${chain.name} ${rule.text}`;
  return {
    kind: 'rule', text: `${place(table, rule)}: ${words}${c.hit === undefined || c.hit.set === '' ? '' : ` (element ${c.hit.element} of ${c.hit.set})`}${rule.action.do === 'queue' ? ` (queue ${rule.action.first})` : ''}`,
    ...common, ...(rule.handle === undefined ? {} : { handle: rule.handle }), position: rule.position, rule: rule.text, ...hit, ...queue,
  };
}

function lines(symptom: DropSymptom, evidence: Evidence, found: Trial, c: DroppingRule, counter: string | undefined): EvidenceLine[] {
  const { drop } = symptom;
  const at = `${drop.place.name ?? 'an unnamed place'}${drop.place.offset === undefined ? '' : `+0x${drop.place.offset.toString(16)}`}`;
  const result: EvidenceLine[] = [
    { source: 'drop probe', time: evidence.iso(drop.time), text: `${drop.reason.name} at ${at}: ${flowText(drop)}, hook ${hookName(c.hook.hook)}${drop.interface === undefined ? '' : `, interface ${drop.interface}`}` },
    { source: sources(found.hook.family), text: c.rule === undefined ? `chain ${c.chain.name}: policy drop; ${plural(found.rules, 'rule')} in ${plural(found.chains, 'chain')} tried` : `${place(c.table, c.rule)}: ${clip(c.rule.text, 400)}` },
  ];
  if (drop.verdict !== undefined) result.push({ source: 'nft trace', text: `verdict drop of ${drop.verdict.rule === undefined ? 'the policy' : `the rule with handle ${drop.verdict.rule}`} in chain ${drop.verdict.chain} of table ${drop.verdict.table}` });
  if (counter !== undefined) result.push({ source: sources(found.hook.family), text: counter });
  if (drop.conntrack !== undefined || c.rule?.text.match(/\bct ?state/) !== null) result.push({ source: 'drop probe', text: conntrackText(drop) });
  for (const m of found.listing.missing) result.push({ source: 'whydrop', text: `not looked at: ${unavailableText(m)}` });
  return result;
}

const STATES = ['ESTABLISHED', 'RELATED', 'NEW'] as const;

function conntrackText(drop: DropEvent): string {
  const ct = drop.conntrack;
  if (ct === undefined) return drop.probe === 'bpf' ? 'the packet carried no conntrack entry: INVALID for rules' : 'the packet\'s conntrack state is not known from this probe';
  return ct.info === 7 ? 'the packet was exempt from tracking: UNTRACKED for rules' : `the packet's conntrack state was ${STATES[ct.info % 3] ?? '?'}${ct.info >= 3 ? ', in reply direction' : ''}`;
}
