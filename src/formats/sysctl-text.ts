/**
 * Answers about sysctls: the text of one file below /proc/sys, or, for a glob, lines `path = value`. Paths use
 * slashes: `net/ipv4/conf/eth0/rp_filter` (an interface name may hold dots).
 */
export function decodeSysctl(source: string, asked: string): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const line of source.split('\n')) {
    const m = /^([^\s=]+) = (.*)$/.exec(line);
    if (m !== null && m[1]!.includes('/')) map.set(m[1]!, m[2]!.trim());
  }
  if (map.size === 0 && source.trim() !== '' && !asked.includes('*')) map.set(asked, source.trim().replace(/\s+/g, ' '));
  return map;
}
