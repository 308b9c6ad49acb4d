import { findOwnerOfMac } from '../../evidence/network/hosts.ts';
import { dropLine, packetText } from '../../evidence/network/words.ts';
import { deleteRule, manglingRules, place, type PlacedRule } from '../../evidence/rules/index.ts';
import { inNetns, netnsText } from '../../evidence/netns.ts';
import type { Netns } from '../../base/brand.ts';
import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, type Finding } from '../../model/finding.ts';
import type { Culprit, EvidenceLine, Remedy } from '../../model/incident.ts';
import type { Defect } from '../../model/packet.ts';
import type { Topic } from '../../model/question.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const brokenNeeds: readonly Topic[] = ['nft', 'iptables', 'iptables-legacy', 'ip6tables', 'ip6tables-legacy', 'ipset', 'link'];

/**
 * A packet that arrived broken: who broke it? A rule here that rewrites what it should not, such a rule at the sender on
 * this host, the sender's card or program, the network between.
 */
export function judgeBroken(drop: DropEvent, evidence: Evidence, what: { readonly noun: string; readonly defects: readonly Defect['kind'][]; readonly sure: number; readonly sender: string }): Finding {
  const rules = manglingRules(evidence, drop.netns);
  const mac = drop.packet.ethernet?.source;
  const owner = mac === undefined ? undefined : findOwnerOfMac(evidence, drop.netns, mac);
  if (isUnavailable(rules) && rules.unavailable === 'pending') return cannotTell(unavailableText(rules), 'the rules');
  if (owner !== undefined && isUnavailable(owner) && owner.unavailable === 'pending') return cannotTell(unavailableText(owner), 'the other namespaces');
  const sender = owner === undefined || isUnavailable(owner) || owner.netns === drop.netns ? undefined : owner;
  const theirs = sender === undefined ? undefined : manglingRules(evidence, sender.netns);
  if (theirs !== undefined && isUnavailable(theirs) && theirs.unavailable === 'pending') return cannotTell(unavailableText(theirs), 'the rules at the sender');
  const where = netnsText(evidence, drop.netns);
  const defect = drop.packet.defects.find((d) => what.defects.includes(d.kind));
  const lines: EvidenceLine[] = [dropLine(evidence, drop), ...(defect === undefined ? [] : [{ source: 'packet bytes', text: defect.text }])];
  const here = isUnavailable(rules) ? undefined : pick(rules, drop);
  const there = theirs === undefined || isUnavailable(theirs) ? undefined : pick(theirs, drop);
  const found = here !== undefined ? { placed: here, netns: drop.netns } : there !== undefined && sender !== undefined ? { placed: there, netns: sender.netns } : undefined;
  const from = drop.packet.ip?.source ?? mac ?? 'the sender';
  const head = `Packets (${packetText(drop)}) were dropped in ${where} because of a ${what.noun}${defect === undefined ? '' : `: ${defect.text}`}.`;
  if (found !== undefined) {
    const { placed, netns } = found;
    const at = netnsText(evidence, netns);
    const step = deleteRule(placed.table, placed.rule);
    return {
      outcome: 'found', confidence: what.sure, severity: 'warning',
      identity: `${netns}|${placed.table.family}|${placed.table.name}|${placed.rule.chain}|${placed.rule.handle ?? placed.rule.position}`,
      explanation: `${head} The rule "${placed.rule.text}" in ${ruleName(placed)} in ${at} rewrites them${placed.rule.counter === undefined ? '' : ` (it has met ${placed.rule.counter.packets} packets)`}. A raw write to header or payload leaves checksums and lengths as they were, so they no longer fit.`,
      culprit: ruleCulprit(evidence, placed, netns),
      evidence: [...lines, { source: placed.table.tool === 'nft' ? 'nft -j list ruleset' : `${placed.table.tool}-save`, text: `${ruleName(placed)} in ${at}: ${placed.rule.text}` }],
      remedies: [{ text: `Delete the rule that rewrites the packets.`, command: inNetns(evidence, netns, step.command), undo: inNetns(evidence, netns, step.undo), risk: 'low' }],
    };
  }
  const who = sender === undefined ? `${from}${mac === undefined ? '' : ` (MAC ${mac})`}` : `${sender.link.name} in ${netnsText(evidence, sender.netns)}`;
  const remedies: Remedy[] = [];
  if (sender !== undefined) remedies.push({ text: `Have ${who} compute checksums itself instead of leaving them to the card.`, command: inNetns(evidence, sender.netns, `ethtool -K ${sender.link.name} tx off`), undo: inNetns(evidence, sender.netns, `ethtool -K ${sender.link.name} tx on`), risk: 'low' });
  remedies.push({ text: `Look at the sender ${who}: ${what.sender}.`, risk: 'low' });
  const culprit: Culprit = { kind: 'peer', text: `sender ${who}: ${what.noun}`, address: from, mac };
  return {
    outcome: 'found', confidence: Math.min(what.sure, 0.9), severity: 'warning', identity: `broken|${from}|${mac ?? ''}`,
    explanation: `${head} No rule here rewrites packets${sender === undefined ? '' : ', nor at the sender'}, so they were made or mangled before they got here. They came from ${who}.`,
    culprit,
    evidence: isUnavailable(rules) ? [...lines, { source: 'rules', text: unavailableText(rules) }] : [...lines, { source: 'nft -j list ruleset', text: `no rule in ${where} rewrites packets` }],
    remedies,
  };
}

