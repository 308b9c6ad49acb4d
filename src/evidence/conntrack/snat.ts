import type { Netns } from '../../base/brand.ts';
import { shellQuote } from '../../base/text.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Match, Rule } from '../../model/ruleset.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { inNetns } from '../netns.ts';
import { natRules, type PlacedRule } from '../rules/index.ts';
import { specText } from '../rules/remedy.ts';

/** A rule that translates source addresses. */
export interface SnatRule {
  readonly placed: PlacedRule;
  readonly masquerade: boolean;
  /** First and last address; undefined for masquerade. */
  readonly addresses?: { readonly first: string; readonly last: string };
  readonly ports?: { readonly low: number; readonly high: number };
  /** Ports are chosen by chance from the start: two packets at once rarely take the same. */
  readonly random: boolean;
  /** `iptables -t nat -A POSTROUTING -o eth1 -j SNAT --to-source 10.0.2.1:5000-5002` */
  readonly words: string;
}

interface Flow {
  readonly protocol: number;
  /** Address that the source was translated to, where known. */
  readonly translated?: string;
  readonly outgoing?: string;
}

/** Source translation rules that can have met this flow, in the order of the listing. */
export function snatRules(evidence: Evidence, netns: Netns, flow: Flow): Maybe<readonly SnatRule[]> {
  const rules = natRules(evidence, netns);
  if (isUnavailable(rules)) return rules;
  return rules.flatMap((placed) => {
    const snat = parse(placed);
    if (snat === undefined || !canMeet(placed.rule, flow)) return [];
    if (flow.translated !== undefined && snat.addresses !== undefined && snat.addresses.first === snat.addresses.last && snat.addresses.first !== flow.translated) return [];
    return [snat];
  });
}

function parse(placed: PlacedRule): SnatRule | undefined {
  const { table, chain, rule } = placed;
  const text = rule.text;
  const iptables = table.tool !== 'nft';
  const masquerade = iptables ? /-j MASQUERADE\b/.test(text) : /\bmasquerade\b/.test(text);
  const target = iptables ? /--to-source (\S+)/.exec(text)?.[1] : /\bsnat (?:ip6? )?(?:prefix )?to (\S+)/.exec(text)?.[1];
  if (!masquerade && target === undefined) return undefined;
  const range = masquerade ? (iptables ? /--to-ports ([0-9]+(?:-[0-9]+)?)/.exec(text)?.[1] : /masquerade to :([0-9]+(?:-[0-9]+)?)/.exec(text)?.[1]) : /(?:^[^:]*|\]):([0-9]+(?:-[0-9]+)?)$/.exec(target!)?.[1];
  const address = target === undefined ? undefined : target.replace(/^\[([^\]]*)\].*$/, '$1').replace(/^([0-9.-]+):.*$/, '$1');
  const [low, high] = (range ?? '').split('-').map(Number);
  const [first, last] = (address ?? '').split('-');
  return {
    placed, masquerade,
    ...(first === undefined || first === '' ? {} : { addresses: { first, last: last ?? first } }),
    ...(range === undefined || low === undefined ? {} : { ports: { low, high: high ?? low } }),
    random: /--random-fully|fully-random/.test(text),
    words: iptables ? `${table.tool} -t ${table.name} -A ${chain.name} ${text}` : `${table.family} ${table.name} ${chain.name} ${text}`,
  };
}

/** False where a plain match on protocol or outgoing interface says otherwise. */
function canMeet(rule: Rule, flow: Flow): boolean {
  const says = (m: Match, key: string, value: string | number): boolean => {
    if (m.kind !== 'lookup' || m.keys.length !== 1 || m.keys[0]?.key !== key || typeof m.set === 'string') return true;
    const hit = m.set.some((e) => {
      const part = e.parts[0];
      if (part === undefined) return true;
      if (typeof part.low === 'string' && part.low.endsWith('*')) return String(value).startsWith(part.low.slice(0, -1));
      return typeof value === 'string' ? part.low === value : typeof part.low === 'number' && typeof part.high === 'number' && part.low <= value && value <= part.high;
    });
    return hit !== m.negate;
  };
  return rule.matches.every((m) => says(m, 'l4proto', flow.protocol) && (flow.outgoing === undefined || says(m, 'oifname', flow.outgoing)));
}

