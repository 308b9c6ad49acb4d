import type { DropEvent } from '../../model/event.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Chain, Counter, Rule, Ruleset, Table } from '../../model/ruleset.ts';
import type { DropSymptom, Symptom } from '../../model/symptom.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { surroundings } from './around.ts';
import { droppedByNetfilter, hookOf, type HookPoint } from './hook.ts';
import { ruleset, rulesetBefore, type Listing } from './listing.ts';
import { packetView, type PacketView } from './packet.ts';
import { place, walk, type Candidate, type Walk, type WalkOptions } from './walk.ts';

/** The rule or policy that dropped the packet, and how sure that is. */
export interface DroppingRule extends Candidate {
  readonly hook: HookPoint;
  readonly counterBefore?: Counter;
  readonly counterAfter?: Counter;
  /** Packets counted by it between the listing before the loss and the one after it. */
  readonly moved?: number;
  /** Other rules that could have done it as well, as far as could be evaluated. */
  readonly rivals: readonly Candidate[];
  readonly confidence: number;
}

/** Everything that was found out about one dropped packet and the rules of its hook. */
export interface Trial {
  readonly hook: HookPoint;
  readonly listing: Listing;
  readonly view: PacketView;
  readonly culprit?: DroppingRule;
  readonly rules: number;
  readonly chains: number;
  /** Which tables could have been the ones, for walks that try out a remedy. */
  readonly tables: (table: Table) => boolean;
  /** The packet's own headers were not captured. */
  readonly blind: boolean;
}

/** By listing first: a drop is remembered for long, and must not keep the rules that it was tried against. */
const trials = new WeakMap<Listing, WeakMap<DropEvent, { readonly before: Listing | undefined; readonly trial: Trial }>>();

/**
 * Tries the packet of a symptom against the rules of the hook where it died. Undefined: netfilter did not drop it, or
 * the hook is not known.
 */
export function trial(evidence: Evidence, symptom: Symptom): Maybe<Trial> | undefined {
  if (symptom.kind !== 'drop' || !droppedByNetfilter(symptom)) return undefined;
  const hook = hookOf(symptom);
  if (hook === undefined) return undefined;
  const legacy = hook.by !== 'nft';
  const listing = ruleset(evidence, symptom.netns, [hook.family], legacy);
  if (isUnavailable(listing)) return listing;
  const earlier = rulesetBefore(evidence, symptom.netns, [hook.family], legacy);
  const before = isUnavailable(earlier) ? undefined : earlier;
  const ofListing = trials.get(listing) ?? new WeakMap<DropEvent, { before: Listing | undefined; trial: Trial }>();
  trials.set(listing, ofListing);
  const known = ofListing.get(symptom.drop);
  if (known !== undefined && known.before === before) return known.trial;
  const value = tried(evidence, symptom, hook, listing, before);
  ofListing.set(symptom.drop, { before, trial: value });
  return value;
}

function tried(evidence: Evidence, symptom: DropSymptom, hook: HookPoint, listing: Listing, before: Listing | undefined): Trial {
  const { drop } = symptom;
  const view = packetView(drop, hook, surroundings(evidence, drop, hook));
  const tables = tablesFor(evidence, hook);
  const counters = countersOf(listing.ruleset, before?.ruleset);
  const options: WalkOptions = {
    tables,
    untouched: (table, rule) => still(counters.rule(table, rule)),
    untouchedPolicy: (table, chain) => still(counters.policy(table, chain)),
  };
  const outcome = walk(listing.ruleset, view, options);
  const blind = drop.packet.ip === undefined && drop.packet.arp === undefined;
  const culprit = traced(drop, hook, outcome, listing.ruleset, counters) ?? choose(evidence, symptom, hook, outcome, counters, blind);
  return { hook, listing, view, ...(culprit === undefined ? {} : { culprit }), rules: outcome.rules, chains: outcome.chains, tables, blind };
}

