import { shellQuote } from '../../base/text.ts';
import { wordsOf } from '../../formats/save-text.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Remedy } from '../../model/incident.ts';
import type { Chain, Key, Match, Rule, Table } from '../../model/ruleset.ts';
import type { DropSymptom } from '../../model/symptom.ts';
import { inNetns } from '../netns.ts';
import { laterViews } from './later.ts';
import { answerOf, flowSpec, reverseFrameSpec } from './flow-spec.ts';
import { field, packetView, type PacketView } from './packet.ts';
import { protocolName } from './protocol-name.ts';
import type { DroppingRule, Trial } from './trial.ts';
import { place, walk, type Candidate } from './walk.ts';

interface Step {
  readonly text: string;
  readonly command: string;
  readonly undo: string;
}

export interface Remedies {
  readonly remedies: readonly Remedy[];
  /** The first one accepts this flow: it is no remedy for another flow that the same rule or policy drops. */
  readonly forFlow: boolean;
  /** What lets everything through that this rule or policy drops. */
  readonly forAll: Remedy;
}

/**
 * What stops the loss of this flow, narrowest first. Every proposal is tried on the listing before it is given: a
 * second rule or policy behind the first is dealt with in the same line.
 */
export function remediesFor(evidence: Evidence, symptom: DropSymptom, trial: Trial, culprit: DroppingRule): Remedies {
  const { drop } = symptom;
  const pid = drop.softirq ? undefined : drop.task.pid;
  const run = (command: string): string => inNetns(evidence, symptom.netns, command, pid);
  const join = (steps: readonly Step[], text: string, risk: Remedy['risk']): Remedy => ({
    text, command: steps.map((s) => run(s.command)).join(' && '), undo: [...steps].reverse().map((s) => run(s.undo)).join(' && '), risk,
  });
  const remedies: Remedy[] = [];
  const later = laterSteps(evidence, drop, trial);
  const add = (here: readonly Step[] | undefined, risk: Remedy['risk']): void => {
    if (here === undefined || here.length === 0) return;
    const steps = [...here, ...later];
    const text = steps.map((s) => s.text).join('; then ');
    const next = join(steps, text.charAt(0).toUpperCase() + text.slice(1), risk);
    if (!remedies.some((r) => r.command === next.command)) remedies.push(next);
  };
  const allow = (): readonly Step[] | undefined => acceptPlan(trial, culprit);
  const own = culprit.rule === undefined ? undefined : ownStep(trial, culprit);
  const behind = own === undefined || culprit.rule === undefined ? undefined : nextDrop(trial, trial.view, new Set([culprit.rule]), new Set());
  const forFlow = own === undefined || behind !== undefined || later.length > 0;
  if (own !== undefined && culprit.hit?.kind === 'nft' && fedByRule(culprit.table, culprit.hit.set)) {
    // a rule put the element there and would do so again
    add(allow(), 'low');
    add([own], 'low');
  } else if (own !== undefined && behind === undefined) {
    add([own], 'low');
    add(allow(), 'low');
  } else {
    add(allow(), 'low');
    if (own !== undefined) add(withRest(trial, culprit, own), 'medium');
  }
  if (culprit.rule !== undefined && isRated(culprit.rule)) {
    add([deleteRule(culprit.table, culprit.rule)], 'medium');
    remedies.push({ text: `Or raise the limit in ${place(culprit.table, culprit.rule)} (${culprit.rule.text}) above what this flow needs`, risk: 'low' });
  }
  if (culprit.rule === undefined) {
    add([policyStep(culprit.table, culprit.base)], 'high');
  }
  const whole: Step = culprit.rule === undefined ? policyStep(culprit.table, culprit.base) : deleteRule(culprit.table, culprit.rule);
  return { remedies, forFlow, forAll: join([whole], whole.text.charAt(0).toUpperCase() + whole.text.slice(1), 'high') };
}

const BROAD: ReadonlySet<Key> = new Set<Key>(['l4proto', 'nfproto', 'protocol', 'ether.type', 'iifname', 'oifname', 'ibrname', 'obrname', 'ct.state', 'ct.status', 'ct.direction', 'pkttype', 'ip.version', 'ip.protocol', 'ip6.nexthdr', 'physin', 'physout', 'addrtype.source', 'addrtype.destination', 'arp.htype', 'arp.hlen', 'arp.plen', 'arp.ptype']);

/** Whether a rule singles out some traffic, so that deleting it frees little else. */
export function isSpecific(rule: Rule): boolean {
  return rule.action.do !== 'map' && !isRated(rule) && rule.matches.some(singlesOut);
}

