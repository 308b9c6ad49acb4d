import type { Action, Chain, Element, HookName, Match, Rule, RuleFamily, Ruleset, Table } from '../../model/ruleset.ts';
import { compileRule, elementOf, ipsetHit, type CompiledRule, type Truth } from './match.ts';
import { operandText } from './words.ts';
import type { PacketView } from './packet.ts';

/** A rule or a policy that would end this packet's way through the hook. */
export interface Candidate {
  readonly table: Table;
  /** The chain that the rule is in; for a policy the base chain. */
  readonly chain: Chain;
  /** The base chain by which the packet came there. */
  readonly base: Chain;
  readonly rule?: Rule;
  /** The rules that sent it from chain to chain, outermost first. */
  readonly via?: readonly Rule[];
  /** For a policy: the goto by which the packet left the base chain. The rules behind it are never asked. */
  readonly left?: Rule;
  readonly action: 'drop' | 'reject' | 'queue' | 'policy' | 'steal';
  /** True when every match was evaluated and nothing before it could have let the packet pass. */
  readonly certain: boolean;
  /** What could not be evaluated, in words. */
  readonly doubts: readonly string[];
  readonly hit?: SetHit;
}

/** The element of a set that the packet matched. */
export interface SetHit {
  readonly kind: 'nft' | 'ipset' | 'map';
  readonly set: string;
  readonly element: string;
}

export interface WalkOptions {
  /** Only these tables. */
  readonly tables?: (table: Table) => boolean;
  /** Says of a rule's counter that it did not move: then the rule did not match, whatever could not be evaluated. */
  readonly untouched?: (table: Table, rule: Rule) => boolean;
  readonly untouchedPolicy?: (table: Table, chain: Chain) => boolean;
  /** As if these were deleted. */
  readonly without?: ReadonlySet<Rule>;
  /** As if an accept for this packet stood before these rules, or at the end of these chains. */
  readonly acceptAt?: ReadonlySet<Rule | Chain>;
}

export interface Walk {
  /** In the order in which the packet meets them; ends with the first that is certain. */
  readonly candidates: readonly Candidate[];
  readonly rules: number;
  readonly chains: number;
}

interface Base {
  readonly table: Table;
  readonly chain: Chain;
}

interface CompiledRuleset {
  readonly ruleset: Ruleset;
  readonly bases: readonly Base[];
  readonly chains: WeakMap<Chain, readonly CompiledRule[]>;
}

const compiled = new WeakMap<Ruleset, CompiledRuleset>();

function compile(ruleset: Ruleset): CompiledRuleset {
  const known = compiled.get(ruleset);
  if (known !== undefined) return known;
  const bases: Base[] = [];
  for (const table of ruleset.tables) for (const chain of table.chains.values()) if (chain.base !== undefined) bases.push({ table, chain });
  bases.sort((a, b) => (a.chain.base?.priority ?? 0) - (b.chain.base?.priority ?? 0));
  const value = { ruleset, bases, chains: new WeakMap() };
  compiled.set(ruleset, value);
  return value;
}

/** Which table families are asked at a hook of this family. */
export function familiesAt(family: 'ip' | 'ip6' | 'arp' | 'bridge' | 'netdev', hook: HookName): readonly RuleFamily[] {
  if (family === 'netdev') return hook === 'ingress' ? ['netdev', 'inet'] : ['netdev'];
  return family === 'ip' || family === 'ip6' ? [family, 'inet'] : [family];
}

type End = 'accepted' | 'stopped' | 'fell-through';

