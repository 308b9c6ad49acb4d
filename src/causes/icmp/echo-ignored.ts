import { sysctlNumber, sysctlSet } from '../../evidence/network/sysctl.ts';
import { symptomLine } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'icmp.echo-ignored',
  title: 'pings are ignored by a setting',
  needs: ['sysctl'],
  knowledge: {
    what: 'Echo requests (ping) arrive and are thrown away after they were counted, because icmp_echo_ignore_all is set. Nothing else is touched: other traffic passes. Some hosts are set up so on purpose; monitoring and load balancers then take them for dead.',
    signs: ['ping gets no answer, other traffic does', 'Icmp InEchos in /proc/net/snmp rises, OutEchoReps does not (IPv6: Icmp6InEchos, Icmp6OutEchoReplies in snmp6)', 'No drop event: the kernel consumes the request'],
    fixes: ['`sysctl -w net.ipv4.icmp_echo_ignore_all=0`, IPv6: `net.ipv6.icmp.echo_ignore_all=0`'],
    functions: ['icmp_echo', 'icmpv6_rcv', 'icmpv6_echo_reply'],
    reasons: [],
    errnos: [],
    versions: ['net.ipv6.icmp.echo_ignore_all exists since 5.0'],
    sources: ['net/ipv4/icmp.c', 'net/ipv6/icmp.c', 'Documentation/networking/ip-sysctl.rst'],
  },
  judge: (symptom, evidence) => {
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
