import { plural } from '../../base/text.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { PostMortemFacts } from '../../evidence/post-mortem/index.ts';
import { droppedByNetfilter, hookOf } from '../../evidence/rules/index.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { RuleVerdict } from '../../model/event.ts';
import type { Symptom } from '../../model/symptom.ts';
import { cause as live } from '../netfilter/rule-drop.ts';

/** A rule from listings alone: the packet's headers were not kept, so its counter and its hook have to tell. */
export function ruleDropFrom(facts: PostMortemFacts): Cause {
  return { ...live, needs: [], judge: (symptom, evidence) => judge(symptom, evidence, facts) };
}

function judge(symptom: Symptom, evidence: Evidence, facts: PostMortemFacts): Finding {
  const refused = symptom.kind === 'call' && symptom.call.errno === 'EPERM' && /^(?:send|write|transmit)/.test(symptom.call.syscall);
  if (!refused && !(symptom.kind === 'drop' && droppedByNetfilter(symptom))) return NOT_APPLICABLE;
  const hook = hookOf(symptom);
  const byNft = hook === undefined ? symptom.kind === 'drop' && symptom.drop.place.name === 'nft_do_chain' : hook.by === 'nft';
  const own = facts.rules.filter((r) => r.netns === symptom.netns);
  const near = own.length > 0 ? own : facts.rules.filter((r) => r.netns === undefined);
  // who freed the packet says which tables to look at; iptables -L may be of either kind
  const nft = near.filter((r) => r.engine === 'nft');
  const mine = byNft ? (nft.length > 0 ? nft : near.filter((r) => r.engine !== 'legacy')) : near;
  if (mine.length === 0 && (byNft || (symptom.kind === 'drop' && symptom.drop.verdict !== undefined))) return byNftables(symptom, evidence, hook?.hook.toUpperCase());
  if (mine.length === 0) return cannotTell('no listing of the rules is among the files', 'iptables-save -c and nft -j list ruleset, before and after');
  const wanted = hook === undefined ? (refused ? /output|postrouting/i : /./) : new RegExp(hook.hook, 'i');
  const fit = mine.flatMap((r) => r.droppers.map((d) => ({ ...d, file: `${r.file}, listing from line ${r.line}` }))).filter((d) => wanted.test(d.chain) || !/input|output|forward|routing/i.test(d.chain));
  const moved = fit.filter((d) => (d.moved ?? 0) > 0);
  const hits = moved.length > 0 ? moved : fit.filter((d) => d.moved === undefined && (d.packets ?? 0) > 0);
  if (fit.length === 0 && byNft) return byNftables(symptom, evidence, hook?.hook.toUpperCase());
  if (fit.length === 0) return ruledOut(`no rule and no policy in ${[...new Set(mine.map((r) => r.file))].join(', ')} that could see this packet drops`);
  const best = hits[0];
  if (best === undefined) return ruledOut(`${plural(fit.length, 'rule')} could drop there, and none has counted a packet`);
  const count = best.moved ?? best.packets ?? 0;
  return {
    outcome: 'found', confidence: (moved.length > 0 ? 0.7 : 0.5) - (hits.length > 1 ? 0.1 : 0), severity: 'warning', identity: best.text,
    explanation: `${symptom.kind === 'call' ? `${symptom.call.syscall} of ${symptom.call.task.comm} failed with EPERM` : 'A packet was dropped by netfilter'}${hook === undefined ? '' : ` at ${hook.hook.toUpperCase()}`} in ${netnsText(evidence, symptom.netns)}. The rule "${best.text}" drops there, and ${best.moved === undefined ? `has counted ${count}` : `its counter grew by ${count}`}. The packet's own headers are not in the files, so that it was this rule is likely and not certain.`,
    culprit: { kind: best.policy ? 'policy' : 'rule', text: best.text },
    ...(hook === undefined ? {} : { hook: hook.hook.toUpperCase() }),
    evidence: hits.slice(0, 5).map((d) => ({ source: d.file, text: `${d.text}${d.moved === undefined ? '' : `: counter +${d.moved}`}` })),
    remedies: [{ text: 'Delete the rule, or put an accept for the flow before it.', risk: 'medium' }],
  };
}

/** Since 6.7 nf_tables frees what it drops itself: the place alone says that one of its rules or policies did it. */
function byNftables(symptom: Symptom, evidence: Evidence, hook: string | undefined): Finding {
  const verdict = symptom.kind === 'drop' ? symptom.drop.verdict : undefined;
  if (verdict !== undefined) return bySaid(symptom, evidence, verdict, hook);
  const at = hook === undefined ? 'a hook that no stack shows' : hook;
  return {
    outcome: 'found', confidence: 0.6, severity: 'warning', identity: `nft ${hook ?? ''}`, ...(hook === undefined ? {} : { hook }),
    explanation: `A packet was dropped by nf_tables at ${at} in ${netnsText(evidence, symptom.netns)}: nft_do_chain frees a packet only for a rule or a policy of its own, whether nft or an iptables of the nft kind wrote it. Which rule it was cannot be said without the listing.`,
    culprit: { kind: 'rule', text: `a rule or policy of nf_tables at ${at}, which no listing among the files shows` },
    evidence: [{ source: 'trace', time: evidence.iso(symptom.first), text: `dropped in nft_do_chain at ${at}` }],
    remedies: [{ text: 'List the rules with their counters (nft -a list ruleset), look for the one that grows, and delete it or put an accept before it.', command: 'nft -a list ruleset', risk: 'low' }],
  };
}

/** nftables traced the packet itself and named the rule; only its words are missing. */
function bySaid(symptom: Symptom, evidence: Evidence, { table, chain, rule }: RuleVerdict, hook: string | undefined): Finding {
  const what = rule === undefined ? `the policy of chain ${chain} in table ${table}` : `the rule with handle ${rule} in chain ${chain} of table ${table}`;
  return {
    outcome: 'found', confidence: 0.95, severity: 'warning', identity: `nft ${table} ${chain} ${rule ?? 'policy'}`, ...(hook === undefined ? {} : { hook }),
    explanation: `A packet was dropped by nf_tables${hook === undefined ? '' : ` at ${hook}`} in ${netnsText(evidence, symptom.netns)}: nftables' own trace of it says that ${what} gave the verdict drop. What the ${rule === undefined ? 'chain' : 'rule'} says is not among the files.`,
    culprit: { kind: rule === undefined ? 'policy' : 'rule', text: `nft: ${what}`, tool: 'nft', table, chain, ...(rule === undefined ? { policy: 'drop' } : { handle: rule }) },
    evidence: [{ source: 'nft trace', time: evidence.iso(symptom.first), text: `verdict drop of ${what}` }],
    remedies: [{ text: `Look at it (nft -a list ruleset, handle ${rule ?? 'of the chain'}); delete it, or put an accept for the flow before it.`, command: 'nft -a list ruleset', risk: 'low' }],
  };
}