/** Sends a packet through the base chains of its hook, by priority (nf_hook_slow, nft_do_chain, ipt_do_table). */
export function walk(ruleset: Ruleset, view: PacketView, options: WalkOptions = {}): Walk {
  const c = compile(ruleset);
  const families = familiesAt(view.hook.family, view.hook.hook);
  const candidates: Candidate[] = [];
  let rules = 0;
  let chains = 0;
  let left: Rule | undefined;
  const visit = (table: Table, chain: Chain, base: Chain, doubts: string[], via: readonly Rule[]): End => {
    chains++;
    let list = c.chains.get(chain);
    if (list === undefined) c.chains.set(chain, (list = chain.rules.map((rule) => compileRule(ruleset, table, rule))));
    for (let i = 0; i < list.length; i++) {
      const ready = list[i] as CompiledRule;
      const { rule } = ready;
      if (options.acceptAt?.has(rule) === true) return 'accepted';
      rules++;
      const truth = evaluate(ready, view);
      if (truth === 0) continue;
      if (rule.action.do === 'continue' || options.without?.has(rule) === true) continue;
      if (options.untouched?.(table, rule) === true) continue;
      let action: Action = rule.action;
      let hit: SetHit | undefined;
      if (action.do === 'map') {
        const element = elementOf(table, action.keys, action.set, view);
        if (element === undefined) continue;
        if (element === -1 || element.action === undefined) {
          // any of its verdicts: only a drop is of interest
          doubts.push(`${place(table, rule)}: the value for its verdict map is not known`);
          const elements: readonly Element[] = typeof action.set === 'string' ? (table.sets.get(action.set)?.elements ?? []) : action.set;
          if (elements.some((e) => e.action?.do === 'drop')) candidates.push({ table, chain, base, rule, action: 'drop', certain: false, doubts: [...doubts] });
          continue;
        }
        hit = { kind: 'map', set: typeof action.set === 'string' ? action.set : '', element: element.text };
        action = element.action;
      }
      const own = truth === -1 ? doubtsOf(ready, table, rule, view) : [];
      const sure = truth === 1 && doubts.length === 0;
      const push = (kind: Candidate['action']): void => {
        const element = hit ?? hitOf(ruleset, table, rule, view);
        candidates.push({ table, chain, base, rule, action: kind, certain: sure, doubts: [...doubts, ...own], ...(via.length === 0 ? {} : { via }), ...(element === undefined ? {} : { hit: element }) });
      };
      switch (action.do) {
        case 'accept':
          // without a socket on its port TPROXY drops instead (net/netfilter/xt_TPROXY.c)
          if (/-j TPROXY\b/.test(rule.text)) push('steal');
          if (truth === 1) return 'accepted';
          doubts.push(`it could have been accepted before, by ${place(table, rule)} (${own.join(', ')})`);
          break;
        case 'drop': case 'reject':
          push(action.do);
          if (truth === 1) return 'stopped';
          break;
        case 'queue':
          push('queue');
          if (truth === 1) return 'stopped';
          break;
        case 'steal':
          if (truth === 1) return 'stopped';
          break;
        case 'return':
          if (truth === 1) return 'fell-through';
          doubts.push(`it could have left chain ${chain.name} before, by ${place(table, rule)} (${own.join(', ')})`);
          break;
        case 'jump': case 'goto': {
          const next = table.chains.get(action.chain);
          if (next === undefined || via.length >= 32) break;
          const inner = truth === 1 ? doubts : [...doubts, ...own];
          const end = visit(table, next, base, inner, [...via, rule]);
          if (truth === 1) {
            if (end !== 'fell-through') return end;
            if (action.do === 'goto') {
              if (via.length === 0) left = rule;
              return 'fell-through';
            }
          } else if (end !== 'fell-through' || action.do === 'goto') doubts.push(`its way could have ended in chain ${next.name} (${own.join(', ')})`);
          break;
        }
        case 'continue': case 'map': break;
      }
    }
    return 'fell-through';
  };
  for (const { table, chain } of c.bases) {
    const base = chain.base;
    if (base === undefined || base.hook !== view.hook.hook || !families.includes(table.family)) continue;
    if (table.family === 'inet' && view.hook.family === 'netdev' && base.hook !== 'ingress') continue;
    if (options.tables !== undefined && !options.tables(table)) continue;
    if (base.devices !== undefined && view.drop.interface !== undefined && !base.devices.includes(view.drop.interface)) continue;
    const doubts: string[] = [];
    left = undefined;
    const end = visit(table, chain, chain, doubts, []);
    if (end === 'stopped') break;
    if (end === 'accepted' || options.acceptAt?.has(chain) === true) continue;
    if (base.policy === 'drop' && options.untouchedPolicy?.(table, chain) !== true) {
      candidates.push({ table, chain, base: chain, action: 'policy', certain: doubts.length === 0, doubts, ...(left === undefined ? {} : { left }) });
      if (doubts.length === 0) break;
    }
  }
  return { candidates, rules, chains };
}

function evaluate(ready: CompiledRule, view: PacketView): Truth {
  const { tests } = ready;
  let all: Truth = 1;
  for (let i = 0; i < tests.length; i++) {
    const t = (tests[i] as (typeof tests)[number]).test(view);
    if (t === 0) return 0;
    if (t === -1) all = -1;
  }
  return all;
}

export function ruleTruth(ruleset: Ruleset, table: Table, rule: Rule, view: PacketView): Truth {
  return evaluate(compileRule(ruleset, table, rule), view);
}

/** `rule 3 of INPUT` */
export function place(table: Table, rule: Rule): string {
  return table.tool === 'nft' && rule.handle !== undefined ? `rule ${rule.chain} handle ${rule.handle}` : `rule ${rule.position} of ${rule.chain}`;
}

function doubtsOf(ready: CompiledRule, _table: Table, _rule: Rule, view: PacketView): string[] {
  return ready.tests.filter(({ test }) => test(view) === -1).map(({ match }) => doubtText(match));
}

function doubtText(match: Match): string {
  switch (match.kind) {
    case 'stateful': return `${match.what} depends on earlier packets or on time`;
    case 'opaque': return `"${match.text}" cannot be told from the packet`;
    case 'ipset': return `ipset ${match.set} could not be read`;
    case 'any': return `"${match.text}" could not be evaluated`;
    case 'lookup': return `${match.keys.map(operandText).join(' . ')} of the packet is not known`;
  }
}

/** The set element by which a rule matched; anonymous sets and single values are the rule itself. */
function hitOf(ruleset: Ruleset, table: Table, rule: Rule, view: PacketView): SetHit | undefined {
  for (const match of rule.matches) {
    if (match.kind === 'lookup' && typeof match.set === 'string' && !match.negate) {
      const element = elementOf(table, match.keys, match.set, view);
      if (element !== undefined && element !== -1) return { kind: 'nft', set: match.set, element: element.text };
    }
    if (match.kind === 'ipset' && !match.negate) {
      const entry = ipsetHit(ruleset.ipsets, match.set, match.directions, view, 0);
      if (entry !== undefined && entry !== false) return innermost(ruleset, match.set, entry.text, match.directions, view, 0);
    }
  }
  return undefined;
}

/** A list:set's member holds the address, not the list. */
function innermost(ruleset: Ruleset, set: string, element: string, directions: readonly ('src' | 'dst')[], view: PacketView, depth: number): SetHit {
  if (ruleset.ipsets.get(set)?.type.startsWith('list:') === true && depth < 4) {
    const inner = ipsetHit(ruleset.ipsets, element, directions, view, 0);
    if (inner !== undefined && inner !== false) return innermost(ruleset, element, inner.text, directions, view, depth + 1);
  }
  return { kind: 'ipset', set, element };
}