/** nf_tables frees what it drops itself since 6.7; before that nf_hook_slow does it for everyone. */
function tablesFor(evidence: Evidence, hook: HookPoint): (table: Table) => boolean {
  const family = hook.tables;
  switch (hook.by) {
    case 'nft': return (t) => t.engine === 'nft' && (family === undefined || t.family === family);
    case 'slow': return nftFreesItself(evidence) ? (t) => t.engine === 'legacy' : () => true;
    case 'queue': case 'unknown': return () => true;
  }
}

function nftFreesItself(evidence: Evidence): boolean {
  const [major = 0, minor = 0] = (/^(\d+)\.(\d+)/.exec(evidence.host.kernel) ?? []).slice(1).map(Number);
  return major > 6 || (major === 6 && minor >= 7) || evidence.dropCounts().some((c) => c.place.name?.startsWith('nft_do_chain') === true);
}

interface Delta {
  readonly before?: Counter;
  readonly after?: Counter;
  readonly moved?: number;
}

/** A counter that stands still proves that its rule did not match. */
function still(d: Delta): boolean {
  return d.after !== undefined && (d.after.packets === 0 || (d.moved !== undefined && d.moved <= 0 && d.before !== undefined && d.after.packets >= d.before.packets));
}

interface Counters {
  rule(table: Table, rule: Rule): Delta;
  policy(table: Table, chain: Chain): Delta;
}

const keyOf = (table: Table): string => `${table.engine} ${table.family} ${table.name}`;

function countersOf(after: Ruleset, before: Ruleset | undefined): Counters {
  void after;
  const earlier = new Map<string, Counter>();
  for (const table of before?.tables ?? []) {
    for (const chain of table.chains.values()) {
      const seen = new Map<string, number>();
      if (chain.base?.counter !== undefined) earlier.set(`${keyOf(table)} ${chain.name} policy`, chain.base.counter);
      for (const rule of chain.rules) {
        if (rule.counter === undefined) continue;
        if (rule.handle !== undefined) earlier.set(`${keyOf(table)} ${chain.name} #${rule.handle}`, rule.counter);
        const nth = (seen.get(rule.text) ?? 0) + 1;
        seen.set(rule.text, nth);
        earlier.set(`${keyOf(table)} ${chain.name} ${nth} ${rule.text}`, rule.counter);
      }
    }
  }
  const delta = (after: Counter | undefined, was: Counter | undefined): Delta => ({
    ...(was === undefined ? {} : { before: was }), ...(after === undefined ? {} : { after }),
    ...(was === undefined || after === undefined || after.packets < was.packets ? {} : { moved: after.packets - was.packets }),
  });
  return {
    rule: (table, rule) => {
      if (rule.counter === undefined) return {};
      const chain = table.chains.get(rule.chain);
      const nth = (chain?.rules ?? []).filter((r) => r.position <= rule.position && r.text === rule.text).length;
      return delta(rule.counter, (rule.handle === undefined ? undefined : earlier.get(`${keyOf(table)} ${rule.chain} #${rule.handle}`)) ?? earlier.get(`${keyOf(table)} ${rule.chain} ${nth} ${rule.text}`));
    },
    policy: (table, chain) => delta(chain.base?.counter, earlier.get(`${keyOf(table)} ${chain.name} policy`)),
  };
}

/** nftables' own trace of the packet (nft_trace) names the rule: what the walk makes of it does not matter then. */
function traced({ verdict }: DropEvent, hook: HookPoint, outcome: Walk, ruleset: Ruleset, counters: Counters): DroppingRule | undefined {
  if (verdict === undefined) return undefined;
  const met = outcome.candidates.find((c) => c.table.engine === 'nft' && c.table.name === verdict.table && c.chain.name === verdict.chain && c.rule?.handle === verdict.rule);
  const found = met ?? ruleset.tables.filter((t) => t.engine === 'nft' && t.name === verdict.table).flatMap((table): Candidate[] => {
    const chain = table.chains.get(verdict.chain);
    const rule = verdict.rule === undefined ? undefined : chain?.rules.find((r) => r.handle === verdict.rule);
    if (chain === undefined || (rule === undefined && (verdict.rule !== undefined || chain.base === undefined))) return [];
    return [{ table, chain, base: chain, ...(rule === undefined ? { action: 'policy' } : { rule, action: 'drop' }), certain: true, doubts: [] }];
  })[0];
  if (found === undefined) return undefined;
  const { before, after, moved } = found.rule === undefined ? counters.policy(found.table, found.base) : counters.rule(found.table, found.rule);
  return { ...found, certain: true, doubts: [], hook, rivals: [], confidence: 0.99, ...(before === undefined ? {} : { counterBefore: before }), ...(after === undefined ? {} : { counterAfter: after }), ...(moved === undefined ? {} : { moved }) };
}

