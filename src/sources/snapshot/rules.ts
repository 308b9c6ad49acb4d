import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { readText } from '../read.ts';
import { inside, listing, type Body, type Reader, type Task } from './reader.ts';
import { surelyNotLoaded } from './modules.ts';

/** Rule sets of large hosts: kube-proxy and blocklists reach tens of megabytes. */
const RULES_LIMIT = 64 * 1024 * 1024;

export const nft: Reader = (task) =>
  surelyNotLoaded('nf_tables') ? '{"nftables": []}' : listing(task, 'nft', ['-j', '-p', 'list', 'ruleset'], RULES_LIMIT);

/**
 * Rules of iptables that live in nf_tables. Where iptables itself is the legacy one and its nft sister is not
 * installed, nobody can have written any.
 */
export function xtablesNft(family: 'ip' | 'ip6'): Reader {
  return async (task) => {
    if (surelyNotLoaded('nf_tables')) return '';
    const text = await listing(task, `${family}tables-nft-save`, ['-c'], RULES_LIMIT);
    if (!isUnavailable(text) || text.unavailable !== 'missing-program') return text;
    const variant = await task.desk.commands.output({ program: `${family}tables`, args: ['-V'] });
    if (isUnavailable(variant)) return variant;
    return variant.includes('nf_tables') ? listing(task, `${family}tables-save`, ['-c'], RULES_LIMIT) : '';
  };
}

/**
 * Rules of iptables that live in x_tables. Naming a table creates it (and its hooks) in the namespace, so only those
 * are listed that the kernel says are there.
 */
export function xtablesLegacy(family: 'ip' | 'ip6'): Reader {
  return async (task) => {
    const tables = tableNames(task, `${family}_tables_names`);
    if (isUnavailable(tables)) return tables.unavailable === 'missing' ? '' : tables;
    return everyTable(task, tables, async (table) => {
      const text = await listing(task, `${family}tables-legacy-save`, ['-c', '-t', table], RULES_LIMIT);
      // before iptables 1.8 there was only the legacy one, without the word in its name
      return isUnavailable(text) && text.unavailable === 'missing-program' ? listing(task, `${family}tables-save`, ['-c', '-t', table], RULES_LIMIT) : text;
    });
  };
}

/** ebtables of nf_tables, then of the legacy kind. The latter has no list of tables; a rule in one keeps its module busy. */
export const ebtables: Reader = async (task) => {
  const modern = surelyNotLoaded('nf_tables') ? '' : await nftVariant(task, 'ebtables-nft-save', 'ebtables-save', []);
  const legacyUsed = ['filter', 'nat', 'broute'].some((table) => moduleUsers(`ebtable_${table}`) > 0);
  if (!legacyUsed) return modern;
  const legacy = await listing(task, 'ebtables-legacy-save', [], RULES_LIMIT);
  if (isUnavailable(modern)) return legacy;
  return isUnavailable(legacy) ? legacy : modern + legacy;
};

export const arptables: Reader = async (task) => {
  const modern = surelyNotLoaded('nf_tables') ? '' : await nftVariant(task, 'arptables-nft-save', 'arptables-save', ['-c']);
  const tables = tableNames(task, 'arp_tables_names');
  if (isUnavailable(tables) || tables.length === 0) return modern;
  const legacy = await everyTable(task, tables, (table) => listing(task, 'arptables-legacy', ['-t', table, '-n', '-v', '-L'], RULES_LIMIT));
  if (isUnavailable(modern)) return legacy;
  return isUnavailable(legacy) ? legacy : `${modern}# arptables -L (legacy)\n${legacy as string}`;
};

export const ipset: Reader = (task) => (surelyNotLoaded('ip_set') ? '' : listing(task, 'ipset', ['save'], RULES_LIMIT));

/** The nft build of a program under either of its names; empty when only the legacy one is installed. */
async function nftVariant(task: Task, name: string, plain: string, args: readonly string[]): Promise<Maybe<string>> {
  const text = await listing(task, name, args, RULES_LIMIT);
  if (!isUnavailable(text) || text.unavailable !== 'missing-program') return text;
  const program = plain.replace(/-save$/, '');
  const variant = await task.desk.commands.output({ program, args: ['-V'] });
  if (isUnavailable(variant)) return variant;
  return variant.includes('nf_tables') ? listing(task, plain, args, RULES_LIMIT) : '';
}

async function everyTable(_: Task, tables: readonly string[], list: (table: string) => Promise<Maybe<string>>): Promise<Body> {
  const texts = await Promise.all(tables.map(list));
  let all = '';
  for (const text of texts) {
    if (isUnavailable(text)) return text;
    all += text;
  }
  return all;
}

/** Tables of x_tables that exist in the namespace: a line each. */
function tableNames(task: Task, file: string): Maybe<string[]> {
  const text = inside(task, () => readText(`/proc/thread-self/net/${file}`, `/proc/net/${file}`));
  return isUnavailable(text) ? text : text.split('\n').filter((name) => /^[a-z]+$/.test(name));
}

/** How many hold a module, by /proc/modules; 0 when it is not there. */
function moduleUsers(name: string): number {
  const text = readText('/proc/modules');
  if (isUnavailable(text)) return 0;
  return Number(new RegExp(`^${name} [0-9]+ ([0-9]+)`, 'm').exec(text)?.[1] ?? 0);
}
