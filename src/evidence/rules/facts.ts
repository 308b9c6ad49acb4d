import type { Netns } from '../../base/brand.ts';
import { plural } from '../../base/text.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Chain, Effect, Rule, Table } from '../../model/ruleset.ts';
import type { Symptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText, type Maybe } from '../../model/unavailable.ts';
import { hookName } from './hook.ts';
import { ruleset } from './listing.ts';
import { trial, type DroppingRule } from './trial.ts';

/** A rule with the table and chain that it is in. */
export interface PlacedRule {
  readonly table: Table;
  readonly chain: Chain;
  readonly rule: Rule;
}

/**
 * The rule or policy that dropped the packet of a symptom. `missing`: no rule at its hook fits. Undefined: not a drop
 * by netfilter, or not at a known hook.
 */
export function droppingRule(evidence: Evidence, symptom: Symptom): Maybe<DroppingRule> | undefined {
  const found = trial(evidence, symptom);
  if (found === undefined || isUnavailable(found)) return found;
  return found.culprit ?? { unavailable: 'missing', what: `matching the packet against ${plural(found.rules, 'rule')} in ${plural(found.chains, 'chain')}`, why: 'none of them drops it' };
}

/**
 * The rule matched because the packet's conntrack state is INVALID (`ct state invalid`, `--ctstate INVALID`, a verdict map of
 * states), or it is in a chain where such a rule sends packets (to log and drop them).
 */
export function matchedInvalid(dropping: DroppingRule): boolean {
  const { rule, table, via = [] } = dropping;
  return rule !== undefined && [rule, ...via].some((r) => asksInvalid(table, r));
}

const INVALID = 1; //   NF_CT_STATE_INVALID_BIT

function asksInvalid(table: Table, rule: Rule): boolean {
  if (rule.matches.some((m) => m.kind === 'lookup' && m.keys.some((k) => k.key === 'ct.state' && (k.mask === undefined ? typeof m.set !== 'string' && m.set.some((e) => e.parts[0]?.low === INVALID) && !m.negate : (Number(k.mask) & INVALID) === INVALID && m.negate)))) return true;
  const { action } = rule;
  if (action.do !== 'map') return false;
  const at = action.keys.findIndex((k) => k.key === 'ct.state');
  const elements = typeof action.set === 'string' ? (table.sets.get(action.set)?.elements ?? []) : action.set;
  return at >= 0 && elements.some((e) => e.parts[at]?.low === INVALID && e.action !== undefined && e.action.do !== 'accept');
}

/** That no rule did it, in one sentence; or why that cannot be said. */
export function rulesInnocent(evidence: Evidence, symptom: Symptom): Maybe<string> {
  const found = trial(evidence, symptom);
  if (found === undefined) return 'netfilter did not drop it: the drop reason and the place are not its own';
  if (isUnavailable(found)) return found;
  if (found.culprit !== undefined) return { unavailable: 'failed', what: 'ruling out the rules', why: 'one of them fits' };
  const missing = found.listing.missing.filter((m) => m.unavailable !== 'missing-program');
  if (missing[0] !== undefined) return { unavailable: missing[0].unavailable, what: 'ruling out the rules', why: unavailableText(missing[0]) };
  if (found.blind) return { unavailable: 'failed', what: 'ruling out the rules', why: "the packet's headers were not captured" };
  const hook = hookName(found.hook.hook);
  return found.rules === 0
    ? `no rules and no dropping policy at ${hook} could have dropped it (${sources(found.hook.family)})`
    : `none of the ${plural(found.rules, 'rule')} in ${plural(found.chains, 'chain')} at ${hook} drops this packet, and no policy does (${sources(found.hook.family)})`;
}

/** What was asked, as a user would. */
export function sources(family: string): string {
  switch (family) {
    case 'ip': return 'nft -j list ruleset, iptables-save -c';
    case 'ip6': return 'nft -j list ruleset, ip6tables-save -c';
    case 'arp': return 'nft -j list ruleset, arptables-save -c';
    case 'bridge': return 'nft -j list ruleset, ebtables-save -c';
    default: return 'nft -j list ruleset';
  }
}

/** Rules that translate addresses: SNAT, MASQUERADE, DNAT, REDIRECT, in all tables of the namespace. */
export function natRules(evidence: Evidence, netns: Netns): Maybe<readonly PlacedRule[]> {
  return rulesWith(evidence, netns, (e) => e.kind === 'nat');
}

const MANGLING: ReadonlySet<Effect['kind']> = new Set(['payload', 'ttl', 'dscp', 'mark', 'mss', 'mac']);

/** Rules that rewrite what they match: payload, TTL, DSCP, mark, MSS, MAC addresses. Most telling kinds first. */
export function manglingRules(evidence: Evidence, netns: Netns): Maybe<readonly PlacedRule[]> {
  const rules = rulesWith(evidence, netns, (e) => MANGLING.has(e.kind));
  if (isUnavailable(rules)) return rules;
  const order = (r: PlacedRule): number => (r.rule.effects.some((e) => e.kind === 'payload') ? 0 : r.rule.effects.some((e) => e.kind === 'ttl') ? 1 : 2);
  return [...rules].sort((a, b) => order(a) - order(b));
}

/** Rules that exempt traffic from connection tracking (NOTRACK). */
export function notrackRules(evidence: Evidence, netns: Netns): Maybe<readonly PlacedRule[]> {
  return rulesWith(evidence, netns, (e) => e.kind === 'notrack');
}

function rulesWith(evidence: Evidence, netns: Netns, wanted: (effect: Effect) => boolean): Maybe<readonly PlacedRule[]> {
  const listing = ruleset(evidence, netns, ['ip', 'ip6']);
  if (isUnavailable(listing)) return listing;
  const found: PlacedRule[] = [];
  for (const table of listing.ruleset.tables) for (const chain of table.chains.values()) for (const rule of chain.rules) if (rule.effects.some(wanted)) found.push({ table, chain, rule });
  return found;
}