const ruleName = (p: PlacedRule): string => `${place(p.table, p.rule)} of ${p.table.family} ${p.table.name}`;

export function ruleCulprit(evidence: Evidence, placed: PlacedRule, netns: Netns): Culprit {
  const { table, rule } = placed;
  return { kind: 'rule', text: `${table.tool === 'nft' ? '' : `${table.tool} `}table ${table.family} ${table.name} chain ${rule.chain}: ${rule.text}`, tool: table.tool, family: table.family, table: table.name, chain: rule.chain, handle: rule.handle, position: rule.position, rule: rule.text, netns: evidence.host.netnsNames.get(netns) ?? netns };
}

/** The rule that can have broken this packet: of its family, writing bytes, one that has met packets first. */
function pick(rules: readonly PlacedRule[], drop: DropEvent): PlacedRule | undefined {
  const version = drop.packet.ip?.version;
  // nft prints a raw write by the field's name where it has one (`ip ttl set 33`); iptables' own targets mend checksums
  const writes = new Set(['payload', 'ttl', 'dscp', 'other']);
  const fit = rules.filter((r) => r.rule.effects.some((e) => (r.table.tool === 'nft' ? writes.has(e.kind) : e.kind === 'payload')) && (r.table.family === 'netdev' || r.table.family === 'inet' || r.table.family === 'bridge' || (r.table.family === 'ip6') === (version === 6)));
  const devices = fit.filter((r) => r.chain.base?.devices === undefined || drop.interface === undefined || r.chain.base.devices.includes(drop.interface));
  const list = devices.length > 0 ? devices : fit;
  const score = (r: PlacedRule): number => (r.rule.counter === undefined ? 1 : r.rule.counter.packets > 0 ? 2 : 0) + mentions(r.rule.text, drop);
  return [...list].sort((a, b) => score(b) - score(a))[0];
}

function mentions(text: string, drop: DropEvent): number {
  const t = drop.packet.transport;
  const ports = t !== undefined && 'sourcePort' in t ? [t.sourcePort, t.destinationPort] : [];
  const proto = t?.kind;
  const named = /\b(udp|tcp|icmp|sctp)\b/.exec(text)?.[1];
  return (ports.some((p) => new RegExp(`\\b${p}\\b`).test(text)) ? 2 : 0) - (named !== undefined && proto !== undefined && named !== proto ? 4 : 0);
}
