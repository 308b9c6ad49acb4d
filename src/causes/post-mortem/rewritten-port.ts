import { sameTuple, translationOf, tupleText } from '../../evidence/conntrack/index.ts';
import { inNetns, netnsText } from '../../evidence/netns.ts';
import type { PostMortemFacts } from '../../evidence/post-mortem/index.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { NOT_APPLICABLE, type Finding } from '../../model/finding.ts';
import type { Symptom } from '../../model/symptom.ts';
import { cause as live } from '../conntrack/insert-race.ts';

const REJECTED = /packet rejected from \[AF_INET6?\]([0-9a-fA-F.:]+?):([0-9]+)\b.*expected peer address: \[AF_INET6?\]([0-9a-fA-F.:]+?):([0-9]+)/;

/** conntrack -E prints an event up to some ms after it happened. */
const PRINTED_LATE = 20_000_000n;

/** The race's other symptom, found among conntrack events: an entry whose source port was changed though nobody asked for it. */
export function rewrittenPortFrom(facts: PostMortemFacts): Cause {
  return { ...live, needs: [], judge: (symptom, evidence) => judge(symptom, evidence, facts) };
}

function judge(symptom: Symptom, evidence: Evidence, facts: PostMortemFacts): Finding {
  if (symptom.kind !== 'log') return NOT_APPLICABLE;
  const m = REJECTED.exec(symptom.line);
  if (m === null || m[1] !== m[3] || m[2] === m[4]) return NOT_APPLICABLE;
  const [, address, port, , expected] = m;
  const event = evidence.conntrackEvents().find(({ entry: e }) => e.original.source === address && String(e.original.sourcePort) === expected && String(e.reply.destinationPort) === port && translationOf(e)?.portOnly === true);
  if (event === undefined) return NOT_APPLICABLE;
  const { entry, netns } = event;
  // what was there before, and who deleted it
  const before = evidence.conntrackEvents(netns).findLast((e) => e.time < symptom.first + PRINTED_LATE && e.change === 'destroy' && e.requester !== 0 && (sameTuple(e.entry.original, entry.original) || sameTuple(e.entry.reply, entry.original)));
  const exec = before === undefined ? undefined : evidence.execs().findLast((e) => e.task.pid === before.requester);
  const who = before === undefined ? undefined : exec === undefined ? `netlink port id ${before.requester}` : `${exec.argv.length > 0 ? exec.argv.join(' ') : exec.filename} (pid ${exec.task.pid})`;
  const resolved = facts.conntrack.find((c) => c.netns === netns)?.losses.resolved ?? 0;
  return {
    outcome: 'found', confidence: who === undefined ? 0.85 : 0.93, severity: 'warning', identity: `rewritten ${tupleText(entry.original)}`,
    explanation: `Packets of ${tupleText(entry.original)} left ${netnsText(evidence, netns)} from port ${port} instead of ${expected}, though no rule asks for that, and the receiver refused them. An insert race did it: ${who === undefined ? 'the flow\'s entry was made anew' : `after ${who} had deleted the flow's entry, it was made anew`} while one of the opposite direction held its port, so the kernel's null binding chose another. The clash is resolved then and the packet leaves, with the wrong port.`,
    culprit: who === undefined ? { kind: 'unknown', text: `the entry ${tupleText(entry.original)} in ${netnsText(evidence, netns)} with replies expected at port ${port}` } : { kind: 'process', text: `${who} deleted the entry of a live flow`, ...(exec === undefined ? { port: before!.requester } : { pid: exec.task.pid, comm: exec.task.comm }) },
    evidence: [
      { source: symptom.file, time: evidence.iso(symptom.first), text: symptom.line },
      { source: 'conntrack events', time: evidence.iso(event.time), text: `${event.change.toUpperCase()} ${tupleText(entry.original)}, replies expected as ${tupleText(entry.reply)}` },
      ...(before === undefined ? [] : [{ source: 'conntrack events', time: evidence.iso(before.time), text: `DESTROY ${tupleText(before.entry.original)}, asked for by ${who}` }]),
      ...(resolved > 0 ? [{ source: '/proc/net/stat/nf_conntrack', text: `clash_resolve +${resolved} in ${netnsText(evidence, netns)}` }] : []),
    ],
    remedies: [
      { text: 'Delete entries with a filter that spares live flows, or exempt the flow from connection tracking (NOTRACK).', risk: 'low' },
      { text: 'If it goes on, delete this one entry: the next packet makes it anew.', command: inNetns(evidence, netns, `conntrack -D -p ${entry.original.protocol} --orig-src ${address} --orig-dst ${entry.original.destination} --orig-port-src ${expected} --orig-port-dst ${entry.original.destinationPort ?? 0}`), risk: 'low' },
      { text: 'Linux 6.12 and later leave the port alone (d8f84a9bc7c4; also in 6.6.57).', risk: 'medium' },
    ],
  };
}