function singlesOut(m: Match): boolean {
  switch (m.kind) {
    case 'lookup': return !m.negate ? m.keys.some((k) => !BROAD.has(k.key)) : m.keys.some((k) => k.mask !== undefined && !BROAD.has(k.key));
    case 'ipset': return !m.negate;
    case 'any': return !m.negate && m.of.some(singlesOut);
    case 'opaque': return /^(string|u32|bpf|helper|fib)$/.test(m.what) && m.what !== 'fib';
    case 'stateful': return false;
  }
}

/** Whether a rule adds elements to this set, as bans for a rate do. */
const fedByRule = (table: Table, set: string): boolean => [...table.chains.values()].some((c) => c.rules.some((r) => r.text.split(/\s+/).some((w, i, words) => w === `@${set}` && /^(add|update)$/.test(words[i - 1] ?? ''))));

export const isRated = (rule: Rule): boolean => rule.matches.some((m) => m.kind === 'stateful');

/** Takes this one thing away that made the rule match: the set's element, or the rule. Undefined for broad rules. */
function ownStep(trial: Trial, c: Candidate): Step | undefined {
  const { rule, table, hit } = c;
  if (rule === undefined) return undefined;
  if (hit !== undefined && hit.set !== '' && !isRated(rule)) return elementStep(table, hit);
  return allowStep(trial, c) ?? (isSpecific(rule) ? deleteRule(table, rule) : undefined);
}

/** A rule that drops what a named set does not hold: the packet's own values become an element of it. */
function allowStep(trial: Trial, c: Candidate): Step | undefined {
  const { rule, table } = c;
  if (rule === undefined || isRated(rule)) return undefined;
  for (const m of rule.matches) {
    if (m.kind === 'lookup' && m.negate && typeof m.set === 'string') {
      const parts = m.keys.map((k) => (k.mask === undefined ? fieldText(trial.view, k.key) : undefined));
      if (parts.includes(undefined)) continue;
      const element = parts.join(' . ');
      const target = `${table.family} ${shellQuote(table.name)} ${shellQuote(m.set)}`;
      return { text: `add ${element} to set ${m.set}`, command: `nft add element ${target} ${shellQuote(`{ ${element} }`)}`, undo: `nft delete element ${target} ${shellQuote(`{ ${element} }`)}` };
    }
    if (m.kind === 'ipset' && m.negate) {
      const kinds = (trial.listing.ruleset.ipsets.get(m.set)?.type ?? '').split(':')[1]?.split(',') ?? [];
      const parts = kinds.map((kind, i) => {
        const source = (m.directions[i] ?? m.directions.at(-1)) === 'src';
        const { ip } = trial.view.drop.packet;
        if (kind === 'ip' || kind === 'net') return source ? ip?.source : ip?.destination;
        const port = kind === 'port' ? fieldText(trial.view, source ? 'th.sport' : 'th.dport') : undefined;
        return port === undefined || ip === undefined ? undefined : `${protocolName(ip.protocol)}:${port}`;
      });
      if (kinds.length === 0 || parts.includes(undefined)) continue;
      const words = `${shellQuote(m.set)} ${shellQuote(parts.join(','))}`;
      return { text: `add ${parts.join(',')} to ipset ${m.set}`, command: `ipset add ${words}`, undo: `ipset del ${words}` };
    }
  }
  return undefined;
}

function fieldText(view: PacketView, key: Key): string | undefined {
  const { ip, ethernet, arp } = view.drop.packet;
  switch (key) {
    case 'ip.saddr': case 'ip6.saddr': return ip?.source;
    case 'ip.daddr': case 'ip6.daddr': return ip?.destination;
    case 'ether.saddr': return ethernet?.source;
    case 'ether.daddr': return ethernet?.destination;
    case 'arp.saddr': return arp?.sender;
    case 'arp.daddr': return arp?.target;
    default: {
      const value = field(view, key);
      return typeof value === 'number' ? String(value) : typeof value === 'string' && value !== '' ? `"${value}"` : undefined;
    }
  }
}

