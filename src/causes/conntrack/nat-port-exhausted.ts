import { hookText, suspicionOf, widened, type Suspicion } from '../../evidence/conntrack/index.ts';
import { inNetns, netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';
import { natChoice, type NatChoice } from './nat-choice.ts';
import { whatHappened } from './words.ts';

function judge(symptom: Symptom, evidence: Evidence): Finding {
  const s = suspicionOf(symptom, evidence);
  if (s === undefined || s.drop === undefined) return NOT_APPLICABLE;
  if (s.stage !== 'confirm' || s.hook?.hook !== 'postrouting') return s.stage === 'unknown' ? NOT_APPLICABLE : ruledOut(`it died at ${hookText(s) ?? 'another hook'}, and source translation chooses its ports at POSTROUTING`);
  if (s.unconfirmed === false) return ruledOut('its connection was in the table already, with its ports chosen');
  const choice = natChoice(s, evidence);
  if (choice === undefined) return ruledOut('no source translation was made for it');
  if (isUnavailable(choice)) return cannotTell(unavailableText(choice), 'the translation rules and the connection table');
  const size = choice.high - choice.low + 1;
  if (!choice.exhausted) return choice.partial ? cannotTell(`at least ${choice.taken} of ${size} ports are taken; the table is too long to be read whole`, `conntrack -L | grep -c ${choice.address}`) : ruledOut(`${choice.taken} of the ${size} ports that ${choice.rule.words} may choose from were taken for ${choice.peer}`);
  if (!isUnavailable(s.losses) && s.losses.clash === 0) return ruledOut('insert_failed and drop of conntrack did not move together');
  return verdict(s, evidence, choice, size);
}

function verdict(s: Suspicion, evidence: Evidence, choice: NatChoice, size: number): Finding {
  const where = netnsText(evidence, s.netns);
  const range = choice.low === choice.high ? `port ${choice.low}` : `ports ${choice.low} to ${choice.high}`;
  return {
    outcome: 'found',
    confidence: s.unconfirmed === true || !isUnavailable(s.losses) ? 0.97 : 0.85,
    severity: 'critical',
    identity: choice.rule.words,
    explanation: `${whatHappened(s, evidence)} Source translation in ${where} found no free port: the rule "${choice.rule.words}" may choose from ${range} (${size}), and ${choice.taken} of them are taken at ${choice.address} for connections to ${choice.peer}. The connection kept a tuple that another one has, so conntrack could not insert it and dropped its packet.`,
    culprit: { kind: 'rule', text: `${choice.rule.words}: ${choice.taken} of ${size} ports are taken for ${choice.peer}`, tool: choice.rule.placed.table.tool, family: choice.rule.placed.table.family, table: choice.rule.placed.table.name, chain: choice.rule.placed.chain.name, position: choice.rule.placed.rule.position, ...(choice.rule.placed.rule.handle === undefined ? {} : { handle: choice.rule.placed.rule.handle }), rule: choice.rule.placed.rule.text, low: choice.low, high: choice.high, taken: choice.taken },
    ...(hookText(s) === undefined ? {} : { hook: hookText(s)! }),
    evidence: [...s.lines, { source: choice.rule.placed.table.tool === 'nft' ? 'nft -j list ruleset' : `${choice.rule.placed.table.tool}-save -c`, text: choice.rule.words }, { source: 'conntrack table', time: evidence.iso(evidence.now), text: `${choice.partial ? 'at least ' : ''}${choice.taken} of ${size} ports taken at ${choice.address} towards ${choice.peer}` }],
    remedies: remedies(s, evidence, choice),
  };
}

function remedies(s: Suspicion, evidence: Evidence, choice: NatChoice): Remedy[] {
  const wide = choice.rule.ports !== undefined || choice.low < 1024 ? widened(evidence, s.netns, choice.rule) : undefined;
  const protocol = s.original?.protocol === 6 ? ' -p tcp' : s.original?.protocol === 17 ? ' -p udp' : '';
  return [
    ...(wide === undefined ? [] : [{ text: `Let the rule use all ports: put it back in its place as "${wide.text}". New connections work at once, those there are keep their entries.`, command: wide.command, undo: wide.undo, risk: 'low' } as const]),
    { text: `Free the ports of connections that are no longer needed: entries towards ${choice.peer} are deleted, live ones among them get a new port.`, command: inNetns(evidence, s.netns, `conntrack -D${protocol} --reply-dst ${choice.address}`), risk: 'medium' },
    { text: choice.rule.masquerade ? 'Give the gateway more addresses and translate with SNAT to the range of them: each address has ports of its own for every peer.' : 'Translate to a range of addresses (--to-source FIRST-LAST, snat to FIRST-LAST): each address has ports of its own for every peer.', risk: 'medium' },
  ];
}

export const cause: Cause = {
  id: 'conntrack.nat-port-exhausted',
  title: 'source translation (SNAT, MASQUERADE) has no free port left',
  needs: ['conntrack-table', 'nft', 'iptables', 'ip6tables', 'iptables-legacy', 'ip6tables-legacy', 'proc', 'conntrack-stats', 'link', 'ipset', 'route-get', 'address', 'sysctl', 'ebtables', 'arptables', 'process', 'socket-owner'],
  knowledge: {
    what: 'Source translation must give every connection to one peer address and port a source port of its own. When all ports that the rule may choose from are taken, the connection keeps a tuple that another one has, conntrack cannot insert it, and the packet is dropped. Without a range in the rule the choice is that of the original port: 1 to 511, 600 to 1023, or 1024 to 65535.',
    signs: ['insert_failed and drop grow together in /proc/net/stat/nf_conntrack', 'NETFILTER_DROP at nf_hook_slow under ip_output (POSTROUTING)', 'the first clients reach a server, later ones do not', 'as many entries towards one peer as the rule has ports'],
    fixes: ['a larger range in the SNAT or MASQUERADE rule, or none', 'more source addresses', 'shorter timeouts, or conntrack -D for stale entries'],
    functions: ['nf_hook_slow', '__nf_conntrack_confirm', 'nf_nat_l4proto_unique_tuple', 'get_unique_tuple', 'nf_nat_used_tuple'],
    reasons: ['NETFILTER_DROP'],
    errnos: ['EPERM'],
    versions: ['since 5.0 at most 128 ports of a larger range are tried for one connection (fewer with each further round), so a nearly full range fails too'],
    sources: ['net/netfilter/nf_nat_core.c', 'net/netfilter/nf_conntrack_core.c', 'iptables-extensions(8)'],
  },
  judge,
};
