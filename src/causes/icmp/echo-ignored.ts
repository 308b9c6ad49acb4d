import { sysctlNumber, sysctlSet } from '../../evidence/network/sysctl.ts';
import { isMulticastAddress, symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { DropSymptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'icmp.echo-ignored',
  title: 'pings are ignored by a setting',
  needs: ['sysctl'],
  knowledge: {
    what: 'Echo requests (ping) arrive and are thrown away after they were counted, because icmp_echo_ignore_all is set, or, as is the default for IPv4, those to a broadcast or group address (icmp_echo_ignore_broadcasts). Nothing else is touched: other traffic passes. Some hosts are set up so on purpose; monitoring and load balancers then take them for dead.',
    signs: ['ping gets no answer, other traffic does', 'Icmp InEchos in /proc/net/snmp rises, OutEchoReps does not (IPv6: Icmp6InEchos, Icmp6OutEchoReplies in snmp6)', 'icmp_echo_ignore_all: no drop event, the kernel consumes the request', 'Broadcast pings: INVALID_PROTO at icmp_rcv; IPv6: NOT_SPECIFIED at icmpv6_rcv'],
    fixes: ['`sysctl -w net.ipv4.icmp_echo_ignore_all=0`, IPv6: `net.ipv6.icmp.echo_ignore_all=0`'],
    functions: ['icmp_echo', 'icmpv6_rcv', 'icmpv6_echo_reply'],
    reasons: ['INVALID_PROTO', 'NOT_SPECIFIED'],
    errnos: [],
    versions: ['net.ipv6.icmp.echo_ignore_all exists since 5.0'],
    sources: ['net/ipv4/icmp.c', 'net/ipv6/icmp.c', 'Documentation/networking/ip-sysctl.rst'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind === 'drop') return judgeDrop(symptom, evidence);
    if (symptom.kind !== 'counter' || !/^snmp Icmp6? ?InEchos$/.test(symptom.counter)) return NOT_APPLICABLE;
    const six = symptom.counter.includes('Icmp6');
    const path = six ? 'net/ipv6/icmp/echo_ignore_all' : 'net/ipv4/icmp_echo_ignore_all';
    const value = sysctlNumber(evidence, symptom.netns, path);
    const key = path.replaceAll('/', '.');
    if (isUnavailable(value)) return cannotTell(unavailableText(value), key);
    if (value === 0) return ruledOut(`${key} is 0`);
    const where = netnsText(evidence, symptom.netns);
    return {
      outcome: 'found',
      confidence: 0.95,
      severity: 'warning',
      identity: key,
      explanation: `Echo requests (ping) reach ${where} and are not answered: ${symptom.after - symptom.before} came, no answer went out. ${key} is ${value}, which has the kernel ignore them. Other traffic is not touched.`,
      culprit: { kind: 'sysctl', text: `${key} = ${value} in ${where}`, name: key, value, effective: value },
      evidence: [symptomLine(evidence, symptom), { source: 'sysctl', text: `${key} = ${value}` }],
      remedies: [{ text: 'Have pings answered again.', command: sysctlSet(evidence, symptom.netns, [[key, 0]]), undo: sysctlSet(evidence, symptom.netns, [[key, value]]), risk: 'low' }],
    };
  },
};

const ECHO = 8, TIMESTAMP = 13, ECHO6 = 128;

/** A request whose packet was seen: to a group or everyone (icmp_rcv), or any IPv6 one (icmpv6_rcv). */
function judgeDrop(symptom: DropSymptom, evidence: Evidence): Finding {
  const { drop } = symptom;
  const { ip, transport } = drop.packet;
  const symbol = symbolOf(drop);
  if (ip === undefined || (transport?.kind !== 'icmp' && transport?.kind !== 'icmp6')) return NOT_APPLICABLE;
  const four = symbol === 'icmp_rcv' && drop.reason.name === 'INVALID_PROTO' && (transport.type === ECHO || transport.type === TIMESTAMP);
  const six = symbol === 'icmpv6_rcv' && drop.reason.name === 'NOT_SPECIFIED' && transport.type === ECHO6;
  if (!four && !six) return NOT_APPLICABLE;
  const group = isMulticastAddress(ip.destination);
  const paths = four ? ['net/ipv4/icmp_echo_ignore_broadcasts'] : ['net/ipv6/icmp/echo_ignore_all', ...(group ? ['net/ipv6/icmp/echo_ignore_multicast'] : ['net/ipv6/icmp/echo_ignore_anycast'])];
  const values = paths.map((path) => [path.replaceAll('/', '.'), sysctlNumber(evidence, symptom.netns, path)] as const);
  for (const [key, value] of values) if (isUnavailable(value) && value.unavailable === 'pending') return cannotTell(unavailableText(value), key);
  const set = values.find(([, value]) => !isUnavailable(value) && value !== 0);
  if (set === undefined) return ruledOut(`${values.map(([key]) => key).join(', ')} ${values.length === 1 ? 'is' : 'are'} 0`);
  const [key, value] = set as readonly [string, number];
  const where = netnsText(evidence, symptom.netns);
  return {
    outcome: 'found',
    confidence: 0.97,
    severity: four ? 'info' : 'warning', //  that of IPv4 is on by default (RFC 1122, 3.2.2.6)
    identity: key,
    explanation: `Echo requests (ping) of ${ip.source} to ${ip.destination}${four ? ', which is no address of one host but of many,' : ''} reach ${where} and are not answered. ${key} is ${value}, which has the kernel ignore them${four ? '; that is the default' : ''}. ${four || group ? 'Pings to the address of the host itself are answered.' : 'Other traffic is not touched.'}`,
    culprit: { kind: 'sysctl', text: `${key} = ${value} in ${where}`, name: key, value, effective: value },
    evidence: [symptomLine(evidence, symptom), { source: 'sysctl', text: `${key} = ${value}` }],
    remedies: [{ text: four ? 'Have them answered; whoever forges the source of such a ping can then flood others with the answers.' : 'Have pings answered again.', command: sysctlSet(evidence, symptom.netns, [[key, 0]]), undo: sysctlSet(evidence, symptom.netns, [[key, value]]), risk: four ? 'medium' : 'low' }],
  };
}
