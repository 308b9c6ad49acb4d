import { procLines } from '../../evidence/network/read.ts';
import { sysctlNumber, sysctlSet } from '../../evidence/network/sysctl.ts';
import { symbolOf, symptomLine } from '../../evidence/network/words.ts';
import { netnsText } from '../../evidence/netns.ts';
import type { Cause } from '../../model/cause.ts';
import { cannotTell, NOT_APPLICABLE } from '../../model/finding.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

export const cause: Cause = {
  id: 'cpu.backlog-full',
  title: 'the packet queue of a CPU is full',
  needs: ['sysctl', 'proc'],
  knowledge: {
    what: 'Packets from veth, loopback, tunnels and drivers without NAPI, and those that RPS moves to another CPU, wait in a queue of that CPU. It holds netdev_max_backlog packets; what finds it full is dropped. The CPU cannot keep up, or a burst is larger than the queue.',
    signs: ['CPU_BACKLOG at enqueue_to_backlog or netif_rx_internal', 'Second column of /proc/net/softnet_stat rises', 'One CPU spends all its time in softirq'],
    fixes: ['`sysctl -w net.core.netdev_max_backlog=10000`', 'Spread the work: RPS (`rps_cpus`), more receive queues', 'Find what makes each packet dear: many rules, a slow BPF program'],
    functions: ['enqueue_to_backlog', 'netif_rx_internal', 'process_backlog'],
    reasons: ['CPU_BACKLOG'],
    errnos: [],
    versions: ['CPU_BACKLOG exists since 5.18'],
    sources: ['net/core/dev.c', 'Documentation/admin-guide/sysctl/net.rst', 'Documentation/networking/scaling.rst'],
  },
  judge: (symptom, evidence) => {
    if (symptom.kind === 'counter' ? !/softnet/.test(symptom.counter) : symptom.kind !== 'drop' || !(symptom.drop.reason.name === 'CPU_BACKLOG' || (symptom.drop.reason.name === 'NOT_SPECIFIED' && symbolOf(symptom.drop) === 'enqueue_to_backlog'))) return NOT_APPLICABLE;
    const home = evidence.host.home;
    const limit = sysctlNumber(evidence, home, 'net/core/netdev_max_backlog');
    const stat = procLines(evidence, home, 'net/softnet_stat');
    if (isUnavailable(limit)) return cannotTell(unavailableText(limit), 'net.core.netdev_max_backlog');
    if (isUnavailable(stat) && stat.unavailable === 'pending') return cannotTell(unavailableText(stat), '/proc/net/softnet_stat');
    const rows = isUnavailable(stat) ? [] : stat.map((l, cpu) => ({ cpu, dropped: Number.parseInt(l.trim().split(/\s+/)[1] ?? '0', 16) })).filter((r) => r.dropped > 0);
    const worst = symptom.kind === 'drop' ? rows.find((r) => r.cpu === symptom.drop.cpu) ?? rows[0] : [...rows].sort((a, b) => b.dropped - a.dropped)[0];
    const cpu = worst?.cpu ?? (symptom.kind === 'drop' ? symptom.drop.cpu : 0);
    const wanted = Math.max(10000, limit * 10);
    return {
      outcome: 'found',
      confidence: 0.96,
      severity: 'warning',
      identity: 'netdev_max_backlog',
      explanation: `Packets in ${netnsText(evidence, symptom.netns)} were dropped, because the queue of CPU ${cpu} was full. It holds ${limit} packets (net.core.netdev_max_backlog, one value for the whole host)${worst === undefined ? '' : `, and has dropped ${worst.dropped} since boot`}. ${limit < 1000 ? 'The usual limit is 1000: this one is too short for bursts.' : 'More come than this CPU can handle.'}`,
      culprit: { kind: limit < 1000 ? 'sysctl' : 'cpu', text: `net.core.netdev_max_backlog = ${limit}, CPU ${cpu}`, name: 'net.core.netdev_max_backlog', value: limit, effective: limit, cpu },
      evidence: [symptomLine(evidence, symptom), { source: 'sysctl', text: `net.core.netdev_max_backlog = ${limit}` }, ...rows.slice(0, 4).map((r) => ({ source: '/proc/net/softnet_stat', text: `CPU ${r.cpu}: ${r.dropped} dropped` }))],
      remedies: [{ text: `Let ${wanted} packets wait.`, command: sysctlSet(evidence, home, [['net.core.netdev_max_backlog', wanted]]), undo: sysctlSet(evidence, home, [['net.core.netdev_max_backlog', limit]]), risk: 'low' }],
    };
  },
};
