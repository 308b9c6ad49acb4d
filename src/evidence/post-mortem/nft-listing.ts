const PRIORITIES: Readonly<Record<string, number>> = { raw: -300, mangle: -150, dstnat: -100, filter: 0, security: 50, srcnat: 100, out: 100 };

/**
 * The tables and chains of `nft list ruleset` (text) as `nft -j` would list them, without rules: for listings in which no
 * rule can drop, so that those of iptables-nft find their hooks.
 */
export function nftJsonOf(text: string): string {
  const objects: unknown[] = [{ metainfo: { json_schema_version: 1 } }];
  let family = '', table = '', chain = '';
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    const t = /^table (\S+) (\S+) \{/.exec(line), c = /^chain (\S+) \{/.exec(line);
    const hook = /^type (\S+) hook (\S+)(?: devices? [^;]*?)? priority ([^;]+);(?: policy (\w+);)?/.exec(line);
    if (t !== null) {
      family = t[1]!;
      table = t[2]!;
      objects.push({ table: { family, name: table, handle: 0 } });
    } else if (c !== null) chain = c[1]!;
    else if (chain !== '' && hook !== null) {
      objects.push({ chain: { family, table, name: chain, handle: 0, type: hook[1], hook: hook[2], prio: priority(hook[3]!), policy: hook[4] ?? 'accept' } });
      chain = '';
    } else if (chain !== '' && line !== '') {
      objects.push({ chain: { family, table, name: chain, handle: 0 } });
      chain = '';
    }
  }
  return JSON.stringify({ nftables: objects });
}

function priority(text: string): number {
  const m = /^([a-z]+)?\s*(?:([+-])?\s*(\d+))?$/.exec(text.trim());
  return m === null ? 0 : (PRIORITIES[m[1] ?? ''] ?? 0) + (m[2] === '-' ? -1 : 1) * Number(m[3] ?? 0);
}
