import { plural } from '../../base/text.ts';
import { deletions, deletionText, tupleText, type Deletion } from '../../evidence/conntrack/index.ts';
import { olderThan } from '../../evidence/counters/index.ts';
import { netnsText } from '../../evidence/netns.ts';
import { livelyText, type ConntrackChange, type PostMortemFacts } from '../../evidence/post-mortem/index.ts';
import { hookOf } from '../../evidence/rules/index.ts';
import type { Cause } from '../../model/cause.ts';
import type { Evidence } from '../../model/evidence.ts';
import { cannotTell, NOT_APPLICABLE, ruledOut, type Finding } from '../../model/finding.ts';
import type { EvidenceLine } from '../../model/incident.ts';
import type { Symptom } from '../../model/symptom.ts';
import { mono } from '../../base/brand.ts';
import { cause as live } from '../conntrack/insert-race.ts';

/**
 * The insert race from circumstances: no probe saw the packet's own entry, and perhaps no counter was written down. It
 * weighs what points to the race against what points elsewhere, and is never as sure as the live judge.
 */
export function insertRaceFrom(facts: PostMortemFacts): Cause {
  return { ...live, needs: [], judge: (symptom, evidence) => judge(symptom, evidence, facts) };
}

/** Below, the pieces fit the race and no more. */
const PROVEN = 0.45;
/** With live entries deleted just then, and a sender refused. */
const SUSPECTED = 0.25;

interface Weighed {
  readonly points: number;
  readonly lines: readonly EvidenceLine[];
}

function judge(symptom: Symptom, evidence: Evidence, facts: PostMortemFacts): Finding {
  if (!concerned(symptom, facts)) return NOT_APPLICABLE;
  const counted = facts.conntrack.find((c) => c.netns === symptom.netns);
  if (counted !== undefined && counted.lost === 0 && counted.losses.dying === 0) return ruledOut(`conntrack counted no failed insert in ${netnsText(evidence, symptom.netns)} (${counted.losses.text}; ${counted.files.join(', ')})`);
  const rule = facts.rules.flatMap((r) => r.droppers).find((d) => (d.moved ?? 0) > 0);
  if (rule !== undefined && counted === undefined) return ruledOut(`a rule that drops has counted packets meanwhile: ${rule.text}`);
  const deletion = deletionBefore(symptom, evidence, facts);
  const { points, lines } = weigh(symptom, evidence, facts, counted, deletion);
  const deleted = deletionIn(facts);
  const thin = points < PROVEN;
  if (points < (deleted ? SUSPECTED : PROVEN)) return cannotTell(deleted ? 'entries were deleted, but the pieces at hand do not show that inserts failed or where packets were lost' : 'the pieces at hand do not show that entries were deleted or inserts failed', facts.missing[0]?.what ?? 'two snapshots of /proc/net/stat/nf_conntrack');
  return {
    outcome: 'found', confidence: Math.min(0.9, points), severity: 'warning',
    identity: deletion !== undefined ? `delete ${deletion.author.process?.cmdline ?? deletion.author.process?.comm ?? 'by an unknown process'}` : deleted ? 'delete by an unknown process' : 'first packets',
    explanation: `${thin ? 'The pieces at hand fit an insert race, and do not prove it. ' : ''}${what(symptom, evidence, facts, counted)} ${deletion !== undefined ? `${deletionText(deletion)} just before, live ones too, so every flow was new for a moment, and packets of both directions raced to make its entry again.` : deleted ? 'Somebody deleted the entries of the connection table all at once, live ones too, so every flow was new for a moment, and packets of both directions raced to make its entry again.' : 'Two packets of one flow raced to make its entry.'} ${loser(facts)}`,
    culprit: deletion !== undefined
      ? { kind: 'process', text: deletionText(deletion), ...(deletion.author.process === undefined ? { port: deletion.author.port } : { pid: deletion.author.process.pid, comm: deletion.author.process.comm }), flush: deletion.flush ?? false }
      : deleted
      ? { kind: 'process', text: 'a process that deleted the conntrack entries by request from user space (conntrack -F, or a program that does the same); the files do not name it', flush: true }
      : { kind: 'unknown', text: 'two first packets of one flow at once; what made the flow new is not in the files' },
    ...(hookText(symptom) === undefined ? {} : { hook: hookText(symptom)! }),
    evidence: lines,
    remedies: [
      { text: 'Find who deletes the entries (cron, failover scripts, the management programs of the VPN and the firewall) and let it delete only those that must go, with a filter (conntrack -D -p udp --orig-dst ADDRESS), instead of all with -F.', risk: 'low' },
      { text: 'Exempt the tunnel\'s own packets from connection tracking in both directions (the CT target with --notrack in table raw, PREROUTING and OUTPUT): then nothing has to be inserted for them.', risk: 'medium' },
      ...(olderThan(facts.kernel.release, 6, 12) ? [{ text: `A newer kernel: UDP clashes are resolved since 4.7 where both packets go one way, since 6.12 also where they go opposite ways; this is ${facts.kernel.release}.`, risk: 'medium' as const }] : []),
    ],
  };
}

