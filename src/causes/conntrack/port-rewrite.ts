import { conntrackTable, snatRules, translationOf, tupleText } from '../../evidence/conntrack/index.ts';
import { olderThan } from '../../evidence/counters/index.ts';
import { namespaces } from '../../evidence/network/hosts.ts';
import { inNetns, netnsText } from '../../evidence/netns.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { LogSymptom } from '../../model/symptom.ts';
import { isUnavailable, unavailableText } from '../../model/unavailable.ts';

/** OpenVPN: `Incoming packet rejected from [AF_INET]10.99.0.1:64150[2], expected peer address: [AF_INET]10.99.0.1:1194` */
const REJECTED = /packet rejected from \[AF_INET6?\]([0-9a-fA-F.:]+?):([0-9]+)\b.*expected peer address: \[AF_INET6?\]([0-9a-fA-F.:]+?):([0-9]+)/;

/**
 * The insert race's second symptom before 6.12: the loser's null binding finds its own port taken by the winner and
 * gives the flow another source port, though no rule asks for it. The far end refuses the packets.
 */
export function judgeRewrite(symptom: LogSymptom, evidence: Evidence): Finding {
  const m = REJECTED.exec(symptom.line);
  if (m === null || m[1] !== m[3] || m[2] === m[4]) return NOT_APPLICABLE;
  const [, address, port, , expected] = m;
  for (const netns of namespaces(evidence, symptom.netns)) {
    const table = conntrackTable(evidence, netns);
    if (isUnavailable(table)) {
      if (table.unavailable === 'pending') return cannotTell(unavailableText(table), 'the connection table');
      continue;
    }
    const entry = table.entries.find((e) => e.original.source === address && String(e.original.sourcePort) === expected && translationOf(e)?.portOnly === true && String(e.reply.destinationPort) === port);
    if (entry === undefined) continue;
    const rules = snatRules(evidence, netns, { protocol: entry.original.protocol, ...(address === undefined ? {} : { translated: address }) });
    if (!isUnavailable(rules) && rules.some((r) => r.masquerade || r.addresses?.first === address)) return ruledOut(`a rule translates it: ${rules[0]!.words}`);
    return {
      outcome: 'found', confidence: olderThan(evidence.host.kernel, 6, 12) ? 0.95 : 0.85, severity: 'warning',
      identity: `rewritten ${tupleText(entry.original)}`,
      explanation: `Packets of ${tupleText(entry.original)} leave ${netnsText(evidence, netns)} from port ${port} instead of ${expected}, though no rule asks for that, and the receiver refuses them. An insert race did it: when the flow's entry was made anew, an entry of the opposite direction had its port, so the kernel's null binding chose another one. The entry keeps the wrong port as long as the flow goes on.`,
      culprit: { kind: 'unknown', text: `the conntrack entry ${tupleText(entry.original)} in ${netnsText(evidence, netns)}, which expects replies at port ${port}`, id: entry.id },
      evidence: [{ source: symptom.file, text: symptom.line }, { source: 'conntrack table', text: `${tupleText(entry.original)}, replies expected as ${tupleText(entry.reply)}` }],
      remedies: [
        { text: 'Delete this one entry: the next packet makes it anew.', command: inNetns(evidence, netns, `conntrack -D -p ${entry.original.protocol} --orig-src ${address} --orig-dst ${entry.original.destination} --orig-port-src ${expected} --orig-port-dst ${entry.original.destinationPort ?? 0}`), risk: 'low' },
        { text: 'Linux 6.12 and later leave the port alone (d8f84a9bc7c4; also in 6.6.57).', risk: 'medium' },
      ],
    };
  }
  return ruledOut('no connection entry has its source port rewritten without a rule');
}