function elementStep(table: Table, hit: NonNullable<Candidate['hit']>): Step {
  if (hit.kind === 'ipset') return { text: `take ${hit.element} out of ipset ${hit.set}`, command: `ipset del ${shellQuote(hit.set)} ${shellQuote(hit.element)}`, undo: `ipset add ${shellQuote(hit.set)} ${shellQuote(hit.element)}` };
  const target = `${table.family} ${shellQuote(table.name)} ${shellQuote(hit.set)}`;
  const action = hit.kind === 'map' ? table.sets.get(hit.set)?.elements.find((e) => e.text === hit.element)?.action : undefined;
  const value = action === undefined ? '' : ` : ${'chain' in action ? `${action.do} ${action.chain}` : action.do}`;
  return { text: `take ${hit.element} out of set ${hit.set}`, command: `nft delete element ${target} ${shellQuote(`{ ${hit.element}${value} }`)}`, undo: `nft add element ${target} ${shellQuote(`{ ${hit.element}${value} }`)}` };
}

/** Where a chain is, as words for nft. */
const chainWords = (table: Table, chain: string): string => `${table.family} ${shellQuote(table.name)} ${shellQuote(chain)}`;
const tableOption = (table: Table): string => (table.name === 'filter' ? '' : ` -t ${shellQuote(table.name)}`);
/** The words of a rule as iptables-save writes it, for a shell. */
export const specText = (text: string): string => wordsOf(text).map((w) => shellQuote(w)).join(' ');

export function deleteRule(table: Table, rule: Rule): Step {
  const text = `delete ${place(table, rule)} of ${table.tool === 'nft' ? `${table.family} ${table.name}` : `${table.tool} ${table.name}`}`;
  if (table.tool === 'nft') {
    const chain = `${table.family} ${table.name} ${rule.chain}`;
    const rules = table.chains.get(rule.chain)?.rules ?? [];
    const next = rules[rule.position];
    const undo = next?.handle === undefined ? `add rule ${chain} ${rule.text}` : `insert rule ${chain} handle ${next.handle} ${rule.text}`;
    return { text, command: `nft delete rule ${chainWords(table, rule.chain)} handle ${rule.handle ?? 0}`, undo: `nft ${shellQuote(undo)}` };
  }
  if (rule.text.startsWith('(')) return { text: `let chain ${rule.chain} end in ACCEPT`, command: `${table.tool}${tableOption(table)} -P ${shellQuote(rule.chain)} ACCEPT`, undo: `${table.tool}${tableOption(table)} -P ${shellQuote(rule.chain)} DROP` };
  const head = `${table.tool}${tableOption(table)}`;
  return { text, command: `${head} -D ${shellQuote(rule.chain)} ${specText(rule.text)}`, undo: `${head} -I ${shellQuote(rule.chain)} ${rule.position} ${specText(rule.text)}` };
}

function policyStep(table: Table, base: Chain): Step {
  return { text: `change the policy of ${base.name} to accept: everything that no rule of it drops gets through`, command: policyCommand(table, base, 'accept'), undo: policyCommand(table, base, 'drop') };
}

function policyCommand(table: Table, base: Chain, policy: 'accept' | 'drop'): string {
  if (table.tool !== 'nft') return `${table.tool}${tableOption(table)} -P ${shellQuote(base.name)} ${policy.toUpperCase()}`;
  return `nft ${shellQuote(`chain ${table.family} ${table.name} ${base.name} { policy ${policy} ; }`)}`;
}

/** Where an accept has to stand: before the rule, or, for a policy, before the goto that skips the chain's end. */
const spotOf = (c: Candidate): Rule | Chain => c.rule ?? c.left ?? c.base;

/** An accept for this flow in front of a rule, or at the end of the chain whose policy drops. */
function acceptStep(table: Table, candidate: Candidate, spec: readonly string[], what: string): Step {
  const spot = spotOf(candidate);
  const at: { readonly rule?: Rule; readonly base: Chain } = { base: candidate.base, ...(spot === candidate.base ? {} : { rule: spot as Rule }) };
  const chain = at.rule?.chain ?? at.base.name;
  const where = at.rule === undefined ? `at the end of ${chain}` : `before ${place(table, at.rule)}`;
  const text = `accept ${what} ${where}`;
  if (table.tool === 'nft') {
    const rule = `${table.family} ${table.name} ${chain}`;
    const statement = [...spec, 'counter', 'accept', 'comment', '"whydrop"'].join(' ');
    const command = at.rule?.handle === undefined ? `add rule ${rule} ${statement}` : `insert rule ${rule} handle ${at.rule.handle} ${statement}`;
    return { text, command: `nft ${shellQuote(command)}`, undo: `sh -c ${shellQuote(`nft delete rule ${chainWords(table, chain)} handle $(nft -a list chain ${chainWords(table, chain)} | sed -n 's/.*comment "whydrop" # handle //p' | head -n 1)`)}` };
  }
  const head = `${table.tool}${tableOption(table)}`;
  const words = [...spec, '-j', 'ACCEPT'].map((w) => shellQuote(w)).join(' ');
  return { text, command: at.rule === undefined ? `${head} -A ${shellQuote(chain)} ${words}` : `${head} -I ${shellQuote(chain)} ${at.rule.position} ${words}`, undo: `${head} -D ${shellQuote(chain)} ${words}` };
}