/** A delete by request that the events show less than 0.3 s before the loss; only where one clock tells. */
function deletionBefore(symptom: Symptom, evidence: Evidence, facts: PostMortemFacts): Deletion | undefined {
  if (!facts.joined || symptom.kind === 'counter') return undefined;
  const at = symptom.first;
  return deletions(evidence, symptom.netns, mono(at - 300_000_000n), mono(at + 20_000_000n)).filter((d) => d.seen).at(-1);
}

/** A drop at a hook where entries are inserted, a failed send, or counters of failed inserts alone. */
function concerned(symptom: Symptom, facts: PostMortemFacts): boolean {
  switch (symptom.kind) {
    case 'drop': {
      const hook = hookOf(symptom);
      return hook?.by === 'slow' && (hook.hook === 'postrouting' || hook.hook === 'input');
    }
    case 'call': return symptom.call.errno === 'EPERM' && /^(?:send|write|connect|transmit)/.test(symptom.call.syscall) && facts.confirmDrops.input + facts.confirmDrops.postrouting + facts.conntrack.length + facts.vanished.length + facts.deletedByRequest > 0;
    case 'counter': return symptom.counter === 'nf_conntrack';
    case 'log': return false;
  }
}

const hookText = (symptom: Symptom): string | undefined => hookOf(symptom)?.hook.toUpperCase();
const deletionIn = (facts: PostMortemFacts): boolean => facts.vanished.length > 0 || facts.deletedByRequest > 0 || facts.overruns.length > 0;

