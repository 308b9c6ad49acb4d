import type { Netns } from '../../base/brand.ts';
import type { Evidence } from '../../model/evidence.ts';
import type { Remedy } from '../../model/incident.ts';
import { chainText, type Rule, type Table } from '../../model/ruleset.ts';
import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { inNetns } from '../netns.ts';
import { ruleset } from '../rules/listing.ts';
import { deleteRule } from '../rules/remedy.ts';

/** A firewall rule that changes packets. */
export interface Mangler {
  readonly table: Table;
  readonly rule: Rule;
  /** `rule in ip munge pre (handle 2): tcp dport 8443 … tsval set 1` */
  readonly text: string;
}

/** Rules of a namespace that change a part of the packet which `what` describes, those that name `port` first. */
export function manglers(evidence: Evidence, netns: Netns, what: RegExp, port?: number): Maybe<readonly Mangler[]> {
  const listing = ruleset(evidence, netns, ['ip', 'ip6', 'netdev']);
  if (isUnavailable(listing)) return listing;
  const found: Mangler[] = [];
  for (const table of listing.ruleset.tables) {
    for (const chain of table.chains.values()) {
      for (const rule of chain.rules) {
        if (!rule.effects.some((e) => what.test(e.text)) && !(rule.effects.length > 0 && what.test(rule.text))) continue;
        const at = rule.handle === undefined ? `rule ${rule.position}` : `handle ${rule.handle}`;
        found.push({ table, rule, text: `rule in ${chainText(table, rule.chain)} (${at}): ${rule.text}` });
      }
    }
  }
  const names = (m: Mangler): number => (port !== undefined && m.rule.text.includes(String(port)) ? 0 : 1);
  return found.sort((a, b) => names(a) - names(b));
}

/** Takes the rule away. */
export function manglerRemedy(evidence: Evidence, netns: Netns, mangler: Mangler): Remedy {
  const step = deleteRule(mangler.table, mangler.rule);
  return { text: `Delete the rule that changes the packets: ${step.text}.`, command: inNetns(evidence, netns, step.command), undo: inNetns(evidence, netns, step.undo), risk: 'low' };
}
