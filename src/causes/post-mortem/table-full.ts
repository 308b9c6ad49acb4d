import { netnsText } from '../../evidence/netns.ts';
import type { PostMortemFacts } from '../../evidence/post-mortem/index.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, type Finding } from '../../model/finding.ts';
import type { Symptom } from '../../model/symptom.ts';
import { cause as live } from '../conntrack/table-full.ts';

/** The full table by the kernel's own word in a collected log, or by counters alone. */
export function tableFullFrom(facts: PostMortemFacts): Cause {
  return { ...live, needs: [], judge: (symptom, evidence) => judge(symptom, evidence, facts) };
}

function judge(symptom: Symptom, evidence: Evidence, facts: PostMortemFacts): Finding {
  const said = symptom.kind === 'log' && /conntrack: table full/.test(symptom.line);
  const counted = facts.conntrack.find((c) => c.netns === symptom.netns) ?? facts.conntrack[0];
  const only = symptom.kind === 'counter' && symptom.counter === 'nf_conntrack' && counted !== undefined && counted.lost === 0 && counted.losses.dropOnly > 0;
  if (!said && !only) return NOT_APPLICABLE;
  const dropped = counted?.losses.dropOnly ?? 0;
  return {
    outcome: 'found', confidence: said ? (dropped > 0 ? 0.95 : 0.9) : 0.6, severity: 'critical', identity: 'nf_conntrack_max',
    explanation: `${said ? 'The kernel\'s log says that the connection tracking table was full and that it dropped packets' : `Conntrack's drop counter grew by ${dropped} without failed inserts in ${netnsText(evidence, symptom.netns)}`}${said && dropped > 0 ? `; its drop counter grew by ${dropped}` : ''}. Packets that begin a new connection get no entry then and are dropped; connections that have one go on. ${said ? 'The limit is net.netfilter.nf_conntrack_max.' : 'A full table does that, and so does a tracker or a helper that refuses a packet.'}`,
    culprit: { kind: 'sysctl', text: 'net.netfilter.nf_conntrack_max is too low for the number of connections', sysctl: 'net.netfilter.nf_conntrack_max' },
    evidence: [...(symptom.kind === 'log' ? [{ source: symptom.file, time: evidence.iso(symptom.first), text: symptom.line }] : []), ...(counted === undefined ? [] : [{ source: counted.files.join(', '), text: counted.losses.text }])],
    remedies: [
      { text: 'Raise the limit (one number for the host, set in its first namespace).', command: 'sysctl -w net.netfilter.nf_conntrack_max=262144', risk: 'low' },
      { text: 'Find who holds the entries (conntrack -L), shorten time-outs, or exempt traffic that needs no state (NOTRACK).', risk: 'medium' },
    ],
  };
}