function choose(evidence: Evidence, symptom: DropSymptom, hook: HookPoint, outcome: Walk, counters: Counters, blind: boolean): DroppingRule | undefined {
  const delta = (c: Candidate): Delta => (c.rule === undefined ? counters.policy(c.table, c.base) : counters.rule(c.table, c.rule));
  let field = outcome.candidates.filter((c) => (hook.by === 'queue' ? c.action === 'queue' : c.action !== 'queue' && c.action !== 'steal'));
  // xt_TPROXY.c: without a socket on its port the packet is dropped; where nothing else drops it, this is it
  if (field.length === 0 && hook.by !== 'queue') field = outcome.candidates.filter((c) => c.action === 'steal');
  const learnt = field.length > 1 ? learntVerdict(evidence, symptom.drop) : undefined;
  if (learnt !== undefined) {
    const fitting = field.filter((c) => (c.action === 'policy') === (learnt === 'policy'));
    if (fitting.length > 0) field = fitting;
  }
  const first = field[0];
  if (first === undefined) return undefined;
  // among several: the one whose counter moved most; without counters the first that is certain, else the first
  const best = field.length === 1 ? first : (field.reduce((a, b) => ((delta(b).moved ?? -1) > (delta(a).moved ?? -1) ? b : a), field.find((c) => c.certain) ?? first));
  const rivals = field.filter((c) => c !== best);
  const { before, after, moved } = delta(best);
  const counted = moved !== undefined && moved > 0;
  let confidence: number;
  if (best.certain && rivals.length === 0) confidence = counted ? 0.98 : after !== undefined ? 0.97 : 0.96;
  else if (rivals.length === 0) confidence = counted ? 0.96 : after !== undefined ? 0.92 : 0.9;
  else confidence = counted && rivals.every((r) => (delta(r).moved ?? 0) === 0 && delta(r).after !== undefined) ? 0.93 : 0.78;
  if (blind) confidence = Math.min(confidence, counted ? 0.85 : 0.6);
  if (best.certain && rivals.length === 0 && hook.by === 'nft') learn(evidence, symptom.drop, best.action === 'policy' ? 'policy' : 'rule');
  return { ...best, hook, rivals, confidence, ...(before === undefined ? {} : { counterBefore: before }), ...(after === undefined ? {} : { counterAfter: after }), ...(moved === undefined ? {} : { moved }) };
}

/** nft_do_chain drops for a rule at one address and for a policy at another; which is which is learnt in this run. */
const learntKey = (drop: DropEvent): string => `rules place\u0000${drop.place.address}\u0000${drop.place.offset ?? ''}`;

function learntVerdict(evidence: Evidence, drop: DropEvent): 'rule' | 'policy' | undefined {
  return (evidence.memo.get(learntKey(drop)) as { verdict: 'rule' | 'policy' } | undefined)?.verdict;
}

function learn(evidence: Evidence, drop: DropEvent, verdict: 'rule' | 'policy'): void {
  if (drop.place.offset !== undefined || drop.place.address !== 0n) evidence.memo.set(learntKey(drop), { verdict });
}

/** `iptables filter INPUT, rule 3` */
export function whereText(c: Candidate): string {
  const head = c.table.tool === 'nft' ? `nft table ${c.table.family} ${c.table.name}` : `${c.table.tool} table ${c.table.name}`;
  return c.rule === undefined ? `${head}, chain ${c.chain.name}` : `${head}, ${place(c.table, c.rule)}`;
}