/**
 * The ports that a rule may choose from for a flow with this source port (nf_nat_l4proto_unique_tuple): its own
 * range, else the class of the port: below 512, 600 to 1023 (for 512 to 1023), 1024 and above.
 */
export function portChoice(rule: SnatRule, sourcePort: number | undefined): { readonly low: number; readonly high: number } {
  if (rule.ports !== undefined) return rule.ports;
  if (sourcePort !== undefined && sourcePort < 512) return { low: 1, high: 511 };
  return sourcePort !== undefined && sourcePort < 1024 ? { low: 600, high: 1023 } : { low: 1024, high: 65535 };
}

export interface RuleChange {
  readonly command: string;
  readonly undo: string;
  readonly text: string;
}

/** Puts the rule back in its place without its port range, or, where it has none, with all unprivileged ports. */
export function widened(evidence: Evidence, netns: Netns, rule: SnatRule): RuleChange | undefined {
  const { text } = rule.placed.rule;
  const nft = rule.placed.table.tool === 'nft';
  let next: string;
  if (rule.ports !== undefined) {
    next = rule.masquerade ? (nft ? text.replace(/ to :[0-9-]+/, '') : text.replace(/ --to-ports [0-9-]+/, '')) : nft ? text.replace(/(\bsnat (?:ip6? )?to \S*?):[0-9]+(?:-[0-9]+)?(?=\s|$)/, '$1') : text.replace(/(--to-source \S*?):[0-9]+(?:-[0-9]+)?(?=\s|$)/, '$1');
    next = next.replace(/(snat (?:ip6? )?to )\[([^\]]+)\](?=\s|$)/, '$1$2');
  } else if (nft) next = rule.masquerade ? text.replace(/\bmasquerade\b/, 'masquerade to :1024-65535') : text.replace(/(\bsnat (?:ip6? )?to )(\S+)/, (_, head: string, to: string) => `${head}${to.includes(':') ? `[${to}]` : to}:1024-65535`);
  else next = rule.masquerade ? text.replace(/-j MASQUERADE/, '-j MASQUERADE --to-ports 1024-65535') : text.replace(/(--to-source )(\S+)/, (_, head: string, to: string) => `${head}${to.includes(':') ? `[${to}]` : to}:1024-65535`);
  return next === text ? undefined : replaced(evidence, netns, rule, next);
}

/** The same rule, choosing ports by chance. */
export function randomised(evidence: Evidence, netns: Netns, rule: SnatRule): RuleChange | undefined {
  if (rule.random) return undefined;
  const { text } = rule.placed.rule;
  const bare = text.replace(/ --random\b| random\b/, '');
  return replaced(evidence, netns, rule, rule.placed.table.tool === 'nft' ? `${bare} fully-random` : `${bare} --random-fully`);
}

function replaced(evidence: Evidence, netns: Netns, rule: SnatRule, next: string): RuleChange {
  const { table, chain, rule: old } = rule.placed;
  const run = (command: string): string => inNetns(evidence, netns, command);
  if (table.tool === 'nft') {
    const place = `${table.family} ${table.name} ${chain.name} handle ${old.handle ?? 0}`;
    return { text: next, command: run(`nft ${shellQuote(`replace rule ${place} ${next}`)}`), undo: run(`nft ${shellQuote(`replace rule ${place} ${old.text}`)}`) };
  }
  const command = (words: string): string => run(`${table.tool} -t ${shellQuote(table.name)} -R ${shellQuote(chain.name)} ${old.position} ${words}`);
  return { text: next, command: command(specText(next)), undo: command(specText(old.text)) };
}
