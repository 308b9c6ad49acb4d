import type { Counters } from '../model/conntrack.ts';

/** Lines `name value` (net/ipv6/proc.c, net/xfrm/xfrm_proc.c): `Ip6InDiscards`, `Udp6RcvbufErrors`, `XfrmOutPolBlock`. */
export function decodeSnmp6(text: string): Counters {
  const values = new Map<string, number>();
  let whole = true;
  for (const line of text.split('\n')) {
    const m = /^(\S+)\s+(-?[0-9]+)\s*$/.exec(line);
    if (m !== null) values.set(m[1]!, Number(m[2]));
    else if (line.trim() !== '') whole = false;
  }
  return { values, status: whole ? 'complete' : 'partial' };
}