/** Accepts in front of everything that certainly drops this flow at its hook, and its answers at theirs. */
function acceptPlan(trial: Trial, culprit: Candidate): readonly Step[] | undefined {
  const { view } = trial;
  const spec = flowSpec(culprit.table, view.drop, view.hook);
  if (spec.length === 0) return undefined;
  const steps: Step[] = [];
  const accepted = new Set<Rule | Chain>();
  let at: Candidate | undefined = culprit;
  for (let i = 0; at !== undefined && i < 4; i++) {
    const words = flowSpec(at.table, view.drop, view.hook);
    steps.push(acceptStep(at.table, at, words, 'this flow'));
    const back = reverseFrameSpec(at.table, view.drop.packet);
    if (back !== undefined) steps.push(acceptStep(at.table, at, back, 'the frames back'));
    accepted.add(spotOf(at));
    at = nextDrop(trial, view, new Set(), accepted);
  }
  steps.push(...answerSteps(trial, accepted, culprit.rule));
  return steps;
}

/** The rule goes, and what would drop the packet behind it is passed by. */
function withRest(trial: Trial, culprit: Candidate, own: Step): readonly Step[] {
  const steps = [own];
  const without = new Set<Rule>(culprit.rule === undefined ? [] : [culprit.rule]);
  const accepted = new Set<Rule | Chain>();
  for (let i = 0, at = nextDrop(trial, trial.view, without, accepted); at !== undefined && i < 4; i++) {
    steps.push(acceptStep(at.table, at, flowSpec(at.table, trial.view.drop, trial.view.hook), 'this flow'));
    accepted.add(spotOf(at));
    at = nextDrop(trial, trial.view, without, accepted);
  }
  return steps;
}

function answerSteps(trial: Trial, accepted: ReadonlySet<Rule | Chain>, culprit: Rule | undefined): Step[] {
  const { view } = trial;
  const out = field(view, 'oifname');
  const answer = answerOf(view.drop, view.hook, typeof out === 'string' && out !== '' ? out : undefined);
  if (answer === undefined) return [];
  const back = packetView(answer.drop, answer.hook, { ...view.around, out: () => (view.hook.hook === 'output' ? undefined : view.drop.interface) });
  const steps: Step[] = [];
  const done = new Set(accepted);
  // a chain accepted for one direction does not let the other through: only what is met now counts
  for (const chain of accepted) done.delete(chain);
  // of the rule that dropped the packet it is known that it drops, also where that depends on what went before
  const next = (): Candidate | undefined => walk(trial.listing.ruleset, back, { acceptAt: done }).candidates.find((c) => culprit !== undefined && c.rule === culprit && c.action === 'drop') ?? nextDrop(trial, back, new Set(), done);
  for (let i = 0, at = next(); at !== undefined && i < 4; i++) {
    steps.push(acceptStep(at.table, at, flowSpec(at.table, answer.drop, answer.hook), 'its answers'));
    done.add(spotOf(at));
    at = next();
  }
  return steps;
}

/** Accepts in front of what would surely drop the packet at the hooks behind this one. */
function laterSteps(evidence: Evidence, drop: DropSymptom['drop'], trial: Trial): readonly Step[] {
  const steps: Step[] = [];
  for (const view of laterViews(evidence, drop, trial)) {
    const accepted = new Set<Rule | Chain>();
    for (let i = 0, at = nextDrop(trial, view, new Set(), accepted); at !== undefined && i < 4; i++) {
      steps.push(acceptStep(at.table, at, flowSpec(at.table, view.drop, view.hook), 'this flow, which would be dropped next there,'));
      accepted.add(spotOf(at));
      at = nextDrop(trial, view, new Set(), accepted);
    }
  }
  return steps;
}

/** What would surely drop the packet next. */
function nextDrop(trial: Trial, view: PacketView, without: ReadonlySet<Rule>, acceptAt: ReadonlySet<Rule | Chain>): Candidate | undefined {
  const next = walk(trial.listing.ruleset, view, { without, acceptAt }).candidates.at(-1);
  return next?.certain === true && next.action !== 'queue' && next.action !== 'steal' ? next : undefined;
}

