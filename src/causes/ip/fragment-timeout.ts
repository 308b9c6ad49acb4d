import { procLines } from '../../evidence/network/read.ts';
import { sysctlNumber, sysctlSet } from '../../evidence/network/sysctl.ts';
import { dropLine, symbolOf } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE } from '../../model/finding.ts';
import type { Remedy } from '../../model/incident.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

const PLACES = /^(ip_expire|ip6frag_expire_frag_queue|ip6_frag_expire|nf_ct_frag6_expire|inet_frag_rbtree_purge|inet_frag_queue_flush)$/;

export const cause: Cause = {
  id: 'ip.fragment-timeout',
  title: 'a packet\'s fragments did not all arrive in time',
  needs: ['sysctl', 'proc'],
  knowledge: {
    what: 'A fragmented packet is kept until all of its pieces are there, at most ipfrag_time seconds. Then the pieces are dropped. Either a fragment was lost on the way (often dropped by a filter, for only the first has port numbers), or the time is set too short for how slowly they arrive.',
    signs: ['FRAG_REASM_TIMEOUT at ip_expire (IPv4) or ip6frag_expire_frag_queue (IPv6)', 'Ip ReasmTimeout, ReasmFails in /proc/net/snmp rise', 'ICMP time exceeded in reassembly'],
    fixes: ['`sysctl net.ipv4.ipfrag_time`: 30 seconds is usual', 'Look for what eats the other fragments: a filter, a full queue', 'Send smaller packets'],
    functions: ['ip_expire', 'ip_defrag', 'ip6frag_expire_frag_queue'],
    reasons: ['FRAG_REASM_TIMEOUT'],
    errnos: [],
    versions: ['Linux 6.12 has FRAG_REASM_TIMEOUT; 6.1 shows NOT_SPECIFIED at ip_expire'],
    sources: ['net/ipv4/ip_fragment.c', 'net/ipv6/reassembly.c', 'RFC 791', 'RFC 8200 section 4.5'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind !== 'drop') return NOT_APPLICABLE;
    const { drop } = symptom;
    const place = symbolOf(drop);
    if (drop.reason.name !== 'FRAG_REASM_TIMEOUT' && !(PLACES.test(place) && drop.reason.name === 'NOT_SPECIFIED')) return NOT_APPLICABLE;
    const six = drop.packet.ip?.version === 6;
    const path = six ? 'net/ipv6/ip6frag_time' : 'net/ipv4/ipfrag_time';
    const usual = six ? 60 : 30;
    const time = sysctlNumber(evidence, drop.netns, path);
    const snmp = six ? undefined : procLines(evidence, drop.netns, 'net/snmp');
    const before = six ? undefined : procLines(evidence, drop.netns, 'net/snmp', 'before');
    if (isUnavailable(time)) return cannotTell(unavailableText(time), path);
    if (snmp !== undefined && isUnavailable(snmp) && snmp.unavailable === 'pending') return cannotTell(unavailableText(snmp), '/proc/net/snmp');
    const key = path.replaceAll('/', '.');
    const where = netnsText(evidence, drop.netns);
    const { ip } = drop.packet;
    const short = time < usual;
    const fails = snmp === undefined || isUnavailable(snmp) ? undefined : reasm(snmp);
    const old = before === undefined || isUnavailable(before) ? undefined : reasm(before);
    const remedies: Remedy[] = short
      ? [{ text: `Wait for fragments for the usual ${usual} seconds.`, command: sysctlSet(evidence, drop.netns, [[key, usual]]), undo: sysctlSet(evidence, drop.netns, [[key, time]]), risk: 'low' }]
      : [{ text: 'Find what loses the other fragments on the way, or have the sender send packets that need none: smaller datagrams, path MTU discovery.', risk: 'low' }, { text: 'Or wait longer for slow fragments.', command: sysctlSet(evidence, drop.netns, [[key, time * 2]]), undo: sysctlSet(evidence, drop.netns, [[key, time]]), risk: 'low' }];
    return {
      outcome: 'found',
      confidence: drop.reason.name === 'FRAG_REASM_TIMEOUT' ? (short ? 0.97 : 0.93) : 0.85,
      severity: 'warning',
      identity: short ? 'ipfrag_time' : `fragments|${ip?.source ?? ''}`,
      explanation: `Fragments${ip === undefined ? '' : ` from ${ip.source} to ${ip.destination}${ip.id === undefined ? '' : `, packet id ${ip.id},`}`} were dropped in ${where}, because the rest of their packet did not come within ${time === 1 ? 'a second' : `${time} seconds`} (${key}). ${short ? `The usual time is ${usual}: it was cut short, and fragments that come slowly cannot be put together. The sender has to send the whole packet again.` : 'That is the usual time, so the missing fragments were lost on the way. A filter that knows only first fragments, or a full queue, loses single ones.'}`,
      culprit: short
        ? { kind: 'sysctl', text: `${key} = ${time} (ipfrag_time)`, name: key, value: time, effective: time }
        : { kind: 'peer', text: `missing fragments${ip === undefined ? '' : ` of packets from ${ip.source}`} (${key} = ${time}, ipfrag_time)`, address: ip?.source },
      evidence: [dropLine(evidence, drop), { source: 'sysctl', text: `${key} = ${time}` }, ...(fails === undefined ? [] : [{ source: '/proc/net/snmp', text: `Ip ReasmTimeout ${old === undefined ? '' : `${old.timeout} → `}${fails.timeout}, ReasmFails ${old === undefined ? '' : `${old.fails} → `}${fails.fails}` }])],
      remedies,
    };
  },
};

function reasm(lines: readonly string[]): { timeout: number; fails: number } | undefined {
  const rows = lines.filter((l) => l.startsWith('Ip:')).map((l) => l.trim().split(/\s+/));
  const at = (name: string): number => Number(rows[1]?.[rows[0]?.indexOf(name) ?? -1] ?? NaN);
  const timeout = at('ReasmTimeout'), fails = at('ReasmFails');
  return Number.isNaN(timeout) || Number.isNaN(fails) ? undefined : { timeout, fails };
}
