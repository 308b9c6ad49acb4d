import { decodeIptablesSave } from '../formats/iptables-save.ts';
import { decodeNftJson } from '../formats/nft-json.ts';
import { chainText, type Table } from '../model/ruleset.ts';
import type { HostState, RuleRow } from '../views/web/index.ts';

/** Listings that the host page shows, by topic: nft first, what iptables writes into nf_tables is shown once. */
export const RULE_TOPICS = ['nft', 'iptables', 'ip6tables', 'iptables-legacy', 'ip6tables-legacy'] as const;
export const FILL = ['net/netfilter/nf_conntrack_count', 'net/netfilter/nf_conntrack_max'] as const;

const MOST_RULES = 5_000;

/** The rules of one namespace as rows; `texts` are answers by topic. */
export function rulesOf(netns: string, texts: ReadonlyMap<string, string>): RuleRow[] {
  const tables: Table[] = [];
  const save = (topic: string, family: 4 | 6): void => {
    const text = texts.get(topic);
    if (text !== undefined) tables.push(...decodeIptablesSave(text, family, topic).tables);
  };
  save('iptables', 4);
  save('ip6tables', 6);
  save('iptables-legacy', 4);
  save('ip6tables-legacy', 6);
  const nft = texts.get('nft');
  if (nft !== undefined) {
    const shown = new Set(tables.filter((t) => t.engine === 'nft').map((t) => `${t.family} ${t.name}`));
    tables.push(...decodeNftJson(nft).tables.filter((t) => !shown.has(`${t.family} ${t.name}`)));
  }
  const rows: RuleRow[] = [];
  for (const table of tables) {
    for (const chain of table.chains.values()) {
      for (const rule of chain.rules) {
        if (rows.length >= MOST_RULES) return rows;
        rows.push({ netns, chain: chainText(table, chain.name), position: rule.position, text: rule.text, ...(rule.counter === undefined ? {} : { packets: rule.counter.packets, bytes: rule.counter.bytes }) });
      }
    }
  }
  return rows;
}

/** How full the connection table of a namespace is; empty where that is not known. */
export function conntrackFill(netns: string, texts: ReadonlyMap<string, string>): HostState['conntrack'] {
  const number = (path: string): number => Number(/(\d+)\s*$/.exec(texts.get(`sysctl ${path}`) ?? '')?.[1]);
  const [used, most] = [number(FILL[0]), number(FILL[1])];
  return Number.isFinite(used) && Number.isFinite(most) ? [{ netns, used, most }] : [];
}