function weigh(symptom: Symptom, evidence: Evidence, facts: PostMortemFacts, counted: ConntrackChange | undefined, deletion: Deletion | undefined): Weighed {
  const lines: EvidenceLine[] = [];
  let points = 0;
  const add = (weight: number, source: string, text: string): void => {
    points += weight;
    lines.push({ source, text });
  };
  const { postrouting, input } = facts.confirmDrops;
  const time = symptom.kind === 'drop' ? { time: evidence.iso(symptom.first) } : {};
  if (symptom.kind === 'drop') lines.push({ source: 'trace', ...time, text: `dropped by ${symptom.drop.place.name ?? '?'} at ${hookText(symptom) ?? '?'}, CPU ${symptom.drop.cpu}, while ${symptom.drop.task.comm} (${symptom.drop.task.tid}) ran` });
  if (postrouting > 0) add(0.2, 'trace', `${plural(postrouting, 'packet')} dropped by nf_hook_slow under ip_output: at POSTROUTING, where new entries are inserted, and where hardly anybody has rules that drop`);
  if (input > 0) add(0.12, 'trace', `${plural(input, 'packet')} dropped by nf_hook_slow under ip_local_deliver: at INPUT, where entries are inserted on the way in`);
  if (facts.failedSends.length > 0) add(0.08, facts.failedSends[0]!.file, `${plural(facts.failedSends.length, 'line')} like: ${facts.failedSends[0]!.text}`);
  const told = (address: string): boolean => facts.failedSends.some((l) => l.text.includes(address));
  const gone = facts.vanished.find((v) => told(v.entry.original.source) || told(v.entry.original.destination)) ?? facts.vanished[0];
  const named = gone === undefined ? undefined : [gone.entry.original.source, gone.entry.original.destination].find(told);
  if (gone !== undefined) add(0.14, gone.file, `${tupleText(gone.entry.original)} (${livelyText(gone.entry)}) was in the table at ${gone.seen} and not at ${gone.gone}: time-outs do not do that, a request from user space does${named === undefined ? '' : `; ${named} is also the peer in ${facts.failedSends[0]!.file}`}${facts.vanished.length > 1 ? `; and ${plural(facts.vanished.length - 1, 'more such case')}` : ''}`);
  if (facts.overruns.length > 0) add(0.08, facts.overruns[0]!.file, `conntrack -E: ${facts.overruns.at(-1)!.text.replace(/^WARNING: /, '')} A burst of events at once, as when all entries are deleted`);
  if (facts.deletedByRequest > 0) add(0.1, 'conntrack events', `${plural(facts.deletedByRequest, 'entry', 'entries')} deleted by request`);
  if (deletion !== undefined) add(0.22, 'conntrack events', `${deletionText(deletion)}, ${Number((symptom.first - deletion.first) / 1_000_000n)} ms before the loss`);
  const discards = facts.counters.find((c) => c.netns === symptom.netns)?.moved.find((m) => m.name === 'Ip OutDiscards');
  if (symptom.kind === 'call' && discards !== undefined) add(0.06, '/proc/net/snmp', `Ip OutDiscards +${discards.after - discards.before}: packets thrown away on their way out`);
  if (counted !== undefined && counted.lost > 0) add(0.3, counted.files.join(', '), `nf_conntrack counters between the snapshots: ${counted.losses.text}${counted.perCpu.length === 0 ? '' : ` (${counted.perCpu.map((c) => `CPU ${c.cpu}: ${c.failed} failed inserts`).join(', ')})`}`);
  if (symptom.kind === 'counter' && counted !== undefined && counted.lost > 0) points += 0.2; // the counters are the loss
  const droppers = facts.rules.flatMap((r) => r.droppers);
  if (facts.rules.length > 0 && droppers.length === 0) add(0.1, facts.rules[0]!.file, 'no rule and no policy in the listings can drop a packet');
  if (symptom.kind === 'drop' && facts.filterFile !== undefined && !facts.filtered.includes(symptom.drop.place.address)) add(0.02, facts.filterFile, `the place is not among the ${plural(facts.filtered.length, 'place')} that had been found to be normal`);
  // where the sender is told, the drop leads the incident
  return { points: points + (hookText(symptom) === 'POSTROUTING' ? 0.07 : 0.06), lines };
}

function what(symptom: Symptom, evidence: Evidence, facts: PostMortemFacts, counted: ConntrackChange | undefined): string {
  const where = symptom.netns === evidence.host.home ? '' : ` in ${netnsText(evidence, symptom.netns)}`;
  const told = facts.failedSends.length > 0 ? ', and a sender was told Operation not permitted (EPERM)' : '';
  if (symptom.kind === 'counter' && counted !== undefined) return `Conntrack could not insert the entries of ${plural(counted.lost, 'packet')}${where} and dropped them (${counted.perCpu.map((c) => `${c.failed} on CPU ${c.cpu}`).join(', ')})${told}.`;
  if (facts.confirmDrops.postrouting + facts.confirmDrops.input === 0) return `A sender was told Operation not permitted (EPERM)${where}${counted === undefined || counted.lost === 0 ? '' : `, and conntrack could not insert the entries of ${plural(counted.lost, 'packet')}`}.`;
  return `Packets were dropped by netfilter hooks behind the rules${where}: ${facts.confirmDrops.postrouting} at POSTROUTING and ${facts.confirmDrops.input} at INPUT in the trace${told}.`;
}

function loser(facts: PostMortemFacts): string {
  const { release } = facts.kernel;
  if (olderThan(release, 4, 7)) return `On a kernel like this one (${release}) whoever comes second loses its packet: clashes are resolved only since 4.7.`;
  return `The kernel (${release}) drops the packet of whoever comes second where it cannot merge the two entries.`;
}
