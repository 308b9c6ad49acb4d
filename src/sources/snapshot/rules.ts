import { isUnavailable, type Maybe } from '../../model/unavailable.ts';
import { readText } from '../read.ts';
import { inside, where, type Reader, type Task } from './reader.ts';
import { surelyNotLoaded } from './modules.ts';

/** Rule sets of large hosts: kube-proxy and blocklists reach tens of megabytes. */
const RULES_LIMIT = 64 * 1024 * 1024;
const RULES_TIME = 8_000;

const rules = (task: Task, program: string, args: readonly string[]): Promise<Maybe<string>> =>
  task.desk.commands.output({ program, args, ...where(task), outputLimit: RULES_LIMIT, timeLimit: RULES_TIME });

export const nft: Reader = (task) =>
  surelyNotLoaded('nf_tables') ? '{"nftables": []}' : rules(task, 'nft', ['-j', '-p', 'list', 'ruleset']);

/**
 * Rules of iptables that live in nf_tables. Where iptables itself is the legacy one and its nft sister is not
 * installed, nobody can have written any.
 */
export function xtablesNft(family: 'ip' | 'ip6'): Reader {
  return async (task) => {
    if (surelyNotLoaded('nf_tables')) return '';
    const text = await rules(task, `${family}tables-nft-save`, ['-c']);
    if (!isUnavailable(text) || text.unavailable !== 'missing-program') return text;
    const variant = await task.desk.commands.output({ program: `${family}tables`, args: ['-V'] });
    if (isUnavailable(variant)) return variant;
    return variant.includes('nf_tables') ? rules(task, `${family}tables-save`, ['-c']) : '';
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
    return everyTable(tables, async (table) => {
      const text = await rules(task, `${family}tables-legacy-save`, ['-c', '-t', table]);
      // before iptables 1.8 there was only the legacy one, without the word in its name
      return isUnavailable(text) && text.unavailable === 'missing-program' ? rules(task, `${family}tables-save`, ['-c', '-t', table]) : text;
    });
  };
}

/** ebtables of nf_tables, then of the legacy kind. The latter has no list of tables; a rule in one keeps its module busy. */
export const ebtables: Reader = async (task) => {
  const modern = surelyNotLoaded('nf_tables') ? '' : await nftVariant(task, 'ebtables-nft-save', 'ebtables-save', ['-c']);
  const legacyUsed = ['filter', 'nat', 'broute'].some((table) => moduleUsers(`ebtable_${table}`) > 0);
  if (!legacyUsed) return modern;
  const legacy = await rules(task, 'ebtables-legacy-save', []);
  if (isUnavailable(modern)) return legacy;
  return isUnavailable(legacy) ? legacy : modern + legacy;
};

export const arptables: Reader = async (task) => {
  const modern = surelyNotLoaded('nf_tables') ? '' : await nftVariant(task, 'arptables-nft-save', 'arptables-save', ['-c']);
  const tables = tableNames(task, 'arp_tables_names');
  if (isUnavailable(tables) || tables.length === 0) return modern;
  const legacy = await everyTable(tables, async (table) => {
    const args = ['-t', table, '-n', '-v', '-L'];
    const text = await rules(task, 'arptables-legacy', args);
    const found = isUnavailable(text) && text.unavailable === 'missing-program' ? await rules(task, 'arptables', args) : text;
    return isUnavailable(found) ? found : arptablesSaved(table, found);
  });
  if (isUnavailable(modern)) return legacy;
  return isUnavailable(legacy) ? legacy : modern + legacy;
};

/**
 * `arptables -n -v -L` in the form of arptables-save: the legacy save program leaves rules out. Its rule lines
 * (`-j DROP -i * -o * -s 10.9.0.9 , pcnt=0 -- bcnt=0`) are options already, with `*` for any.
 */
export function arptablesSaved(table: string, text: string): string {
  const policies: string[] = [], saved: string[] = [];
  let chain = '';
  for (const line of text.split('\n')) {
    const head = /^Chain (\S+) \((?:policy (\S+) ([0-9]+) packets, ([0-9]+) bytes|.*)\)$/.exec(line);
    const rule = /^(-.*?)\s*,?\s*pcnt=([0-9]+) -- bcnt=([0-9]+)\s*$/.exec(line);
    if (head !== null) {
      chain = head[1]!;
      policies.push(`:${chain} ${head[2] ?? '-'} [${head[3] ?? 0}:${head[4] ?? 0}]`);
    } else if (rule !== null) {
      saved.push(`[${rule[2]}:${rule[3]}] -A ${chain} ${rule[1]!.replace(/(?:^| )-[io] \*(?= |$)/g, '').trim()}`);
    }
  }
  return [`# arptables (legacy)`, `*${table}`, ...policies, ...saved, 'COMMIT', ''].join('\n');
}

export const ipset: Reader = (task) => (surelyNotLoaded('ip_set') ? '' : rules(task, 'ipset', ['save']));

/** The nft build of a program under either of its names; empty when only the legacy one is installed. */
async function nftVariant(task: Task, name: string, plain: string, args: readonly string[]): Promise<Maybe<string>> {
  const text = await rules(task, name, args);
  if (isUnavailable(text) && text.unavailable === 'failed' && args.length > 0) return rules(task, name, []); // releases that cannot give counters
  if (!isUnavailable(text) || text.unavailable !== 'missing-program') return text;
  const program = plain.replace(/-save$/, '');
  const variant = await task.desk.commands.output({ program, args: ['-V'] });
  if (isUnavailable(variant)) return variant;
  return variant.includes('nf_tables') ? rules(task, plain, args) : '';
}

async function everyTable(tables: readonly string[], list: (table: string) => Promise<Maybe<string>>): Promise<Maybe<string>> {
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
